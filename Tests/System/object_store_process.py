"""The object stores of Tests/ObjectStoreServer as processes, for tests."""

import pathlib
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
START_SECONDS = 60
CREDENTIALS = {"object-store-server": ("key-id", "secret-key"), "openstack-swift": ("test:tester", "testing")}
"""Which are the programs, and who may ask them."""


class ObjectStoreProcess:
    """Runs the program in `folder`; ends it with the `with` block."""

    def __init__(self, program, folder):
        self.program, self.folder = program, pathlib.Path(folder)
        self.key_id, self.secret_key = CREDENTIALS[program]

    def __enter__(self):
        python = REPOSITORY / ".build/python/bin/python3"
        assert python.exists(), "run scripts/install-dependencies test"
        (self.folder / "credentials").write_text(f"{self.key_id} {self.secret_key}")
        # Its first argument is its path: by it Python finds the packages that lie beside it.
        self.process = subprocess.Popen(
            [python, REPOSITORY / "Tests" / "ObjectStoreServer" / self.program, self.folder],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not (self.folder / "port").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"{self.program} did not start (exit {self.process.wait()})")
            time.sleep(0.02)
        self.endpoint = f"http://127.0.0.1:{(self.folder / 'port').read_text().strip()}"
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait(timeout=START_SECONDS)

    def serve(self, job):
        """Makes it the job's store."""
        job.change(AGENT_SNAPSHOT_URL="s3://bucket/agents", AGENT_S3_ENDPOINT=self.endpoint)
        job.put_secret("s3-access-key-id", self.key_id)
        job.put_secret("s3-secret-access-key", self.secret_key)

    def fail(self, fault):
        """From now on every request gets this fault; None ends it. Only `object-store-server` makes faults."""
        # Under its final name at once: it is read at each request.
        new = self.folder / "fault.new"
        new.write_text(fault or "")
        new.rename(self.folder / "fault")

    def requests(self):
        """`METHOD PATH STATUS` of each request that was answered, oldest first."""
        path = self.folder / "requests"
        return path.read_text().splitlines() if path.exists() else []
