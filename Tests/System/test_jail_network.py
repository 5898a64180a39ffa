"""What a jailed command reaches by network and by Unix sockets, and what it is told and reported when it does not.

Every attempt is made without the jail first: one that fails anyway proves nothing."""
import contextlib
import http.server
import os
import socket
import subprocess
import threading
import time

import pytest

from jailed import HANGS, python

# MARK: Outside


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        self.server.seen.append(self.path)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, family, address):
        self.address_family = family
        self.seen = []
        super().__init__(address, Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


@pytest.fixture(scope="module")
def granted():
    with contextlib.closing(Server(socket.AF_INET, ("127.0.0.1", 0))) as server:
        server.close = server.server_close
        yield server


@pytest.fixture(scope="module")
def forbidden():
    """On all addresses of the host, also those that a command takes for its own."""
    server = Server(socket.AF_INET6, ("::", 0))
    yield server
    server.server_close()


@pytest.fixture
def deaf():
    """A port whose backlog is full: a connection to it never ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        with contextlib.ExitStack() as fillers:
            for _ in range(4):
                filler = fillers.enter_context(socket.socket())
                filler.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    filler.connect(("127.0.0.1", port))
            time.sleep(0.05)
            yield port


@pytest.fixture
def foreign(workspace):
    """Unix sockets of somebody else of the same user, in a folder that commands write to and in one that they do not."""
    script = """
import os, socket, sys, threading
kinds = [(sys.argv[1] + "/stream", socket.SOCK_STREAM), (sys.argv[2] + "/stream", socket.SOCK_STREAM),
         (sys.argv[2] + "/datagram", socket.SOCK_DGRAM)]
def serve(listener):
    while True: listener.accept()[0].sendall(b"hunter2")
for path, kind in kinds:
    listener = socket.socket(socket.AF_UNIX, kind)
    listener.bind(path)
    if kind == socket.SOCK_STREAM:
        listener.listen()
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
    else:
        keep = listener
print("ready", flush=True)
os.read(0, 1) or __import__("time").sleep(100000)
"""
    process = workspace.background(
        ["/usr/bin/python3", "-c", script, str(workspace.tmp), str(workspace.outside)], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"ready\n"
    return workspace


def fetch(port, host="127.0.0.1"):
    return f"curl -gsS --noproxy '*' --max-time 60 http://{host}:{port}/"


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
    "git": "git ls-remote http://127.0.0.1:$PORT/x 2>&1 | grep -q 'not valid: is this a git repository' && echo hello",
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
    "udp": ("socket.socket(type=socket.SOCK_DGRAM)", "udp"),
    "raw": ("socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)", "socket"),
    "packet": ("socket.socket(socket.AF_PACKET, socket.SOCK_RAW)", "socket"),
    "vsock": ("socket.socket(40, socket.SOCK_STREAM)", "socket"),
    "mptcp": ("socket.socket(proto=262)", "socket"),
    "unix datagrams": ("socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)", "socket"),
    "netlink": ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", None),
    "a pair of unix datagram sockets": ("socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)", None),
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


# MARK: Listening

SERVE = """
import http.server, os, socket, sys, threading, urllib.request
server = http.server.HTTPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler)
threading.Thread(target=server.serve_forever, daemon=True).start()
port = server.server_address[1]
print(urllib.request.urlopen(f"http://{sys.argv[3]}:{port}/").status, port, flush=True)
"""


def test_there_is_no_listening_unless_it_is_asked_for(workspace):
    attempt = python("import socket; s = socket.socket(); s.listen(); print(s.getsockname()[1])")
    assert workspace.bare(attempt).code == 0
    done = workspace.run(attempt)
    assert done.code == 1 and "PermissionError" in done.err and done.refused[0]["refused"] == "listen"
    done = workspace.run(python("import socket; socket.create_server(('127.0.0.1', 8000))"))
    assert done.code == 1 and done.refused[0]["refused"] == "bind" and done.refused[0]["target"] == "127.0.0.1:8000"


@pytest.mark.parametrize("bind, ask", [("127.0.0.1", "127.0.0.1"), ("", "127.0.0.1"), ("0.0.0.0", "localhost")])
def test_a_server_is_reached_by_its_own_command(workspace, bind, ask):
    done = workspace.run(python(SERVE) + f" '{bind}' 0 {ask}", listen="loopback")
    assert done.code == 0 and done.out.startswith("200 "), done


def test_ipv6_and_dual_servers_are_reached_by_what_they_stand_on(workspace):
    script = python("""
