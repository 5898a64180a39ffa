"""The model server as a process, for tests."""

import json
import os
import pathlib
import subprocess
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = REPOSITORY / "Tests" / "ModelServer" / "model-server"
START_SECONDS = 20


class ModelServerProcess:
    """Runs the model server with `script` (a dict, or a file's path) in `folder`; ends it with the `with` block.

    `under`: a command line to be executed before it."""

    def __init__(self, script, folder, under=()):
        self.folder = pathlib.Path(folder)
        self.under = list(under)
        self.log_path = self.folder / "model-server.log"
        self.script_path = script
        if isinstance(script, dict):
            self.script_path = self.folder / "script.json"
            self.script_path.write_text(json.dumps(script), encoding="utf-8")

    def __enter__(self):
        port_file = self.folder / f"model-server.port.{os.getpid()}"
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [*self.under, str(PROGRAM), "--script", str(self.script_path), "--port", "0", "--log", str(self.log_path),
             "--port-file", str(port_file)], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while not port_file.exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"the model server did not start (exit {self.process.wait()})")
            time.sleep(0.02)
        self.port = int(port_file.read_text(encoding="ascii"))
        self.url = f"http://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        self.exit_code = self.process.wait(timeout=START_SECONDS)

    def log(self):
        """The requests so far, oldest first."""
        # Not splitlines(): it also splits at U+2028, which JSON leaves as it is.
        return [json.loads(line) for line in self.log_path.read_text(encoding="utf-8").split("\n") if line]
