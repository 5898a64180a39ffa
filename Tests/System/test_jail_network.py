"""What a jailed command connects to by TCP, and what it is told and reported when it may not.

Every attempt is made without the jail first: one that fails anyway proves nothing."""
import os
import socket
import subprocess

import pytest

from jailed import HANGS, python
from outside_servers import fetch, forbidden, granted  # noqa: F401 (fixtures)

# MARK: What is granted works, whatever connects

CLIENTS = {
    "curl": "curl -sS --noproxy '*' http://127.0.0.1:$PORT/",
    "bash": "exec 5<>/dev/tcp/127.0.0.1/$PORT && printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&5 && tail -n 1 <&5",
    "a blocking socket": python("""
import os, socket
s = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])))
s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(s.makefile().read().splitlines()[-1])
"""),
    "a socket with a timeout": python("""
import os, socket
s = socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), timeout=30)
s.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(s.makefile().read().splitlines()[-1])
"""),
    "asyncio": python("""
import asyncio, os
async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["PORT"]))
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    print((await reader.read()).decode().splitlines()[-1])
asyncio.run(main())
"""),
    "an epoll set that was told before": python("""
import os, select, socket
s = socket.socket()
s.setblocking(False)
poll = select.epoll()
poll.register(s, select.EPOLLOUT | select.EPOLLET)
poll.poll(0)
copy = s.dup()
assert s.connect_ex(("127.0.0.1", int(os.environ["PORT"]))) in (0, 115)
assert poll.poll(30)
assert s.connect_ex(("127.0.0.1", int(os.environ["PORT"]))) in (0, 106)
copy.setblocking(True)
copy.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
print(copy.makefile().read().splitlines()[-1])
"""),
    "options set before": python("""
import os, socket
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
s.connect(("127.0.0.1", int(os.environ["PORT"])))
assert s.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) and s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
assert not os.get_inheritable(s.fileno()) and s.getpeername()[1] == int(os.environ["PORT"])
print("hello")
"""),
    "urllib": python("""
import os, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:" + os.environ["PORT"]).read().decode(), end="")
"""),
    "a proxy": "curl -sS --proxy http://127.0.0.1:$PORT http://example.invalid/",
    "node": "node -e 'require(\"http\").get(\"http://127.0.0.1:\" + process.env.PORT, r => r.pipe(process.stdout))'",
    "git": "! git ls-remote http://127.0.0.1:$PORT/x 2> said; grep -q 'not valid: is this a git repository' said && echo hello",
}


@pytest.mark.parametrize("client", CLIENTS)
def test_what_the_policy_names_can_be_connected_to(workspace, granted, client):
    if client == "node" and not os.path.exists("/usr/bin/node"):
        pytest.skip("node is not installed")
    environment = {**workspace.environment, "PORT": str(granted.port), "GIT_TERMINAL_PROMPT": "0"}
    done = workspace.run(CLIENTS[client], environment=environment, network=f"127.0.0.1:{granted.port}")
    assert (done.code, done.out, done.refused) == (0, "hello\n", []), done


@pytest.mark.parametrize("network", ["127.0.0.0/8:{port}", "192.0.2.1:1,127.0.0.1:*", "open"])
def test_a_policy_may_be_a_block_every_port_or_everything(workspace, granted, network):
    done = workspace.run(fetch(granted.port), network=network.format(port=granted.port))
    assert (done.code, done.out) == (0, "hello\n"), done


def test_ipv6_is_granted_by_its_own_address(workspace, forbidden):
    port = forbidden.port
    assert workspace.run(fetch(port, "[::1]"), network=f"[::1]:{port}").out == "hello\n"
    done = workspace.run(fetch(port), network=f"[::1]:{port}")
    assert done.code == 7 and done.refused[0]["target"] == f"127.0.0.1:{port}"


# MARK: What is not granted

