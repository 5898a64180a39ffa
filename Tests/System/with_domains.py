#!/usr/bin/python3
"""Executes a program within so many Landlock domains, which refuse it next to nothing: with_domains.py COUNT PROGRAM…

The kernel takes 16 (LANDLOCK_MAX_NUM_LAYERS). With `all` in COUNT's place as many as there is room for."""
import ctypes
import os
import struct
import sys

CREATE, RESTRICT, BIND_TCP = 444, 446, 1
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
attributes = struct.pack("=QQ", 0, BIND_TCP)
ruleset = libc.syscall(CREATE, attributes, len(attributes), 0)
if ruleset < 0:
    sys.exit(f"with_domains.py: {os.strerror(ctypes.get_errno())}")
count = 0
while str(count) != sys.argv[1] and libc.syscall(RESTRICT, ruleset, 0) == 0:
    count += 1
if sys.argv[1] not in (str(count), "all"):
    sys.exit(f"with_domains.py: there was room for {count} only")
os.environ["DOMAINS"] = str(count)
os.execv(sys.argv[2], sys.argv[2:])
