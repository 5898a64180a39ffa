#!/usr/bin/python3
"""Executes a program to which the kernel says that it has another ABI of Landlock: with_landlock.py ABI -- PROGRAM…

As a kernel before 6.12 says it. A seccomp filter hands landlock_create_ruleset to this process, which answers the question
for the ABI; rulesets are refused."""
import ctypes
import fcntl
import os
import select
import struct
import sys

LANDLOCK_CREATE_RULESET, EINVAL = 444, 22
# ioctl(2) numbers of linux/seccomp.h: struct seccomp_notif has 80 bytes, struct seccomp_notif_resp has 24.
RECEIVE, SEND = 0xC0502100, 0xC0182101
SECCOMP = {"x86_64": 317, "aarch64": 277}[os.uname().machine]

abi, mark = int(sys.argv[1]), sys.argv.index("--")
instructions = ctypes.create_string_buffer(b"".join([
    struct.pack("=HBBI", 0x20, 0, 0, 0),  # load the call's number
    struct.pack("=HBBI", 0x15, 0, 1, LANDLOCK_CREATE_RULESET),
    struct.pack("=HBBI", 0x06, 0, 0, 0x7FC00000),  # SECCOMP_RET_USER_NOTIF
    struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000),  # SECCOMP_RET_ALLOW
]))


class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("first", ctypes.c_void_p)]


libc = ctypes.CDLL(None, use_errno=True)
libc.prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
program = Program(4, ctypes.addressof(instructions))
listener = -1
if libc.prctl(38, 1, 0, 0, 0) == 0:  # no_new_privs
    # SECCOMP_SET_MODE_FILTER with SECCOMP_FILTER_FLAG_NEW_LISTENER
    listener = libc.syscall(SECCOMP, 1, 8, ctypes.byref(program))
if listener < 0:
    sys.exit(f"with_landlock.py: {os.strerror(ctypes.get_errno())}")
child = os.fork()
if child == 0:
    os.close(listener)
    os.execv(sys.argv[mark + 1], sys.argv[mark + 1 :])
while True:
    ended, status = os.waitpid(child, os.WNOHANG)
    if ended:
        sys.exit(os.waitstatus_to_exitcode(status))
    if not select.select([listener], [], [], 0.02)[0]:
        continue
    asked = bytearray(80)
    fcntl.ioctl(listener, RECEIVE, asked)
    identifier, flags = struct.unpack_from("=Q", asked)[0], struct.unpack_from("=Q", asked, 32 + 16)[0]
    value, error = (abi, 0) if flags == 1 else (0, -EINVAL)  # LANDLOCK_CREATE_RULESET_VERSION
    fcntl.ioctl(listener, SEND, bytearray(struct.pack("=QqiI", identifier, value, error, 0)))
