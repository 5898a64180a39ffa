#!/usr/bin/python3
"""Stands in for agentd in test_init.py: obeys PID 1's descriptor contract and does what a script tells it to.

$FAKE/loop and $FAKE/gateway hold a JSON list of behaviours; the nth start takes the nth one, later starts the last.
A behaviour is a list of steps. Every start and what a gateway reads is recorded in $FAKE.
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time

FAKE = os.environ["FAKE"]
ROLE = sys.argv[1]


def record(name, value):
    with open(f"{FAKE}/{name}", "a") as file:
        file.write(json.dumps(value) + "\n")


def flag(name):
    return int(sys.argv[sys.argv.index(name) + 1])


def blocked_and_ignored():
    with open("/proc/self/status") as file:
        fields = dict(line.split(":\t", 1) for line in file if ":\t" in line)
    return {name: fields[name].strip() for name in ("SigBlk", "SigIgn", "NoNewPrivs")}


def queue_signal(number):
    """rt_sigqueueinfo with a forged sender 0 and code SI_QUEUE: what a hostile command would try."""
    info = (ctypes.c_int * 32)(number, 0, -1)
    ctypes.CDLL(None).syscall(129, 1, number, info)


def step(name, *values):
    if name == "status":
        os.write(flag("--status-fd"), values[0].encode() + b"\n")
    elif name == "raw":
        os.write(flag("--status-fd"), values[0].encode("latin-1") * values[1])
    elif name == "out":
        os.write(1, values[0].encode())
    elif name == "err":
        os.write(2, values[0].encode())
    elif name == "live":
        os.write(flag("--live-fd"), values[0].encode())
    elif name == "command":
        record("commands", os.read(flag("--commands-fd"), 4096).decode())
    elif name == "send":
        os.write(flag("--commands-fd"), values[0].encode())
    elif name == "flood":
        for number in range(values[0]):
            os.write(2, f"line {number}\n".encode())
    elif name == "allocate":
        held = bytearray(values[0] << 20)
        held[::4096] = b"x" * len(held[::4096])
    elif name == "on_quit":
        signal.signal(signal.SIGQUIT, lambda *_: ending(values[0]))
    elif name == "exit":
        os._exit(values[0])
    elif name == "die":
        os.kill(os.getpid(), values[0])
    elif name == "sleep":
        time.sleep(values[0])
    elif name == "until":
        while not os.path.exists(f"{FAKE}/{values[0]}"):
            time.sleep(0.01)
    elif name == "touch":
        record(values[0], time.monotonic())
    elif name == "on_term":
        signal.signal(signal.SIGTERM, lambda *_: ending(values[0]))
    elif name == "ignore_term":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif name == "signal_init":
        os.kill(1, values[0])
    elif name == "queue_init":
        queue_signal(values[0])
    elif name == "orphans":
        # Each `sleep` loses its parent at once and dies with all the others.
        subprocess.run(["/bin/sh", "-c", f"i=0; while [ $i -lt {values[0]} ]; do sleep 0.5 & i=$((i+1)); done"])
    elif name == "call":
        record("calls", subprocess.run(values[0], stdout=subprocess.DEVNULL).returncode)
    elif name == "become":
        os.execv(values[0][0], values[0])
    elif name == "background":
        subprocess.Popen(["/bin/sh", "-c", values[0]], start_new_session=True)
    elif name == "zombies":
        stats = [open(f"/proc/{pid}/stat").read() for pid in os.listdir("/proc") if pid.isdigit()]
        record("zombies", sum(stat.rsplit(")", 1)[1].split()[0] == "Z" for stat in stats))
    elif name == "read":
        try:
            record("read", f"{len(open(values[0], 'rb').read())} bytes")
        except OSError as error:
            record("read", error.strerror)
    elif name == "serve":
        serve()
    else:
        raise SystemExit(f"no step {name}")


def ending(steps):
    for one in steps:
        step(*one)


def serve():
    """What a gateway does: reads until the loop's pipes have ended."""
    signal.signal(signal.SIGTERM, lambda *_: record("gateway_signals", "TERM"))
    os.write(flag("--status-fd"), b"beat\n")
    open_pipes = {flag("--loop-stdout-fd"): "stdout", flag("--loop-stderr-fd"): "stderr", flag("--live-fd"): "live"}
    while open_pipes:
        os.write(flag("--status-fd"), b"beat\n")
        for number in select.select(list(open_pipes), [], [], 2)[0]:
            data = os.read(number, 65536)
            if data:
                record("shipped", [open_pipes[number], data.decode()])
            else:
                del open_pipes[number]
    record("gateway_signals", "EOF")
    os._exit(0)


starts = f"{FAKE}/{ROLE}_starts"
count = len(open(starts).readlines()) if os.path.exists(starts) else 0
record(f"{ROLE}_starts", {
    "pid": os.getpid(), "parent": os.getppid(), "session": os.getsid(0), "argv": sys.argv[1:],
    "descriptors": {n: os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                    if os.path.exists(f"/proc/self/fd/{n}") or os.path.islink(f"/proc/self/fd/{n}")},
    "nonblocking": [n for n in (3, 4, 5) if not os.get_blocking(n)],
    "environment": dict(os.environ), "at": time.monotonic(), **blocked_and_ignored(),
})
with open(f"{FAKE}/{ROLE}") as file:
    behaviours = json.load(file)
ending(behaviours[min(count, len(behaviours) - 1)])
