"""Servers that a jailed command starts: who reaches them, and that they are nobody else's door."""
import contextlib
import errno
import os
import socket
import subprocess

import pytest

from jailed import python
from outside_servers import fetch

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
print(*s.getsockname(), flush=True)
time.sleep(1000)
"""), listen="loopback")
    own, port = process.stdout.readline().split()
    for host in ("127.0.0.1", "::1", socket.gethostname()):
        with pytest.raises(OSError):
            socket.create_connection((host, port), timeout=10)
    # To another command it is nobody: told as the kernel tells it, unless its own address is asked for.
    other = workspace.run(fetch(port), listen="loopback")
    assert other.code == 7 and other.refused == [], other
    there = python(f"import socket; print(socket.socket().connect_ex(('{own}', {port})))")
    other = workspace.run(there, listen="loopback")
    assert other.out == f"{errno.ECONNREFUSED}\n" and other.refused[0]["target"] == f"{own}:{port}", other
    process.kill()


def test_who_waits_for_his_own_server_is_told_of_no_refusal(workspace):
    done = workspace.run(python("""
import errno, os, socket, time
asked, go = os.pipe()
free = socket.create_server(("127.0.0.1", 0))
port = free.getsockname()[1]
free.close()
if os.fork() == 0:
    os.read(asked, 1)
    server = socket.create_server(("127.0.0.1", port))
    server.accept()
    os._exit(0)
seen = set()
while (code := socket.socket().connect_ex(("127.0.0.1", port))) != 0:
    seen.add(code)
    os.write(go, b"x")
    time.sleep(0.01)
print(seen == {errno.ECONNREFUSED})
"""), listen="loopback")
    assert done.code == 0 and done.out == "True\n" and done.refused == [], done


def test_somebody_elses_server_on_the_loopback_is_a_refusal_that_is_told(workspace):
    for host, family in (("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)):
        with socket.create_server((host, 0), family=family) as server:
            port = server.getsockname()[1]
            there = python(f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {port})))")
            done = workspace.run(there, listen="loopback")
            assert done.out == f"{errno.ECONNREFUSED}\n", done
            assert [one["target"] for one in done.refused] == [f"127.0.0.1:{port}"], (host, done)


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


@pytest.mark.parametrize("device", ["", "lo"])
def test_a_port_that_somebody_else_has_too_leads_from_one_command_to_no_other(workspace, device):
    """Both share it by SO_REUSEPORT: a server that goes just then would leave the connection to the other."""
    share = "s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1); "
    outside = subprocess.Popen(workspace.as_user(["/usr/bin/python3", "-c", (
        f"import socket, sys; {share}s.setsockopt(socket.SOL_SOCKET, 25, {device.encode()!r}); s.bind(('0.0.0.0', 0)); s.listen(); print(s.getsockname()[1], flush=True); input(); "
        "s.setblocking(False)\ntry: s.accept(); print('reached')\nexcept BlockingIOError: print('nobody')")]),
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with outside:
        port = int(outside.stdout.readline())
        serve = f"import socket; {share}s.bind(('127.0.0.1', {port})); s.listen(); print('ready', flush=True); input()"
        server = workspace.start(["/usr/bin/python3", "-c", serve], listen="127.64.0.2", stdin=subprocess.PIPE)
        assert server.stdout.readline() == "ready\n"
        ask = python(f"import socket; print(socket.socket().connect_ex(('127.0.0.1', {port})))")
        done = workspace.run(ask, listen="127.64.0.2")
        assert done.out == f"{errno.ECONNREFUSED}\n", done
        assert [one["target"] for one in done.refused] == [f"127.0.0.1:{port}"], done
        assert workspace.finish(server, "\n").code == 0
        assert outside.communicate("\n")[0] == "nobody\n"


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
