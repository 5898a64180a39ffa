"""Datagrams, of UDP and of Unix sockets, work among a job's own commands, and to what the policy names."""
import errno
import os
import shutil
import socket
import subprocess

import pytest

from datagrams import MANY, WAYS
from jailed import python


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("family, host", [("AF_INET", "127.0.0.1"), ("AF_INET6", "::1"), ("AF_INET", "0.0.0.0")])
def test_a_command_sends_to_its_own_udp_server_and_is_answered(workspace, way, family, host):
    script = python(MANY + f"""
server = socket.socket(socket.{family}, socket.SOCK_DGRAM)
server.bind(("{host}", 0))
to = ("{'127.0.0.1' if host == '0.0.0.0' else host}", server.getsockname()[1])
s = socket.socket(socket.{family}, socket.SOCK_DGRAM)
data = b"question"
{WAYS[way]}
got, sender = server.recvfrom(100)
assert got == data and sender[1] == s.getsockname()[1], (got, sender)
server.sendto(b"answer", sender)
assert s.recv(100) == b"answer"
""")
    assert workspace.bare(script).code == 0
    done = workspace.run(script, listen="loopback")
    assert done.code == 0 and done.refused == [], done


@pytest.mark.parametrize("way", WAYS)
def test_a_command_sends_to_its_own_unix_socket(workspace, way):
    script = python(MANY + f"""
for to in ("socket", os.path.abspath("socket"), "\\0" + os.path.abspath("abstract")):
    server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    server.bind(to)
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    data = b"question"
    {WAYS[way]}
    assert server.recv(100) == data
    server.close()
    if os.path.exists("socket"): os.unlink("socket")
""")
    assert workspace.bare(script).code == 0
    done = workspace.run(script)
    assert done.code == 0 and done.refused == [], done


def test_processes_of_a_command_that_inherit_or_are_sent_a_socket_receive_by_it(workspace):
    done = workspace.run(python("""
import os, socket
server = socket.socket(type=socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 0))
here, there = socket.socketpair()
if os.fork() == 0:
    mine = socket.socket(fileno=socket.recv_fds(here, 1, 1)[1][0])
    assert mine.recv(9) == b"x"
    server.sendto(b"y", ("127.0.0.1", server.getsockname()[1]))
    os._exit(0)
socket.send_fds(there, [b"x"], [server.fileno()])
socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", server.getsockname()[1]))
assert os.wait()[1] == 0 and server.recv(9) == b"y"
"""), listen="loopback")
    assert done.code == 0, done


def test_commands_with_the_same_loopback_send_to_each_other_and_others_do_not(workspace):
    server = workspace.start(["/usr/bin/python3", "-c", """
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1], flush=True)
while (got := s.recvfrom(100))[0] != b"end": s.sendto(got[0].upper(), got[1])
"""], listen="127.64.0.2")
    port = int(server.stdout.readline())
    ask = ("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.sendto(b'%s', ('127.0.0.1', %d)); "
           "print(s.recv(100).decode())")
    done = workspace.run(python(ask % ("hello", port)), listen="127.64.0.2")
    assert done.out == "HELLO\n" and done.refused == [], done
    refused = python("import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('127.0.0.1', %d))\n"
                     "try: s.send(b'x')\nexcept ConnectionRefusedError: print('refused')" % port)
    done = workspace.run(refused, listen="loopback")
    assert done.out == "refused\n" and done.refused == [], done
    end = python("import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'end', ('127.0.0.1', %d))" % port)
    assert workspace.run(end, listen="127.64.0.2").code == 0
    assert workspace.finish(server).code == 0


def test_a_sender_waits_while_the_receiver_has_no_room(workspace):
    script = python("""
import os, socket
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind("socket")
count = int(open("/proc/sys/net/unix/max_dgram_qlen").read()) + 3
eager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
eager.setblocking(False)
eager.connect("socket")
told, tell = os.pipe()
if os.fork() == 0:
    os.read(told, 1)
    assert [server.recv(9) for _ in range(count)] == [b"%d" % n for n in range(count)]
    os._exit(0)
sent = 0
try:
    while True:
        eager.send(b"%d" % sent)
        sent += 1
except BlockingIOError: os.write(tell, b"x")
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect("socket")
for number in range(sent, count): s.send(b"%d" % number)
assert os.wait()[1] == 0 and sent < count
""")
    assert workspace.bare(script).code == 0
    assert workspace.bare("rm socket").code == 0
    done = workspace.run(script)
    assert done.code == 0, done


