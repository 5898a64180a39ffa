"""All servers of a test's own internet (internet.py), in its network namespace: DNS, HTTP and HTTPS on every address.

    internet_server.py FOLDER     reads FOLDER/names.json at each question; FOLDER/www/HOST holds the files of a host

Appends to FOLDER/seen.jsonl one line for each request with the address that it reached, and for each question of DNS.
Writes FOLDER/ready when all of it listens.
"""
import http.server
import ipaddress
import json
import pathlib
import socket
import socketserver
import ssl
import struct
import sys
import threading

FOLDER = pathlib.Path(sys.argv[1])
A, CNAME, PTR, AAAA = 1, 5, 12, 28
SERVFAIL, NXDOMAIN = 2, 3


def names():
    return json.loads((FOLDER / "names.json").read_text())


def note(**what):
    # One write with O_APPEND: lines of many threads do not mix.
    with open(FOLDER / "seen.jsonl", "ab", buffering=0) as file:
        file.write(json.dumps(what).encode() + b"\n")


def plain(address):
    """The address as text, an IPv4 one without the clothes of IPv6."""
    parsed = ipaddress.ip_address(address.split("%")[0])
    return str(getattr(parsed, "ipv4_mapped", None) or parsed)


# MARK: DNS


class Zone:
    """A name has a list of answers, taken one after the other and the last again and again, for A and AAAA apart. An
    answer is a list of addresses, "NXDOMAIN", "SERVFAIL" or {"cname": NAME}."""

    def __init__(self):
        self.asked = {}
        self.lock = threading.Lock()

    def answer(self, name, kind):
        answers = names().get(name)
        if answers is None:
            return "NXDOMAIN"
        with self.lock:
            number = self.asked[name, kind] = self.asked.get((name, kind), 0) + 1
        return answers[min(number, len(answers)) - 1]


ZONE = Zone()


def packed(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def record(kind, data):
    # 0xc00c: the name of the question. TTL 0: whoever asks again gets the next answer.
    return b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 0, len(data)) + data


def reply(question):
    identifier, _, count = struct.unpack_from("!HHH", question)
    labels, place = [], 12
    while question[place]:
        labels.append(question[place + 1 : place + 1 + question[place]].decode())
        place += 1 + question[place]
    name, (kind,) = ".".join(labels).lower(), struct.unpack_from("!H", question, place + 1)
    note(dns=name, kind={A: "A", AAAA: "AAAA", PTR: "PTR"}.get(kind, kind))
    answer, records, code = ZONE.answer(name, kind), [], 0
    if answer in ("NXDOMAIN", "SERVFAIL"):
        code = {"NXDOMAIN": NXDOMAIN, "SERVFAIL": SERVFAIL}[answer]
    elif isinstance(answer, dict) and "ptr" in answer:
        records = [record(PTR, packed(answer["ptr"]))] if kind == PTR else []
    elif isinstance(answer, dict):
        target = answer["cname"]
        records = [record(CNAME, packed(target))]
        for address in ZONE.answer(target, kind):
            parsed = ipaddress.ip_address(address)
            if kind == (A if parsed.version == 4 else AAAA):
                data = parsed.packed
                records.append(packed(target) + struct.pack("!HHIH", kind, 1, 0, len(data)) + data)
    else:
        addresses = [ipaddress.ip_address(address) for address in answer]
        records = [record(kind, one.packed) for one in addresses if kind == (A if one.version == 4 else AAAA)]
    header = struct.pack("!HHHHHH", identifier, 0x8180 | code, count, len(records), 0, 0)
    return header + question[12 : place + 5] + b"".join(records)


class DNSDatagram(socketserver.BaseRequestHandler):
    def handle(self):
        question, endpoint = self.request
        endpoint.sendto(reply(question), self.client_address)


class DNSStream(socketserver.StreamRequestHandler):
    def handle(self):
        while length := self.rfile.read(2):
            answer = reply(self.rfile.read(struct.unpack("!H", length)[0]))
            self.wfile.write(struct.pack("!H", len(answer)) + answer)


# MARK: HTTP


class Handler(http.server.SimpleHTTPRequestHandler):
    """The files of the host that is named, `/reached` on every address."""

    protocol_version = "HTTP/1.1"

    def setup(self):
        super().setup()
        self.here = plain(self.connection.getsockname()[0])

    def translate_path(self, path):
        self.directory = str(FOLDER / "www" / self.headers.get("Host", "none").split(":")[0])
        return super().translate_path(path)

    def do_GET(self):
        note(address=self.here, port=self.server.server_address[1], host=self.headers.get("Host"), path=self.path,
             forwarded_for=self.headers.get("X-Forwarded-For"))
        if self.path.split("?")[0] == "/reached":
            body = f"reached {self.here}\n".encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        else:
            super().do_GET()

    def log_message(self, *arguments):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 256

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request, client_address):
        pass


class SecureServer(Server):
    """HTTPS, and on the addresses of FOLDER/pass.json TLS before another server: {address: port on the loopback}."""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)

    def finish_request(self, request, client_address):
        here = plain(request.getsockname()[0])
        request = self.context.wrap_socket(request, server_side=True)
        passed = json.loads((FOLDER / "pass.json").read_text()).get(here)
        if passed is None:
            super().finish_request(request, client_address)
            return
        note(address=here, port=443, passed=passed)
        with socket.create_connection(("127.0.0.1", passed)) as other:
            back = threading.Thread(target=copy, args=(other, request), daemon=True)
            back.start()
            copy(request, other)
            back.join()


def copy(source, target):
    try:
        while piece := source.recv(65536):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def main():
    SecureServer.context.load_cert_chain(FOLDER / "certificate.pem", FOLDER / "key.pem")
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    servers = [Server(("::", port), Handler) for port in (22, 80, 8443)] + [SecureServer(("::", 443), Handler)]
    dns = names()["dns"][0][0]
    servers += [socketserver.ThreadingUDPServer((dns, 53), DNSDatagram), socketserver.ThreadingTCPServer((dns, 53), DNSStream)]
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    (FOLDER / "ready").touch()
    threading.Event().wait()


if __name__ == "__main__":
    main()
