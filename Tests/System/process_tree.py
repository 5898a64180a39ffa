"""A process tree and its end by SIGKILL, as a lost node or `docker kill` would end it."""

import ctypes
import os
import pathlib
import signal
import time

PR_SET_CHILD_SUBREAPER = 36
GONE_SECONDS = 20


def adopt_orphans():
    """Makes this process the parent of every descendant whose parent dies, so that none gets out of `descendants`."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


def processes():
    """Parent, name and state of every process, by pid."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            text = (entry / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # ended meanwhile
        # The name stands in parentheses and may itself contain some.
        name, _, rest = text.partition("(")[2].rpartition(")")
        state, parent = rest.split()[:2]
        found[int(entry.name)] = (int(parent), name, state)
    return found


def descendants(root, without=()):
    """The living descendants of `root` as (pid, name), parents first. `without`: pids left out, with their own."""
    table = processes()
    children = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    result, queue = [], [root]
    while queue:
        for pid in sorted(children.get(queue.pop(0), [])):
            if pid in without:
                continue
            queue.append(pid)
            if table[pid][2] not in "ZX":
                result.append((pid, table[pid][1]))
    return result


def kill_all(without=()):
    """SIGKILL to all descendants of this process, until none lives. Returns those killed as (pid, name), parents first.

    They are stopped first, so that all end at one instant, as when a node is lost: a child that saw its parent die
    would have a moment left in which to act. Needs `adopt_orphans`. Raises AssertionError if one is still there after
    GONE_SECONDS.
    """
    killed = {}
    deadline = time.monotonic() + GONE_SECONDS
    while alive := descendants(os.getpid(), without):
        assert time.monotonic() < deadline, f"still alive after SIGKILL: {alive}"
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid, name in alive:
                killed.setdefault(pid, name)
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass
        time.sleep(0.02)
    return list(killed.items())
