"""The command line."""

import argparse
import os
import signal
import sys
import threading

from . import script
from .server import ModelServer

USAGE = 2
"""The exit code for a bad command line (argparse's own) and for a bad script."""


def main():
    parser = argparse.ArgumentParser(prog="model-server", description="A scripted model on the real wire formats.")
    parser.add_argument("--script", required=True, metavar="FILE", help="what it answers (README.md)")
    parser.add_argument("--port", required=True, type=port, help="0 for any free one")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--log", metavar="FILE", help="one JSON line for each request is appended here")
    parser.add_argument("--port-file", metavar="FILE", help="the port is written here once requests are taken")
    arguments = parser.parse_args()
    try:
        turns = script.load(arguments.script)
        log = open(arguments.log, "a", encoding="utf-8") if arguments.log else None
        server = ModelServer((arguments.host, arguments.port), turns, log)
    except script.BadScript as error:
        return refuse(f"bad script: {error}")
    except OSError as error:
        return refuse(f"cannot start: {error}")
    return serve(server, arguments)


def port(text):
    number = int(text) if text.isdigit() else -1
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r}: a number from 0 to 65535 is wanted")
    return number


def refuse(message):
    print(f"model-server: {message}", file=sys.stderr)
    return USAGE


def serve(server, arguments):
    """Until SIGTERM or SIGINT."""
    def stop(number, frame):
        # shutdown() waits for the loop that runs in this very thread.
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if arguments.port_file:
        # Renamed into place, so that whoever waits for the file reads a whole number.
        draft = f"{arguments.port_file}.{os.getpid()}"
        with open(draft, "w", encoding="ascii") as file:
            file.write(f"{server.server_port}\n")
        os.replace(draft, arguments.port_file)
    print(f"model-server: http://{arguments.host}:{server.server_port}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.1)
    return 0