WRONG = {
    "too long": ("sendto(bytes(65508), to)", errno.EMSGSIZE),
    "no address": ("send(b'x')", errno.EDESTADDRREQ),
    "no port": ("sendto(b'x', ('127.0.0.1', 0))", errno.EINVAL),
    "bound twice": ("bind(to)", errno.EINVAL),
    "listening": ("listen()", errno.EOPNOTSUPP),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_calls_fail_as_without_the_jail(workspace, case):
    code, expected = WRONG[case]
    script = python(f"""
import socket, sys
s = socket.socket(type=socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0))
to = s.getsockname()
try: s.{code}
except OSError as error: print(error.errno)
""")
    assert workspace.bare(script).out == f"{expected}\n"
    assert workspace.run(script, listen="loopback").out == f"{expected}\n"


def test_a_port_that_is_taken_is_taken_and_free_again_once_it_is_closed(workspace):
    script = python("""
import errno, socket
one, two = socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM)
one.bind(("127.0.0.1", 0))
place = ("127.0.0.1", one.getsockname()[1])
try: two.bind(place)
except OSError as error: print(error.errno == errno.EADDRINUSE)
one.close()
two.bind(place)
""")
    for done in (workspace.bare(script), workspace.run(script, listen="loopback")):
        assert done.code == 0 and done.out == "True\n", done


def test_a_program_may_ask_which_address_it_would_have(workspace):
    """By connecting a UDP socket, which sends nothing; what it then sends is refused, and that is told."""
    done = workspace.run(python("""
import socket
s = socket.socket(type=socket.SOCK_DGRAM)
s.connect(("127.0.0.9", 9))
print(s.getsockname()[0])
try: s.send(b"x")
except PermissionError: print("refused")
"""))
    assert done.code == 0 and done.out == "127.0.0.1\nrefused\n", done
    assert [(one["refused"], one["target"]) for one in done.refused] == [("connect", "127.0.0.9:9 by UDP")]


@pytest.mark.parametrize("listen", ["none", "loopback"])
@pytest.mark.parametrize("family, host", [("AF_INET", "127.0.0.9"), ("AF_INET6", "::1")])
@pytest.mark.parametrize("way", WAYS)
def test_what_the_policy_names_is_sent_to_and_answers(workspace, way, family, host, listen):
    with socket.socket(getattr(socket, family), socket.SOCK_DGRAM) as server:
        server.bind((host, 0))
        server.settimeout(60)
        port = server.getsockname()[1]
        process = workspace.start(python(MANY + f"""
s = socket.socket(socket.{family}, socket.SOCK_DGRAM)
data, to = b"question", ("{host}", {port})
{WAYS[way]}
print(s.recv(100).decode())
"""), network=f"[{host}]:{port}" if ":" in host else f"{host}:{port}", listen=listen)
        data, sender = server.recvfrom(100)
        assert data == b"question"
        server.sendto(b"answer", sender)
        done = workspace.finish(process)
    assert done.out == "answer\n" and done.refused == [], done


def test_more_sockets_than_can_send_still_receive(workspace):
    done = workspace.run(python("""
import socket
made = [socket.socket(type=socket.SOCK_DGRAM) for _ in range(300)]
for s in made: s.bind(("127.0.0.1", 0))
for s in made: made[0].sendto(b"x", s.getsockname())
assert all(s.recv(9) == b"x" for s in made)
try: made[-1].sendto(b"x", made[0].getsockname())
except BrokenPipeError: print("the last only receives")
"""), listen="loopback")
    assert done.code == 0 and done.out == "the last only receives\n", done


def test_what_else_asks_for_datagrams_works(workspace):
    script = python("""
import asyncio, logging, logging.handlers, os, socket
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.bind("log")
logging.getLogger().addHandler(logging.handlers.SysLogHandler(os.path.abspath("log")))
logging.warning("hello")
assert log.recv(100) == b"<12>hello\\0"
class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, address): self.transport.sendto(data, address)
class Ask(asyncio.DatagramProtocol):
    def connection_made(self, transport): transport.sendto(b"asyncio")
    def datagram_received(self, data, address): answer.set_result(data)
async def main():
    global answer
    loop = asyncio.get_running_loop()
    answer = loop.create_future()
    server, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    await loop.create_datagram_endpoint(Ask, remote_addr=server.get_extra_info("sockname"))
    print((await answer).decode())
asyncio.run(main())
""")
    assert workspace.bare(script).out == "asyncio\n"
    assert workspace.bare("rm log").code == 0
    done = workspace.run(script, listen="loopback")
    assert done.out == "asyncio\n", done


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node_sends_and_receives_datagrams(workspace):
    code = """
const dgram = require("dgram"), a = dgram.createSocket("udp4"), b = dgram.createSocket("udp4");
a.on("message", (m, from) => a.send(m + "!", from.port, from.address));
b.on("message", m => { console.log(String(m)); a.close(); b.close(); });
a.bind(0, "127.0.0.1", () => b.send("node", a.address().port, "127.0.0.1"));
"""
    done = workspace.run(["node", "-e", code], listen="loopback")
    assert done.code == 0 and done.out == "node!\n", done


@pytest.mark.skipif(os.getuid() != 0, reason="makes a network namespace")
def test_where_there_is_no_ipv6_its_sockets_speak_ipv4(workspace):
    script = ("import socket; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); s.bind(('::', 0))\n"
              "s.sendto(b'x', ('::ffff:127.0.0.1', s.getsockname()[1])); print(s.recv(9))")
    without = "ip link set lo up; echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; "
    jail = [workspace.jail, *workspace.arguments(["/usr/bin/python3", "-c", script], listen="loopback")]
    for line in (["/usr/bin/python3", "-c", script], jail):
        done = subprocess.run(["unshare", "--net", "/bin/sh", "-euc", without + 'exec "$@"', "sh", *workspace.as_user(line)],
                              capture_output=True, text=True, timeout=60)
        assert done.stdout == "b'x'\n", done
