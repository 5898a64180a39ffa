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