def connecting(address, family="AF_INET"):
    return python(f"""
import os, socket
s = socket.socket(socket.{family})
s.connect({address})
s.sendall(b"GET /seen HTTP/1.0\\r\\n\\r\\n")
assert b"hello" in s.makefile("rb").read()
""")


REFUSED = {
    "another port of the host": (connecting("('127.0.0.1', int(os.environ['PORT']))"), "127.0.0.1:{port}"),
    "another address of the host": (connecting("('127.0.0.2', int(os.environ['PORT']))"), "127.0.0.2:{port}"),
    "any, which is this host": (connecting("('0.0.0.0', int(os.environ['PORT']))"), "127.0.0.1:{port}"),
    "IPv6": (connecting("('::1', int(os.environ['PORT']))", "AF_INET6"), "[::1]:{port}"),
    "any of IPv6": (connecting("('::', int(os.environ['PORT']))", "AF_INET6"), "[::1]:{port}"),
    "IPv4 in IPv6's clothes": (connecting("('::ffff:127.0.0.1', int(os.environ['PORT']))", "AF_INET6"), "127.0.0.1:{port}"),
}


@pytest.mark.parametrize("network", ["none", "127.0.0.1:{granted},10.0.0.0/8:*,[2001:db8::1]:{port}"])
@pytest.mark.parametrize("case", REFUSED)
def test_what_the_policy_does_not_name_is_refused_and_reported(workspace, granted, forbidden, case, network):
    script, target = REFUSED[case]
    environment = {**workspace.environment, "PORT": str(forbidden.port)}
    bare = subprocess.run(["/bin/bash", "-c", script], env=environment, timeout=HANGS, capture_output=True)
    assert bare.returncode == 0, bare
    forbidden.seen.clear()
    done = workspace.run(
        script, environment=environment, network=network.format(granted=granted.port, port=forbidden.port))
    assert done.code == 1 and "PermissionError: [Errno 13]" in done.err, done
    assert forbidden.seen == []
    [refused] = done.refused
    assert refused["refused"] == "connect" and refused["target"] == target.format(port=forbidden.port)
    assert refused["program"] == "python3" and int(refused["pid"]) > 1 and refused["count"] == "1"


RACE = """
import ctypes, os, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
good, bad = (struct.pack("=HH4s8x", 2, socket.htons(int(port)), socket.inet_aton("127.0.0.1")) for port in sys.argv[1:3])
buffer = ctypes.create_string_buffer(good, 16)
stop = False
def flip():
    while not stop:
        ctypes.memmove(buffer, bad, 16)
        ctypes.memmove(buffer, good, 16)
threading.Thread(target=flip, daemon=True).start()
sys.setswitchinterval(0.00001)
reached = 0
for _ in range(int(sys.argv[3])):
    with socket.socket() as s:
        if libc.connect(s.fileno(), buffer, 16) == 0: reached |= 1 if s.getpeername()[1] == int(sys.argv[1]) else 2
stop = True
print(reached)
"""


def test_no_change_of_the_address_in_memory_gets_elsewhere(workspace, granted, forbidden):
    script = python(RACE) + f" {granted.port} {forbidden.port} 2000"
    assert workspace.bare(script).out == "3\n", "without the jail both are reached, so the race is one"
    done = workspace.run(script, network=f"127.0.0.1:{granted.port}")
    assert done.out == "1\n", done


def test_the_kernel_refuses_too_should_the_broker_be_passed_by(workspace, granted):
    """A descriptor that the broker did not make cannot be had: every way to a socket goes through the filter."""
    script = python("""
import ctypes, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
# SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER: a listener of our own would answer in the broker's place.
class Program(ctypes.Structure): _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
allow = (ctypes.c_uint64 * 1)(0x7fff000000000006)
program = Program(1, ctypes.cast(allow, ctypes.c_void_p))
libc.prctl(38, 1, 0, 0, 0)
sys.exit(0 if libc.syscall(317, 1, 8, ctypes.byref(program)) >= 0 else 1)
""")
    assert workspace.bare(script).code == 0
    assert workspace.run(script).code == 1