import socket, threading
def answer(s):
    while True: s.accept()[0].sendall(name[s])
name = {}
six = socket.create_server(("::1", 8000), family=socket.AF_INET6)
four = socket.create_server(("127.0.0.1", 8000))
dual = socket.create_server(("::", 8001), family=socket.AF_INET6, dualstack_ipv6=True)
for s, text in [(six, b"six"), (four, b"four"), (dual, b"dual")]:
    name[s] = text
    threading.Thread(target=answer, args=(s,), daemon=True).start()
for where in [("::1", 8000), ("127.0.0.1", 8000), ("::1", 8001), ("127.0.0.1", 8001)]:
    print(socket.create_connection(where).recv(9).decode())
try: socket.create_server(("127.0.0.1", 8001))
except OSError as error: print(error.errno)
""")
    done = workspace.run(script, listen="loopback")
    assert done.out.split() == ["six", "four", "dual", "dual", "98"], done


def test_asyncio_and_node_serve(workspace):
    script = python("""
import asyncio
async def main():
    async def answer(reader, writer):
        writer.write(b"hello")
        writer.close()
    server = await asyncio.start_server(answer, "localhost", 0)
    for s in server.sockets:
        reader, writer = await asyncio.open_connection(*s.getsockname()[:2])
        assert await reader.read() == b"hello"
    print("ok")
asyncio.run(main())
""")
    done = workspace.run(script, listen="loopback")
    assert done.out == "ok\n", done
    if os.path.exists("/usr/bin/node"):
        code = ("const h = require('http'); const s = h.createServer((q, r) => r.end('ok\\n')).listen(0, () => "
                "h.get('http://localhost:' + s.address().port, r => r.on('data', d => process.stdout.write(d)).on('end', () => s.close())))")
        done = workspace.run(["node", "-e", code], listen="loopback")
        assert done.out == "ok\n", done


def test_a_server_is_not_reached_from_outside_nor_by_another_command(workspace):
    process = workspace.start(python("""
import socket, time
s = socket.create_server(("0.0.0.0", 0))
print(s.getsockname()[1], flush=True)
time.sleep(1000)
"""), listen="loopback")
    port = int(process.stdout.readline())
    for host in ("127.0.0.1", "::1", socket.gethostname()):
        with pytest.raises(OSError):
            socket.create_connection((host, port), timeout=10)
    other = workspace.run(fetch(port), listen="loopback")
    assert other.code == 7 and other.refused[0]["refused"] == "connect"
    process.kill()


def test_a_port_of_the_commands_own_never_leads_to_the_hosts(workspace):
    """Its server has ended; somebody else's, on all addresses, takes the port."""
    process = workspace.start(["/usr/bin/python3", "-c", """
import socket
s = socket.create_server(("127.0.0.1", 0))
own, port = s.getsockname()
socket.create_connection(("127.0.0.1", port)).close()
s.close()
print(own, port, flush=True)
input()
for where in ("127.0.0.1", own):
    try: print(socket.create_connection((where, port)).getpeername())
    except ConnectionRefusedError: print("refused")
"""], listen="loopback", stdin=subprocess.PIPE)
    own, port = process.stdout.readline().split()
    outside = None
    # Until the broker has seen that the server has gone.
    while outside is None:
        with contextlib.suppress(OSError):
            outside = socket.create_server(("0.0.0.0", int(port)))
    with outside:
        socket.create_connection((own, int(port))).close()
        done = workspace.finish(process, "\n")
    assert done.out.split() == ["refused", "refused"], done


def test_a_port_is_free_again_at_once(workspace):
    done = workspace.run(python("""
import socket
for _ in range(200):
    s = socket.socket()
    s.bind(("127.0.0.1", 8000))
    s.listen()
    s.close()
print("ok")
"""), listen="loopback")
    assert done.out == "ok\n", done


def test_other_addresses_cannot_be_listened_on(workspace):
    done = workspace.run(python("import socket; socket.create_server(('192.0.2.1', 8000))"), listen="loopback")
    assert done.code == 1 and done.refused[0]["target"] == "192.0.2.1:8000"


# MARK: Unix sockets

