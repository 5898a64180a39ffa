"""Unix sockets in the jail: a command's own work, nobody else's can be reached."""
import contextlib
import socket
import subprocess

import pytest

from jailed import python


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


def test_a_client_that_has_bound_a_name_is_accepted_once_and_seen_by_it(workspace):
    done = workspace.run(python("""
import socket
for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
    for path, name in (("server", "client"), ("\\0server", "\\0client")):
        path, name = path + str(int(kind)), name + str(int(kind))
        server = socket.socket(socket.AF_UNIX, kind)
        server.bind(path)
        server.listen(5)
        client = socket.socket(socket.AF_UNIX, kind)
        client.bind(name)
        client.connect(path)
        client.sendall(b"hello")
        accepted, peer = server.accept()
        assert peer == (name if name[0] != chr(0) else name.encode()), peer
        assert accepted.recv(10) == b"hello"
        server.setblocking(False)
        try: raise SystemExit(f"accepted twice: {server.accept()}")
        except BlockingIOError: pass
print("once")
"""))
    assert done.out == "once\n", done


def test_a_name_of_its_own_opens_nobody_elses_server(foreign):
    done = foreign.run(python("""
import os, socket
client = socket.socket(socket.AF_UNIX)
client.bind("client")
client.connect(os.environ["TMPDIR"] + "/stream")
"""))
    assert done.code == 1 and "PermissionError" in done.err, done
    assert [one["refused"] for one in done.refused] == ["connect-unix"], done


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


@pytest.mark.parametrize("kind", ["STREAM", "DGRAM", "SEQPACKET"])
def test_an_abstract_name_is_free_again_at_once(workspace, kind):
    done = workspace.run(python(f"""
import socket
for _ in range(5):
    with socket.socket(socket.AF_UNIX, socket.SOCK_{kind}) as s: s.bind("\\0again")
"""))
    assert done.code == 0, done


FOREIGN = {
    "in a folder of its own": "connect(os.environ['TMPDIR'] + '/stream')",
    "beside the project": "connect(os.environ['OUTSIDE'] + '/stream')",
    "through a link": "os.path.islink('l') or os.symlink(os.environ['OUTSIDE'] + '/stream', 'l'); connect('l')",
    "through ..": "connect('../checkpoints/stream')",
    "through its working directory": "os.chdir(os.environ['TMPDIR']); connect('stream')",
    "put in the place of its own": "swap()",
    "by a datagram": "socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b'x', os.environ['OUTSIDE'] + '/datagram')",
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


def test_not_even_a_connection_that_is_closed_at_once_reaches_an_abstract_socket_outside(workspace):
    """The broker connects before it looks whose the socket is; of abstract ones the janitor's own domain keeps it."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{workspace.root}")
        listener.listen()
        listener.setblocking(False)
        script = python("import os, socket, sys; socket.socket(socket.AF_UNIX).connect('\\0' + sys.argv[1])")
        assert workspace.bare(f"{script} {workspace.root}").code == 0
        listener.accept()[0].close()
        done = workspace.run(f"{script} {workspace.root}")
        assert done.code == 1 and done.refused[0]["refused"] == "connect-unix", done
        with pytest.raises(BlockingIOError):
            listener.accept()


OTHER = """
import os, socket, sys
names = [sys.argv[1], "\\0" + sys.argv[1]]
listeners = [socket.socket(socket.AF_UNIX) for _ in names]
for listener, name in zip(listeners, names):
    listener.bind(name)
    listener.listen()
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("kind, mark", [("path", ""), ("abstract name", "\\0")])
def test_another_commands_sockets_cannot_be_connected_to(workspace, kind, mark):
    name = workspace.tmp / "other"
    other = workspace.start(f"{python(OTHER)} {name}", stdin=subprocess.PIPE)
    assert other.stdout.readline() == "ready\n"
    script = python(f"import os, socket; socket.socket(socket.AF_UNIX).connect('{mark}' + os.environ['TMPDIR'] + '/other')")
    bare, done = workspace.bare(script), workspace.run(script)
    assert bare.code == 0, bare
    assert done.code == 1 and "PermissionError" in done.err, done
    assert workspace.finish(other).code == 0


RACE = """
import ctypes, os, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
own, foreign = (struct.pack("=H107s", 1, os.fsencode(os.environ["TMPDIR"] + name)) for name in ("/own___", "/stream"))
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["TMPDIR"] + "/own___")
listener.listen(64)
buffer = ctypes.create_string_buffer(own, 109)
stop = False
def flip():
    while not stop:
        ctypes.memmove(buffer, foreign, 109)
        ctypes.memmove(buffer, own, 109)
threading.Thread(target=flip, daemon=True).start()
sys.setswitchinterval(0.00001)
reached = 0
for _ in range(int(sys.argv[1])):
    if reached == 3: break
    with socket.socket(socket.AF_UNIX) as s:
        if libc.connect(s.fileno(), buffer, 109) != 0: continue
        if s.getpeername().endswith("/stream"): reached |= 2
        else:
            reached |= 1
            listener.accept()[0].close()
stop = True
os.unlink(os.environ["TMPDIR"] + "/own___")
print(reached)
"""


def test_no_change_of_the_path_in_memory_reaches_somebody_elses(foreign):
    bare = foreign.bare(python(RACE) + " 1000000")
    assert bare.out == "3\n", "without the jail both are reached, so the race is one"
    done = foreign.run(python(RACE) + " 2000")
    assert done.out == "1\n", done
