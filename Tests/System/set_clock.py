"""`agentd` by a clock that a test sets (set_clock.c)."""

import functools
import pathlib
import struct
import subprocess

from job import programs

SOURCE = pathlib.Path(__file__).with_name("set_clock.c")
DAY = 86_400


@functools.cache
def library():
    """The preloaded library, where UID 1000 can read it."""
    built = programs() / "set_clock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", built, SOURCE, "-ldl"], check=True)
    return built


class SetClock:
    """The clock of a job's processes, in seconds ahead of the real one, from its next start on."""

    def __init__(self, job, ahead=0):
        # Beside the programs: what the loop starts, in its domain, has to read it too.
        self.job, self.path = job, programs() / f"clock-{job.root.name}"
        self.path.touch()
        self.set(ahead)
        job.change(LD_PRELOAD=str(library()), TEST_CLOCK=str(self.path))

    def set(self, ahead):
        """Sets it, also for processes that run."""
        with open(self.path, "r+b") as file:
            file.write(struct.pack("=q", int(ahead * 1000)))

    def right(self):
        """The real clock again, from the job's next start on."""
        self.job.change(LD_PRELOAD=None, TEST_CLOCK=None)


def hurry(job, speed=30):
    """Lets time go faster for the job's processes, for a wait that is long by design; 1 ends it."""
    job.change(LD_PRELOAD=str(library()) if speed > 1 else None, TEST_SPEED=str(speed) if speed > 1 else None)
