"""Stops a process at one of its system calls, by ptrace(2): for what would otherwise have to happen in just that moment."""
import ctypes
import os
import struct

SEIZE, INTERRUPT, SYSCALL, DETACH, GET_SYSCALL_INFO = 0x4206, 0x4207, 24, 17, 0x420E
TRACESYSGOOD = 1
WALL = 0x40000000
ENTRY = 1

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]


def ptrace(request, pid, address=None, data=None):
    if libc.ptrace(request, pid, address, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x}")


def entered(pid):
    """The number of the call that a stopped process is about to make, None if it is at another place."""
    text = ctypes.create_string_buffer(88)
    ptrace(GET_SYSCALL_INFO, pid, len(text), ctypes.cast(text, ctypes.c_void_p))
    # struct ptrace_syscall_info: op, padding, arch, instruction and stack pointer, and for an entry the number.
    operation, number = struct.unpack_from("=B23xQ", text)
    return number if operation == ENTRY else None


def seize(pid):
    """Begins to trace a process, which stands then."""
    ptrace(SEIZE, pid, None, TRACESYSGOOD)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, WALL)


def run_to(pid, number):
    """Lets it run on to the entry of a system call."""
    signal = 0
    while True:
        ptrace(SYSCALL, pid, None, signal)
        _, status = os.waitpid(pid, WALL)
        assert os.WIFSTOPPED(status), f"it has ended before: {status:#x}"
        stopped = os.WSTOPSIG(status)
        if stopped == 0x85 and entered(pid) == number:
            return
        # A stop of ours, at a call or by SIGTRAP, is no signal of its own.
        signal = 0 if stopped & 0x80 or stopped == 5 or status >> 16 else stopped


def detach(pid):
    ptrace(DETACH, pid)
