"""The connect broker under load, at the time limit, and when its callers die or are interrupted."""
import contextlib
import socket
import time

import pytest

from jailed import python
from outside_servers import granted  # noqa: F401 (fixture)


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
for _ in range(300):
    s = socket.socket()
    s.connect(("127.0.0.1", {granted.port}))
    s.close()
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen()
    s.close()
signal.setitimer(signal.ITIMER_REAL, 0)
assert ticks > 20
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
    # A program that its user can run and not read is not dumpable (execve(2)).
    connect = f"import socket; socket.create_connection(('127.0.0.1', {granted.port}))"
    script = f"cp $(readlink -f $(command -v python3)) hidden && chmod 0111 hidden && ./hidden -c \"{connect}\""
    done = workspace.run(script, network=f"127.0.0.1:{granted.port}")
    if workspace.uid == 0 and done.code == 0:
        pytest.skip("root may examine everything")
    assert done.code == 1 and "PermissionError" in done.err and done.refused[0]["refused"] == "unseen"


def test_a_flood_of_datagrams_does_not_delay_the_time_limit(workspace):
    """By threads that send many at once, and by ones that wait for room, among thousands of Unix sockets."""
    done = workspace.run(python("""
import ctypes, os, resource, socket, struct, threading
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
held = [socket.socketpair() for _ in range(1500)]
full = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
full.bind("full")
def wait():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect("full")
    while True: s.send(b"x")
libc = ctypes.CDLL(None)
data = ctypes.create_string_buffer(60000)
part = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(data), 60000))
messages = ctypes.create_string_buffer(
    struct.pack("QQQQQQQII", 0, 0, ctypes.addressof(part), 1, 0, 0, 0, 0, 0) * 1024)
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
def flood():
    s = socket.socket(type=socket.SOCK_DGRAM)
    s.connect(("127.0.0.1", server.getsockname()[1]))
    while True: libc.sendmmsg(s.fileno(), messages, 1024, 0)
for work in [wait] * 100 + [flood] * 20: threading.Thread(target=work, daemon=True).start()
threading.Event().wait()
"""), listen="loopback", timeout_ms=1500, grace_ms=0)
    assert done.code == 124 and done.report["timeout"] is True, done