def test_the_commands_own_unix_sockets_work(workspace):
    script = python("""
import os, socket, tempfile, threading
for path in ["s", os.environ["HOME"] + "/s", os.environ["TMPDIR"] + "/s", "sub/../t", "/dev/shm/s-%d" % os.getpid(), "\\0own"]:
    os.makedirs("sub", exist_ok=True)
    a = socket.socket(socket.AF_UNIX)
    a.bind(path)
    a.listen(1)
    a.listen(2)
    b = socket.socket(socket.AF_UNIX)
    b.settimeout(30)
    b.connect(path)
    assert b.getpeername() in (path, path.encode()), b.getpeername()
    assert not os.get_inheritable(b.fileno())
    c = a.accept()[0]
    c.send(b"x")
    assert b.recv(1) == b"x"
    named = socket.socket(socket.AF_UNIX)
    named.bind("\\0named" + path.replace("\\0", "@"))
    try: named.connect(path)
    except OSError as error: raise SystemExit(f"{path}: {error}")
    if path[0] != "\\0": os.unlink(path)
os.symlink("u", "link")
a = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
a.bind("u")
a.listen()
socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect("link")
for path, code in [("missing", 2), ("/run/missing", 2), ("/etc/passwd/x", 2), ("sub", 111)]:
    assert socket.socket(socket.AF_UNIX).connect_ex(path) == code, path
""")
    done = workspace.run(script)
    assert (done.code, done.refused) == (0, []), done


def test_a_full_backlog_of_a_unix_socket_is_waited_for(workspace):
    script = python("""
import os, socket, threading, time
a = socket.socket(socket.AF_UNIX)
a.bind("s")
a.listen(0)
def client():
    with socket.socket(socket.AF_UNIX) as s: s.connect("s")
clients = [threading.Thread(target=client) for _ in range(20)]
for thread in clients: thread.start()
eager = socket.socket(socket.AF_UNIX)
eager.setblocking(False)
time.sleep(0.1)
assert eager.connect_ex("s") == 11
for _ in clients: a.accept()
for thread in clients: thread.join()
""")
    done = workspace.run(script)
    assert done.code == 0, done


FOREIGN = {
    "in a folder of its own": "connect(os.environ['TMPDIR'] + '/stream')",
    "beside the project": "connect(os.environ['OUTSIDE'] + '/stream')",
    "through a link": "os.path.islink('l') or os.symlink(os.environ['OUTSIDE'] + '/stream', 'l'); connect('l')",
    "through ..": "connect('../checkpoints/stream')",
    "through its working directory": "os.chdir(os.environ['TMPDIR']); connect('stream')",
    "put in the place of its own": "swap()",
    "by a datagram": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', os.environ['OUTSIDE'] + '/datagram')",
    "by a datagram of a pair":
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)[0].sendto(b'x', os.environ['OUTSIDE'] + '/datagram')",
}


@pytest.mark.parametrize("case", FOREIGN)
def test_nobody_elses_unix_socket_can_be_connected_to(foreign, case):
    script = python(f"""
import os, socket
def connect(path):
    s = socket.socket(socket.AF_UNIX)
    s.connect(path)
    assert s.recv(9) == b"hunter2"
def swap():
    a = socket.socket(socket.AF_UNIX)
    a.bind(os.environ["TMPDIR"] + "/own")
    os.link(os.environ["TMPDIR"] + "/stream", os.environ["TMPDIR"] + "/spare")
    os.rename(os.environ["TMPDIR"] + "/spare", os.environ["TMPDIR"] + "/own")
    a.listen()
    connect(os.environ["TMPDIR"] + "/own")
{FOREIGN[case]}
""")
    bare = foreign.bare(script)
    assert bare.code == 0, bare
    for name in ("own", "spare"):
        with contextlib.suppress(FileNotFoundError):
            (foreign.tmp / name).unlink()
    done = foreign.run(script)
    assert done.code == 1 and ("PermissionError" in done.err), done
    if "datagram" not in case:
        assert done.refused[0]["refused"] == "connect-unix", done


# MARK: Load, time and death

def test_thousands_of_connections_in_a_row_and_at_once(workspace, granted):
    script = python(f"""
import asyncio, os, socket, threading
where = ("127.0.0.1", {granted.port})
def row():
    for _ in range(500): socket.create_connection(where).close()
threads = [threading.Thread(target=row) for _ in range(4)]
for thread in threads: thread.start()
for thread in threads: thread.join()
async def one(): (await asyncio.open_connection(*where))[1].close()
async def main():
    for _ in range(10): await asyncio.gather(*[one() for _ in range(100)])
asyncio.run(main())
# Sockets that never connect are given up when they are closed.
for _ in range(5000): socket.socket().close()
kept = [socket.socket() for _ in range(900)]
print("done")
""")
    done = workspace.run(script, network=f"127.0.0.1:{granted.port}")
    assert (done.code, done.out, done.refused) == (0, "done\n", []), done


