"""A job whose workspace is a small volume of its own, which a test fills and empties."""

import contextlib
import os
import signal
import subprocess

from job import UID


class SmallDisk:
    """The workspace of `job` as a tmpfs of some MiB; needs root. What the test itself writes lies elsewhere."""

    def __init__(self, job, mib=32):
        self.job = job
        self.filler = job.workspace / "filler"
        options = f"size={mib}m,mode=700,uid={UID},gid={UID}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", job.workspace], check=True)

    def fill(self, leave=0):
        """Takes all the room there is, but for `leave` bytes."""
        with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 65536)
        with open(self.filler, "ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"\0" * 4096)
        if leave:
            os.truncate(self.filler, self.filler.stat().st_size - leave)

    def empty(self):
        self.filler.unlink()

    def room(self):
        status = os.statvfs(self.job.workspace)
        return status.f_bavail * status.f_frsize

    def close(self):
        self.job.kill()
        if self.job.model:
            self.job.model.process.send_signal(signal.SIGCONT)
        subprocess.run(["umount", "-l", self.job.workspace], check=True)
