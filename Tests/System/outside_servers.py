"""Servers outside of the jail, for the tests of what a command reaches."""
import contextlib
import http.server
import socket
import threading

import pytest


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"hello\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        self.server.seen.append(self.path)


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 1024
    daemon_threads = True

    def __init__(self, family, address):
        self.address_family = family
        self.seen = []
        super().__init__(address, Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self):
        return self.server_address[1]


def fetch(port, host="127.0.0.1"):
    return f"curl -gsS --noproxy '*' --max-time 60 http://{host}:{port}/"


@pytest.fixture(scope="module")
def granted():
    with contextlib.closing(Server(socket.AF_INET, ("127.0.0.1", 0))) as server:
        server.close = server.server_close
        yield server


@pytest.fixture(scope="module")
def forbidden():
    """On all addresses of the host, also those that a command takes for its own."""
    server = Server(socket.AF_INET6, ("::", 0))
    yield server
    server.server_close()