CLOSED = {
    "raw": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "socket"),
    "packet": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "socket"),
    "vsock": ("socket.socket(40, socket.SOCK_STREAM)", "socket"),
    "mptcp": ("socket.socket(proto=262)", "socket"),
    "pings": ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 1)", "socket"),
    "netlink of devices": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 15)", None),
    "netlink of sockets": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4)", None),
    "netlink of the firewall": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)", None),
}


@pytest.mark.parametrize("kind", CLOSED)
def test_other_kinds_of_sockets_are_closed(workspace, kind):
    code, reported = CLOSED[kind]
    done = workspace.run(python(f"import socket; {code}"))
    assert done.code == 1 and "Operation not permitted" in done.err, done
    assert [refused["refused"] for refused in done.refused] == ([reported] if reported else [])


def test_an_open_network_has_udp(workspace):
    with socket.socket(type=socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        port = receiver.getsockname()[1]
        send = python(f"import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('127.0.0.1', {port})); "
                      f"s.send(b'x'); s.sendto(b'y', ('127.0.0.1', {port}))")
        done = workspace.run(send, network="open")
        assert done.code == 0 and receiver.recv(9) + receiver.recv(9) == b"xy", done


# MARK: Wrong arguments are answered as the kernel answers them

WRONG = {
    "a descriptor that is not open": "call(77, good, 16) == -errno.EBADF",
    "a descriptor that is no socket": "call(0, good, 16) == -errno.ENOTSOCK",
    "an address that cannot be read": "call(s.fileno(), 8, 16) == -errno.EFAULT",
    "an address half of which can be read": "call(s.fileno(), last_page + 4096 - 8, 16) == -errno.EFAULT",
    "an address that is too short": "call(s.fileno(), good, 8) == -errno.EINVAL",
    "no address": "call(s.fileno(), good, 0) == -errno.EINVAL",
    "a length that is too large": "call(s.fileno(), good, 129) == -errno.EINVAL",
    "a length below zero": "call(s.fileno(), good, -1) == -errno.EINVAL",
    "another family's address": "call(s.fileno(), other, 28) == -errno.EAFNOSUPPORT",
    "no family, which undoes a connection": "call(s.fileno(), none, 16) == 0",
    # The second may be the first, made again after a signal: 0 is right too.
    "a socket that is connected": "call(s.fileno(), good, 16) == 0 and call(s.fileno(), good, 16) in (0, -errno.EISCONN)",
    "a port where nobody listens": "call(s.fileno(), closed, 16) == -errno.ECONNREFUSED and call(s.fileno(), good, 16) == 0",
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_calls_fail_as_without_the_jail(workspace, granted, case):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = unused.getsockname()[1]
        script = python(f"""
import ctypes, errno, mmap, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(descriptor, address, length):
    result = libc.syscall({CONNECT}, descriptor, ctypes.c_long(address), length)
    return -ctypes.get_errno() if result < 0 else result
def keep(data):
    buffers.append(ctypes.create_string_buffer(data, 256))
    return ctypes.addressof(buffers[-1])
buffers = []
good = keep(struct.pack("=HH4s8x", 2, socket.htons({granted.port}), socket.inet_aton("127.0.0.1")))
closed = keep(struct.pack("=HH4s8x", 2, socket.htons({closed}), socket.inet_aton("127.0.0.1")))
other, none = keep(struct.pack("=H", 10)), keep(struct.pack("=H", 0))
pages = mmap.mmap(-1, 8192)
last_page = ctypes.addressof(ctypes.c_char.from_buffer(pages))
libc.mprotect(ctypes.c_void_p(last_page + 4096), 4096, 0)
s = socket.socket()
sys.exit(0 if {WRONG[case]} else 1)
""")
        assert workspace.bare(script).code == 0, "the kernel itself says something else"
        done = workspace.run(script, network="127.0.0.1:*")
        assert done.code == 0, done


CONNECT = {"x86_64": 42, "aarch64": 203}[os.uname().machine]