def test_what_is_kept_for_a_command_is_bounded(workspace):
    script = python("""
import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
kept = []
try:
    while True: kept.append(socket.socket())
except OSError as error: print(error.errno, len(kept))
kept.clear()
socket.socket()
""")
    done = workspace.run(script)
    assert (done.code, done.out) == (0, "24 1024\n"), done


def test_refusals_are_bounded_and_counted(workspace):
    script = python("""
import socket
for port in list(range(1, 51)) * 2:
    socket.socket().connect_ex(("192.0.2.1", port))
""")
    done = workspace.run(script)
    assert len(done.refused) == 33
    assert {line["count"] for line in done.refused[:-1]} == {"2"}
    assert done.refused[-1] == {"refusals_unlisted": "36"}


def test_a_programs_name_is_reported_as_text(workspace):
    name = b"a\tb\\c\n\x1b="
    script = f"import ctypes, socket; ctypes.CDLL(None).prctl(15, {name!r}); socket.socket().connect_ex(('192.0.2.1', 1))"
    done = workspace.run(["/usr/bin/python3", "-c", script])
    assert done.refused[0]["program"] == "a\\tb\\\\c" and len(done.refused) == 1, done


def test_the_time_limit_holds_while_connections_hang(workspace, deaf, granted):
    script = python(f"""
import socket, threading
for _ in range(50):
    threading.Thread(target=lambda: socket.create_connection(("127.0.0.1", {deaf})), daemon=True).start()
socket.create_connection(("127.0.0.1", {granted.port})).close()
print("others go on", flush=True)
threading.Event().wait()
""")
    done = workspace.run(script, network="127.0.0.1:*", timeout_ms=2000, grace_ms=100)
    assert (done.code, done.out) == (124, "others go on\n"), done
    assert done.report["timeout"] is True


def test_a_hanging_connection_ends_with_its_process_a_signal_or_its_timeout(workspace, deaf):
    script = python(f"""
import os, signal, socket, struct, subprocess, sys, time
where = ("127.0.0.1", {deaf})
child = os.fork()
if child == 0: socket.create_connection(where)
time.sleep(0.2)
os.kill(child, signal.SIGKILL)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
class Alarm(Exception): pass
def ring(*arguments): raise Alarm
signal.signal(signal.SIGALRM, ring)
signal.setitimer(signal.ITIMER_REAL, 0.2)
try: socket.create_connection(where)
except Alarm: pass
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, 200000))
assert s.connect_ex(where) == 115
assert s.connect_ex(where) == 114
try: socket.create_connection(where, timeout=0.2)
except TimeoutError: print("ok")
""")
    bare = workspace.bare(script)
    assert bare.out == "ok\n", bare
    done = workspace.run(script, network="127.0.0.1:*")
    assert done.out == "ok\n", done


def test_signals_that_restart_calls_lose_nothing(workspace, granted):
    script = python(f"""
import ctypes, signal, socket, threading
ticks = 0
def tick(*arguments):
    global ticks
    ticks += 1
signal.signal(signal.SIGALRM, tick)
signal.siginterrupt(signal.SIGALRM, False)
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for _ in range(1000):
    s = socket.socket()
    s.connect(("127.0.0.1", {granted.port}))
    s.close()
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    s.close()
signal.setitimer(signal.ITIMER_REAL, 0)
assert ticks > 50
print("done")
""")
    done = workspace.run(script, network=f"127.0.0.1:{granted.port}", listen="loopback")
    assert done.out == "done\n", done


def test_what_is_killed_in_the_middle_of_a_connection_leaves_nothing(workspace, granted):
    script = python(f"""
import os, signal, socket
for _ in range(150):
    child = os.fork()
    if child == 0:
        while True: socket.create_connection(("127.0.0.1", {granted.port})).close()
    os.sched_yield()
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
print("done")
""")
    done = workspace.run(script, network=f"127.0.0.1:{granted.port}")
    assert done.out == "done\n", done


def test_a_process_that_cannot_be_examined_is_refused(workspace, granted):
    script = python(f"""
import ctypes, socket
s = socket.socket()
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
s.connect(("127.0.0.1", {granted.port}))
""")
    done = workspace.run(script, network=f"127.0.0.1:{granted.port}")
    if workspace.uid == 0 and done.code == 0:
        pytest.skip("root may examine everything")
    assert done.code == 1 and "PermissionError" in done.err and done.refused[0]["refused"] == "unseen"
