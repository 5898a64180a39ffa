"""`agentd loop` that dies, stops or is failed at a chosen call (fault_points.c)."""

import functools
import pathlib
import subprocess

from job import programs

SOURCE = pathlib.Path(__file__).with_name("fault_points.c")


@functools.cache
def library():
    """The preloaded library, where UID 1000 can read it."""
    built = programs() / "fault_points.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", built, SOURCE, "-ldl"], check=True)
    return built


def settings(log=None, at=None, what="kill"):
    """The environment for one run: `at` is a point, "fdatasync wal 12"; `what` is kill, stop or an errno."""
    given = {"LD_PRELOAD": str(library())}
    if log:
        given["FAULT_LOG"] = str(log)
    if at:
        given |= {"FAULT_AT": at, "FAULT_DO": str(what)}
    return given


def points(log):
    """The points of a run that had `log`, in order."""
    with open(log, encoding="ascii") as lines:
        return [line.rstrip("\n") for line in lines]


def log_file(folder):
    """A file that the jobs' user may write points to."""
    path = pathlib.Path(folder) / "points"
    path.touch()
    path.chmod(0o666)
    return path
