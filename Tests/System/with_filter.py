#!/usr/bin/python3
"""Executes a program under a seccomp filter that answers some calls itself: with_filter.py NUMBER=ERRNO… -- PROGRAM…

For what a kernel or a container refuses. ERRNO 0 pretends success."""
import ctypes
import os
import struct
import sys

mark = sys.argv.index("--")
program = [struct.pack("=HBBI", 0x20, 0, 0, 0)]  # load the call's number
for rule in sys.argv[1:mark]:
    number, code = (int(part) for part in rule.split("="))
    program.append(struct.pack("=HBBI", 0x15, 0, 1, number))
    program.append(struct.pack("=HBBI", 0x06, 0, 0, 0x00050000 | code))  # SECCOMP_RET_ERRNO
program.append(struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000))  # SECCOMP_RET_ALLOW
instructions = ctypes.create_string_buffer(b"".join(program))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("first", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
filter = Program(len(program), ctypes.addressof(instructions))
if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.addressof(filter), 0, 0):  # no_new_privs, seccomp
    sys.exit(f"with_filter.py: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[mark + 1], sys.argv[mark + 1 :])
