"""Ways round the broker while it decides: the descriptor is exchanged, a filter of the command's own answers."""
import platform

import pytest

from jailed import python
from outside_servers import forbidden  # noqa: F401 (a fixture)

SWAP = """
import ctypes, os, socket, struct, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
port = int(sys.argv[2])
address = struct.pack("=HH4s8x", 2, socket.htons(port), socket.inet_aton("127.0.0.1"))
unix = socket.socket(socket.AF_UNIX)
stop = False
def flip():
    while not stop:
        libc.dup2(tcp.fileno(), number)
        libc.dup2(unix.fileno(), number)
tcp, number = socket.socket(), os.dup(unix.fileno())
threading.Thread(target=flip, daemon=True).start()
sys.setswitchinterval(0.00001)
done = False
for _ in range(int(sys.argv[3])):
    done = libc.syscall(int(sys.argv[1]), number, address, 16) == 0
    if done: break
stop = True
print(done)
"""


@pytest.mark.parametrize("call", ["bind", "connect"])
def test_no_change_of_the_descriptor_during_the_call_gets_elsewhere(workspace, forbidden, call):
    """bind(2) of a Unix socket is left to the kernel, which looks the number up anew."""
    number = {"x86_64": {"bind": 49, "connect": 42}, "aarch64": {"bind": 200, "connect": 203}}[platform.machine()][call]
    script = python(SWAP) + f" {number} {forbidden.port if call == 'connect' else 0}"
    assert workspace.bare(f"{script} 1000000").out == "True\n"
    forbidden.seen.clear()
    done = workspace.run(f"{script} 2000")
    assert (done.out, forbidden.seen) == ("False\n", []), done


OWN_FILTER = """
import ctypes, os, socket, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
# Load the call's number; for connect(2) the action, else SECCOMP_RET_ALLOW.
parts = [(0x20, 0, 0, 0), (0x15, 0, 1, int(sys.argv[1])), (0x06, 0, 0, int(sys.argv[2], 16)), (0x06, 0, 0, 0x7fff0000)]
text = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *part) for part in parts))
program = ctypes.create_string_buffer(struct.pack("=H6xQ", len(parts), ctypes.addressof(text)))
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
assert libc.prctl(38, 1, 0, 0, 0) == libc.prctl(22, 2, ctypes.addressof(program), 0, 0) == 0
try: socket.create_connection(("127.0.0.1", int(sys.argv[3])))
except OSError as error: sys.exit(error.errno)
"""
CONNECT = {"x86_64": 42, "aarch64": 203}[platform.machine()]
EACCES, ENOSYS = 13, 38


@pytest.mark.parametrize("action, bare_code, code", [
    ("7fff0000", 0, EACCES), ("7ffc0000", 0, EACCES), ("7ff00000", ENOSYS, EACCES), ("7fc00000", ENOSYS, ENOSYS),
], ids=["allow", "log", "trace", "notify"])
def test_no_filter_of_the_commands_own_answers_in_the_brokers_place(workspace, forbidden, action, bare_code, code):
    """Of several filters the strictest answer holds, and of equal ones the latest (kernel/seccomp.c, seccomp_run_filters):
    a notification of a filter without a listener is ENOSYS."""
    script = python(OWN_FILTER) + f" {CONNECT} {action} {forbidden.port}"
    assert workspace.bare(script).code == bare_code
    forbidden.seen.clear()
    done = workspace.run(script)
    assert (done.code, forbidden.seen) == (code, []), done
