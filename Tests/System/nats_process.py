"""nats-server as a process, for tests and the demo."""

import json
import os
import pathlib
import shutil
import subprocess
import time

START_SECONDS = 20


def program():
    """nats-server's path, or None. Debian installs it to /usr/sbin, which is not on an ordinary user's PATH."""
    return shutil.which("nats-server", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class NATSProcess:
    """A server with JetStream on a free port of the loopback, its files in `folder`; ends with the `with` block."""

    def __init__(self, folder, *options):
        self.folder = pathlib.Path(folder)
        self.options = options

    def __enter__(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "nats-server.log", "ab") as log:
            self.process = subprocess.Popen(
                [program(), "-js", "-sd", str(self.folder / "store"), "-a", "127.0.0.1", "-p", "-1",
                 "--ports_file_dir", str(self.folder), *self.options], stdout=log, stderr=log)
        ports = self.folder / f"nats-server_{self.process.pid}.ports"
        deadline = time.monotonic() + START_SECONDS
        while True:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"nats-server did not start (exit {self.process.wait()}), see {self.folder}")
            try:
                self.url = json.loads(ports.read_text(encoding="ascii"))["nats"][0]
                return self
            except (OSError, ValueError):
                time.sleep(0.02)

    def __exit__(self, *exception):
        self.process.terminate()
        try:
            self.process.wait(timeout=START_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
