"""The HTTP side: a request in, one log line, the scripted answer out."""

import json
import socketserver
import sys
import threading
import time
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from . import anthropic, openai
from .conversation import compact
from .errors import APIError, ScriptError, invalid

BODY_LIMIT = 32 * 1024 * 1024
CONNECTION_LIMIT = 64
LOGGED_TEXT_LIMIT = 64 * 1024
IDLE_SECONDS = 120


class ModelServer(ThreadingHTTPServer):
    """Answers from `script`. The faults still owed are its only state."""

    daemon_threads = True
    # A client that starts many connections at once waits instead of being refused.
    request_queue_size = 128

    def __init__(self, address, script, log):
        super().__init__(address, Handler)
        self.script = script
        self.log = log
        self.lock = threading.Lock()
        self.faults_given = {}
        self.slots = threading.BoundedSemaphore(CONNECTION_LIMIT)

    def server_bind(self):
        # Not HTTPServer's: that one asks DNS for the name of 127.0.0.1, which can take seconds.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        self.slots.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.slots.release()

    def turn(self, conversation):
        """The scripted turn for `conversation`. Raises ScriptError where the two do not fit."""
        turns, position = self.script["turns"], conversation.position
        turn = turns[position] if position < len(turns) else self.script.get("after")
        if turn is None:
            raise ScriptError(f"turn {position}: the script ends after {len(turns)} turns and has no \"after\"")
        for call in turn.get("tools", []):
            if call["name"] not in conversation.tools and not turn.get("unoffered"):
                raise ScriptError(f"turn {position}: calls {call['name']!r}, which was not offered; offered are "
                                  f"{', '.join(conversation.tools) or 'none'}")
        for wanted in turn.get("expect", []):
            if wanted not in conversation.last_text:
                raise ScriptError(f"turn {position}: expected {wanted!r} in the last user message; it was "
                                  f"{conversation.last_text[:2000]!r}")
        return turn

    def fault(self, turn, path, position):
        """The fault of `turn`, if one is still owed to `path` at `position`; takes it."""
        fault = turn.get("fault")
        if fault is None:
            return None
        with self.lock:
            given = self.faults_given.get((path, position), 0)
            if given >= fault.get("times", 1):
                return None
            self.faults_given[path, position] = given + 1
        return fault

    def record(self, entry):
        """One line, written before the first byte of the answer: whoever has an answer finds its line."""
        if self.log is None:
            return
        with self.lock:
            self.log.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self.log.flush()

    def handle_error(self, request, client_address):
        # A client that was killed in the middle of an answer is what the tests are for: no traceback.
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "model-server"
    timeout = IDLE_SECONDS
    # A stream is many small writes: Nagle's algorithm would hold each back for the delayed acknowledgement.
    disable_nagle_algorithm = True

    def log_message(self, format, *arguments):
        pass

    def do_GET(self):
        models = self.server.script.get("models")
        if self.path.split("?", 1)[0].endswith("/models") and models is not None:
            wire = anthropic if "anthropic-version" in self.headers else openai
            try:
                self.check_key(wire)
            except APIError as error:
                self.refuse(wire, error, {"api": "models"})
                return
            self.note({"api": "models"}, 200)
            listed = [{"id": model, "object": "model", "type": "model"} for model in models]
            self.send_whole(200, compact({"object": "list", "data": listed, "has_more": False}), wire)
            return
        self.refuse(anthropic, APIError(404, "not_found_error", f"Not found: GET {self.path}"), {})

    def do_POST(self):
        path = self.path.split("?", 1)[0]
        if path.endswith("/v1/messages"):
            wire, api = anthropic, "anthropic"
        elif path.endswith("/chat/completions"):
            wire, api = openai, "openai"
        else:
            self.close_connection = True
            self.refuse(anthropic, APIError(404, "not_found_error", f"Not found: POST {path}"), {})
            return
        entry = {"api": api}
        try:
            body = self.body()
            self.check_key(wire)
            conversation = self.conversation(wire, body)
            entry.update(position=conversation.position, model=conversation.model, stream=conversation.stream,
                         messages=conversation.messages, system_length=conversation.system_length,
                         tools=conversation.tools, last_text=conversation.last_text[:LOGGED_TEXT_LIMIT])
            turn = self.server.turn(conversation)
        except APIError as error:
            self.refuse(wire, error, entry)
            return
        except ScriptError as error:
            # Not to be tried again: the same request would meet the same script.
            refusal = APIError(500, "api_error", f"script: {error}")
            self.refuse(wire, refusal, {**entry, "script_error": str(error)}, {"x-should-retry": "false"})
            return
        self.answer(wire, conversation, turn, entry)

    def check_key(self, wire):
        key = self.headers.get("x-api-key")
        scheme, _, bearer = self.headers.get("authorization", "").partition(" ")
        if key is None and scheme.lower() == "bearer":
            key = bearer.strip()
        if not key:
            raise wire.unauthorized("x-api-key header is required" if wire is anthropic
                                    else "You didn't provide an API key.")
        required = self.server.script.get("require_key", key)
        if path := self.server.script.get("require_key_file"):
            with open(path, encoding="utf-8") as file:
                required = file.read().strip()
        if key != required:
            raise wire.unauthorized("invalid x-api-key" if wire is anthropic else "Incorrect API key provided.")

    def body(self):
        length = self.headers.get("content-length")
        if length is None or not length.isdigit():
            self.close_connection = True
            raise APIError(411, "invalid_request_error", "Content-Length is required")
        if int(length) > BODY_LIMIT:
            self.close_connection = True
            self.discard(min(int(length), 2 * BODY_LIMIT))
            raise APIError(413, "request_too_large", "Request exceeds the maximum allowed number of bytes.")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            self.close_connection = True
            raise invalid("the body ends before its Content-Length")
        return body

    def discard(self, length):
        """Reads what nobody wants: closing with unread bytes resets the connection, and the answer is lost with it."""
        while length > 0 and (piece := self.rfile.read(min(length, 65536))):
            length -= len(piece)

    def conversation(self, wire, body):
        try:
            request = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise invalid(f"The request body is not valid JSON: {error}") from error
        try:
            conversation = wire.conversation(request, self.headers, len(body))
        except (AttributeError, TypeError, RecursionError) as error:
            raise invalid(f"a value of another type is wanted: {error}") from error
        if conversation.model != self.server.script.get("require_model", conversation.model):
            raise APIError(404, "not_found_error", f"model: {conversation.model}", "model")
        return conversation

    def refuse(self, wire, error, entry, headers=None):
        self.note(entry, error.status, error=error.message)
        self.send_whole(error.status, compact(wire.error_body(error)), wire, headers)

    def note(self, entry, status, **more):
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        self.server.record({"time": now, "path": self.path, **entry, "status": status, **more})

    def answer(self, wire, conversation, turn, entry):
        fault = self.server.fault(turn, self.path, conversation.position) or {}
        time.sleep(turn.get("delay_ms", 0) / 1000)
        more = {"fault": fault} if fault else {}
        model = self.server.script.get("model", conversation.model)
        if "status" in fault:
            self.note(entry, fault["status"], **more)
            kind = "overloaded_error" if fault["status"] == 529 else "api_error"
            kind = "rate_limit_error" if fault["status"] == 429 else kind
            error = APIError(fault["status"], kind, kind.replace("_error", "").capitalize())
            body = fault.get("body", wire.error_body(error))
            text = body if isinstance(body, str) else compact(body)
            self.send_whole(fault["status"], text, wire, fault.get("headers"))
        elif conversation.stream:
            self.note(entry, 200, **more)
            self.send_stream(wire, wire.events(turn, conversation, model), turn, fault)
        else:
            self.note(entry, 200, **more)
            self.send_whole(200, compact(wire.message(turn, conversation, model)), wire, fault=fault)

    def send_whole(self, status, text, wire, headers=None, fault=None):
        body = text.encode()
        given = {"content-type": "application/json", wire.REQUEST_ID_HEADER: "req_model_server", **(headers or {})}
        self.send_response(status)
        for name, value in given.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        if self.close_connection:
            self.send_header("connection", "close")
        self.end_headers()
        if fault:
            # Without events a fault falls into the middle of the body; an error then can only be a cut.
            self.wfile.write(body[:len(body) // 2])
            self.wfile.flush()
            if "stall_ms" not in fault:
                self.close_connection = True
                return
            time.sleep(fault["stall_ms"] / 1000)
            body = body[len(body) // 2:]
        self.wfile.write(body)

    def send_stream(self, wire, events, turn, fault):
        self.send_response(200)
        self.send_header("content-type", "text/event-stream; charset=utf-8")
        self.send_header("cache-control", "no-cache")
        self.send_header("transfer-encoding", "chunked")
        self.send_header(wire.REQUEST_ID_HEADER, "req_model_server")
        self.end_headers()
        delay = turn.get("chunk_delay_ms", self.server.script.get("chunk_delay_ms", 0)) / 1000
        for index, event in enumerate(events):
            if index == fault.get("cut_after_events"):
                break
            if index == fault.get("after_events", 1):
                if "stall_ms" in fault:
                    time.sleep(fault["stall_ms"] / 1000)
                if "error_event" in fault:
                    self.send_pieces(wire.error_event(fault["error_event"]))
                    break
            if index:
                time.sleep(delay)
            self.send_pieces(event)
        if "cut_after_events" in fault and not fault.get("clean"):
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def send_pieces(self, data):
        size = self.server.script.get("chunk_bytes", len(data))
        for start in range(0, len(data), size):
            piece = data[start:start + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
