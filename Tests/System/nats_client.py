"""A NATS client of one page, for tests and the demo: Debian 12 packages neither the `nats` tool nor nats.py."""

import base64
import itertools
import json
import secrets
import socket
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

PAYLOAD_LIMIT = 8 * 1024 * 1024


class NATSError(Exception):
    """The server's -ERR, a JetStream error, or a deadline."""


@dataclass
class Message:
    subject: str
    reply: str
    data: bytes
    headers: dict = field(default_factory=dict)

    def json(self):
        return json.loads(self.data)


class NATS:
    """One connection, one thread. Every wait ends after `timeout` seconds with NATSError; after one that ended in the
    middle of a message, the connection is of no more use."""

    def __init__(self, url, timeout=5.0, user=None, password=None, token=None):
        address = urlsplit(url)
        self.timeout = timeout
        self.numbers = itertools.count(1)
        self.pending = {}
        self.socket = socket.create_connection((address.hostname, address.port or 4222), timeout)
        # A request is several small writes: Nagle's algorithm would hold each back for the delayed acknowledgement.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.info = json.loads(self.line().removeprefix(b"INFO "))
        options = {"verbose": False, "pedantic": False, "headers": True, "no_responders": True, "lang": "python",
                   "version": "1", "user": user, "pass": password, "auth_token": token}
        given = {name: value for name, value in options.items() if value is not None}
        self.send(f"CONNECT {json.dumps(given)}\r\n".encode())
        self.flush()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        """Waits for more. (Not a makefile(): after one timeout that refuses to read ever again.)"""
        piece = self.socket.recv(65536)
        if not piece:
            raise NATSError("the server closed the connection")
        self.buffer += piece

    def line(self):
        while b"\r\n" not in self.buffer:
            if len(self.buffer) > PAYLOAD_LIMIT:
                raise NATSError("a line without end")
            self.fill()
        line, _, rest = self.buffer.partition(b"\r\n")
        self.buffer = rest
        return bytes(line)

    def exactly(self, size):
        while len(self.buffer) < size:
            self.fill()
        data = bytes(self.buffer[:size])
        del self.buffer[:size]
        return data

    def flush(self):
        """Returns when the server has seen everything sent so far. Raises its refusal, such as a wrong password."""
        self.send(b"PING\r\n")
        self.read_until(lambda: self.operation() == b"PONG", self.timeout)

    def publish(self, subject, data, reply="", headers=None):
        if headers:
            head = "NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n"
            sizes = f"{len(head.encode())} {len(head.encode()) + len(data)}"
            self.send(f"HPUB {subject} {reply} {sizes}\r\n".encode() + head.encode() + data + b"\r\n")
        else:
            self.send(f"PUB {subject} {reply} {len(data)}\r\n".encode() + data + b"\r\n")

    def subscribe(self, subject):
        """The number of the subscription, for `next`."""
        number = str(next(self.numbers))
        self.pending[number] = []
        self.send(f"SUB {subject} {number}\r\n".encode())
        self.flush()
        return number

    def unsubscribe(self, number):
        self.send(f"UNSUB {number}\r\n".encode())
        self.pending.pop(number, None)

    def next(self, number, timeout=None):
        """The next message of a subscription."""
        self.read_until(lambda: self.pending[number] or self.operation() and False, timeout or self.timeout)
        return self.pending[number].pop(0)

    def request(self, subject, data=b""):
        """The answer to one request."""
        inbox = f"_INBOX.{secrets.token_hex(11)}"
        number = self.subscribe(inbox)
        try:
            self.publish(subject, data, reply=inbox)
            answer = self.next(number)
        finally:
            self.unsubscribe(number)
        if answer.headers.get("status", "").startswith("503"):
            raise NATSError(f"{subject}: nobody answers (no JetStream?)")
        return answer

    def read_until(self, done, timeout):
        deadline = time.monotonic() + timeout
        while True:
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise NATSError(f"nothing came within {timeout} s")
            self.socket.settimeout(remaining)
            try:
                if done():
                    return
            except TimeoutError as error:
                raise NATSError(f"nothing came within {timeout} s") from error
            finally:
                self.socket.settimeout(self.timeout)

    def operation(self):
        """Reads one operation of the server; a message goes to its subscription."""
        line = self.line()
        word, _, rest = line.partition(b" ")
        if word == b"PING":
            self.send(b"PONG\r\n")
        elif word == b"-ERR":
            raise NATSError(rest.decode())
        elif word in (b"MSG", b"HMSG"):
            self.message(word == b"HMSG", rest.decode().split())
        return word

    def message(self, has_headers, words):
        sizes = [int(size) for size in words[-2 if has_headers else -1:]]
        subject, number, reply = words[0], words[1], words[2] if len(words) > 2 + len(sizes) else ""
        if sizes[-1] > PAYLOAD_LIMIT:
            raise NATSError(f"{subject}: a message of {sizes[-1]} bytes")
        payload = self.exactly(sizes[-1] + 2)[:-2]
        headers = {}
        if has_headers:
            first, *lines = payload[:sizes[0]].decode().strip().split("\r\n")
            headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
            headers["status"] = first.removeprefix("NATS/1.0").strip()
            payload = payload[sizes[0]:]
        if number in self.pending:
            self.pending[number].append(Message(subject, reply, payload, headers))

    def jetstream(self, method, **arguments):
        """One call of the JetStream API: `jetstream("STREAM.INFO.logs")`."""
        answer = self.request(f"$JS.API.{method}", json.dumps(arguments).encode() if arguments else b"").json()
        if "error" in answer:
            raise NATSError(f"{method}: {answer['error']['description']} ({answer['error']['err_code']})")
        return answer

    def stream_of(self, subject):
        """The name of the stream that keeps `subject`, or None."""
        return next(iter(self.jetstream("STREAM.NAMES", subject=subject).get("streams") or []), None)

    def stored(self, subject):
        """The messages that JetStream keeps for `subject`, oldest first, as (stream sequence, JSON)."""
        stream = self.stream_of(subject)
        if stream is None:
            return
        # Never ask beyond the end: nats-server 2.9.10 can crash on it while the stream is still empty.
        sequence, last = 0, self.jetstream(f"STREAM.INFO.{stream}")["state"]["last_seq"]
        while sequence < last:
            try:
                found = self.jetstream(f"STREAM.MSG.GET.{stream}", seq=sequence + 1, next_by_subj=subject)["message"]
            except NATSError as error:
                if "10037" in str(error):  # no message found
                    return
                raise
            sequence = found["seq"]
            # The API carries the payload in base64; json.loads takes the bytes.
            yield sequence, json.loads(base64.b64decode(found["data"]))
