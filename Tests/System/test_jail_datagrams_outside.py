"""Datagrams of a command: nobody else gets one, whatever it tries."""
import contextlib
import os
import socket
import subprocess

import pytest

from datagrams import MANY, WAYS
from jailed import python

@pytest.fixture
def outside(workspace):
    """Receivers of somebody else of the same user: on the loopback, on every address, at a path."""
    with contextlib.ExitStack() as stack:
        def receiver(family, address):
            one = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            one.bind(address)
            one.setblocking(False)
            return one
        workspace.receivers = [receiver(socket.AF_INET, ("127.0.0.1", 0)), receiver(socket.AF_INET, ("0.0.0.0", 0)),
                               receiver(socket.AF_INET6, ("::", 0))]
        paths = [str(workspace.outside / "datagrams"), str(workspace.tmp / "datagrams")]
        workspace.receivers += [receiver(socket.AF_UNIX, path) for path in paths]
        for path in paths:
            os.chown(path, workspace.uid, workspace.uid)
        workspace.targets = "[" + ", ".join(
            [f"('127.0.0.1', {one.getsockname()[1]})" for one in workspace.receivers[:3]] + list(map(repr, paths))) + "]"
        yield workspace


def arrived(workspace):
    count = 0
    for receiver in workspace.receivers:
        with contextlib.suppress(BlockingIOError):
            while receiver.recv(100):
                count += 1
    return count


ATTACK = MANY + """
import threading
def made(to):
    return socket.socket(socket.AF_UNIX if isinstance(to, str) else socket.AF_INET, socket.SOCK_DGRAM)
"""

EACH = {
    **{way: f"s = made(to); data = b'x'; {code}" for way, code in WAYS.items()},
    "by a duplicate": "made(to).dup().sendto(b'x', to)",
    "by writev": "s = made(to); s.connect(to); os.writev(s.fileno(), [b'x'])",
    "by splice": "s = made(to); s.connect(to); a, b = os.pipe(); os.write(b, b'x'); os.splice(a, s.fileno(), 1)",
    "by one of the family IPv6": "s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.sendto(b'x', ('::ffff:127.0.0.1', to[1]))",
    "by one that was handed on":
        "s = made(to); here, there = socket.socketpair(); socket.send_fds(there, [b'x'], [s.fileno()]); "
        "socket.socket(fileno=socket.recv_fds(here, 1, 1)[1][0]).sendto(b'x', to)",
    "by a pair": "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', to)",
}


@pytest.mark.parametrize("listen", ["none", "loopback"])
@pytest.mark.parametrize("way", EACH)
def test_no_datagram_reaches_anybody_else(outside, way, listen):
    script = python(ATTACK + f"for to in {outside.targets}:\n"
                    f"    def attempt():\n        {EACH[way]}\n    try: attempt()\n    except (OSError, TypeError): pass")
    assert outside.bare(script).code == 0 and arrived(outside) > 0
    done = outside.run(script, listen=listen)
    assert done.code == 0 and arrived(outside) == 0, done


RACES = {
    # The address is another's a moment after the broker has read it.
    "an address that changes": """
libc = ctypes.CDLL(None)
own = socket.socket(type=socket.SOCK_DGRAM)
own.bind(("127.0.0.1", 0))
def name(port): return struct.pack("=H", 2) + struct.pack("!H4s8x", port, socket.inet_aton("127.0.0.1"))
address = ctypes.create_string_buffer(name(own.getsockname()[1]), 16)
names = [name(own.getsockname()[1]), name(PORT)]
part = ctypes.create_string_buffer(b"x")
parts = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(part), 1))
message = ctypes.create_string_buffer(
    struct.pack("QQQQQQQ", ctypes.addressof(address), 16, ctypes.addressof(parts), 1, 0, 0, 0))
def flip():
    while not over:
        for one in names: ctypes.memmove(address, one, 16)
def attack(s): libc.sendmsg(s.fileno(), message, 0)
""",
    # The number is another socket's a moment after the broker has looked which it is.
    "a number that changes": """
udp = socket.socket(type=socket.SOCK_DGRAM)
here, there = socket.socketpair()
number = 900
os.dup2(here.fileno(), number)
def flip():
    while not over:
        os.dup2(udp.fileno(), number)
        os.dup2(here.fileno(), number)
victim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, fileno=number)
def attack(s):
    try: victim.sendmsg([b"x"], [], 0x40, ("127.0.0.1", PORT))
    except OSError: pass
    try: there.recv(4096, 0x40)
    except OSError: pass
""",
}


@pytest.mark.parametrize("race", RACES)
def test_no_race_gets_a_datagram_out(outside, race):
    port = outside.receivers[0].getsockname()[1]
    script = python(ATTACK + f"PORT = {port}\nover = False\n" + RACES[race] + """
thread = threading.Thread(target=flip)
thread.start()
s = socket.socket(type=socket.SOCK_DGRAM)
for _ in range(3000): attack(s)
over = True
thread.join()
os._exit(0)
""")
    assert outside.bare(script).code == 0 and arrived(outside) > 0
    done = outside.run(script, listen="loopback")
    assert done.code == 0 and arrived(outside) == 0, done


def test_a_port_of_the_commands_own_never_leads_to_anybody_elses(workspace):
    """Its socket is closed; somebody else's, on all addresses, takes the port."""
    process = workspace.start(["/usr/bin/python3", "-c", """
import socket
s, c = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
own, port = s.getsockname()
c.sendto(b"x", (own, port))
s.close()
print(own, port, flush=True)
input()
for where in ("127.0.0.1", own):
    try: print(c.sendto(b"x", (where, port)))
    except ConnectionRefusedError: print("refused")
"""], listen="loopback", stdin=subprocess.PIPE)
    own, port = process.stdout.readline().split()
    outside = None
    # Until the broker has seen that the socket has gone.
    while outside is None:
        one = socket.socket(type=socket.SOCK_DGRAM)
        with contextlib.suppress(OSError):
            one.bind(("0.0.0.0", int(port)))
            outside = one
    with outside:
        done = workspace.finish(process, "\n")
        outside.setblocking(False)
        with pytest.raises(BlockingIOError):
            outside.recv(9)
    assert done.out.split() == ["refused", "refused"], done


def test_who_has_sent_to_what_the_policy_names_hears_from_nobody_else(workspace):
    """Not even once it undoes the connection: its socket stands on an address of the pod."""
    with socket.socket(type=socket.SOCK_DGRAM) as named, socket.socket(type=socket.SOCK_DGRAM) as other:
        named.bind(("127.0.0.9", 0))
        process = workspace.start(["/usr/bin/python3", "-c", f"""
import ctypes, os, socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.sendto(b"x", ("127.0.0.9", {named.getsockname()[1]}))
assert ctypes.CDLL(None).connect(s.fileno(), b"\\0" * 16, 16) == 0
print(*s.getsockname(), flush=True)
sys.stdin.readline()
s.setblocking(False)
print(s.recv(9).decode())
try: s.recv(9)
except BlockingIOError: print("nothing more")
"""], network=f"127.0.0.9:{named.getsockname()[1]}", stdin=subprocess.PIPE)
        host, port = process.stdout.readline().split()
        other.sendto(b"other", (host, int(port)))
        named.sendto(b"named", (host, int(port)))
        done = workspace.finish(process, "\n")
        assert done.out == "named\nnothing more\n", done


# Each has a socket of its own at the port of somebody else's, who takes it on "any", and turns it away from what is sent.
DIVERSIONS = {
    "by connecting it": "own.connect(('127.0.0.1', 9))",
    "by another device": "own.setsockopt(socket.SOL_SOCKET, 25, DEVICE)",
    "by another device's number": "own.setsockopt(socket.SOL_SOCKET, 62, socket.if_nametoindex(DEVICE.decode()))",
    "by another protocol": "pass",
}


@pytest.mark.parametrize("family, any", [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
@pytest.mark.parametrize("bound", ["", "lo"])
@pytest.mark.parametrize("case", DIVERSIONS)
def test_a_port_that_is_shared_does_not_lead_out(workspace, case, bound, family, any):
    device = next((name for _, name in socket.if_nameindex() if name != "lo"), None)
    if "device" in case and device is None:
        pytest.skip("there is no device but lo")
    # Of the command's own user, so that it can be shared.
    with subprocess.Popen(workspace.as_user(["/usr/bin/python3", "-c", """
import os, socket, sys
s = socket.socket(int(sys.argv[1]), socket.SOCK_DGRAM)
for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT): s.setsockopt(socket.SOL_SOCKET, option, 1)
s.setsockopt(socket.SOL_SOCKET, 25, sys.argv[3].encode())
s.bind((sys.argv[2], 0))
print(s.getsockname()[1], flush=True)
sys.stdin.readline()
s.setblocking(False)
count = 0
try:
    while s.recv(100): count += 1
except BlockingIOError: pass
print(count, flush=True)
""", str(int(family)), any, bound]), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as listener:
        port = int(listener.stdout.readline())
        done = workspace.run(python(f"""
import socket
DEVICE = {(device or '').encode()!r}
s = socket.socket(type=socket.SOCK_DGRAM)
for option in (0, socket.SO_REUSEADDR, socket.SO_REUSEPORT):
    for diverted in (False, True):
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, {136 if case == 'by another protocol' else 0})
        if option: own.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            own.bind(("127.0.0.1", {port}))
            if diverted: {DIVERSIONS[case]}
        except OSError: pass
        for to in (("127.0.0.1", {port}), (own.getsockname()[0], {port})):
            try: s.sendto(b"x", to)
            except OSError: pass
        own.close()
"""), listen="loopback")
        count, _ = listener.communicate("\n")
        assert done.code == 0 and count == "0\n", (count, done)
