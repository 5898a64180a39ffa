"""An internet of the test's own in a network namespace: public and private addresses, names for them, servers on all.

No packet leaves it: the namespace has a loopback and nothing else. The ranges for documentation count as public there;
what stands on the private addresses is as reachable as they are, so that what is not reached has been refused.
"""
import json
import os
import pathlib
import subprocess
import time

import pytest

from container import run

HERE = pathlib.Path(__file__).resolve().parent
STARTS = 20

DNS = "198.51.100.53"
SITE, SITE6, LLM, EVIL = "203.0.113.10", "2001:db8::10", "203.0.113.20", "203.0.113.66"
PROXY, NATS = "10.96.0.31", "10.96.0.42"
"""Addresses of Services of the cluster."""

PUBLIC = [DNS, SITE, SITE6, LLM, EVIL]
PRIVATE = [
    "10.0.0.5", "172.16.0.5", "172.31.255.5", "192.168.0.5", "100.64.0.5", "192.0.0.192", "198.18.0.5", "169.254.169.254",
    "169.254.20.10", "240.0.0.5", "fd00:ec2::254", "fc00::5", "fec0::5", "64:ff9b::a9fe:a9fe", "2002:a00:5::5", "2001::a00:5",
    # One of each part of IPv6 that is not global unicast, 2000::/3.
    "::ffff:0:a00:5", "1::5", "2::5", "4::5", "8::5", "10::5", "20::5", "40::5", "80::5", "100::5", "200::5", "400::5",
    "800::5", "1000::5", "4000::5", "8000::5",
]  # fmt: skip
"""Beside the loopbacks: private networks, metadata services, NodeLocal DNS, NAT64, 6to4, Teredo, what is reserved."""

NEEDS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root may make a network namespace")

NAMES = {
    "dns": [[DNS]],
    "git.example.org": [[SITE, SITE6]], "packages.example.org": [[SITE, SITE6]], "example.org": [[SITE]],
    "api.anthropic.com": [[LLM]],
    "egress-proxy.agents.svc": [[PROXY]], "nats.nats.svc": [[NATS]],
}  # fmt: skip


class Internet:
    """`names`: what DNS answers, beside NAMES; internet_server.py says how."""

    def __init__(self, folder, names=None):
        self.folder = pathlib.Path(folder)
        self.name = f"agent-init-{os.getpid()}"
        self.certificate = self.folder / "certificate.pem"
        self.process = None
        self.folder.mkdir(mode=0o755)
        self.know({**NAMES, **(names or {})})
        self.pass_on({})

    # MARK: Life

    def __enter__(self):
        # One that was left by a run that was killed, if its pid has come again.
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, timeout=60)
        run("ip", "netns", "add", self.name)
        try:
            self.furnish()
        except BaseException:
            self.__exit__()
            raise
        return self

    def furnish(self):
        run("ip", "-netns", self.name, "link", "set", "lo", "up")
        for address in [*PUBLIC, *PRIVATE, PROXY, NATS]:
            run("ip", "-netns", self.name, "address", "add", address, "dev", "lo")
        # What `ip netns exec` lays over /etc/resolv.conf.
        run("install", "--directory", f"/etc/netns/{self.name}")
        run("tee", f"/etc/netns/{self.name}/resolv.conf", input=f"nameserver {DNS}\n")
        alternatives = ",".join(f"DNS:{name}" for name in ("example.org", "*.example.org", "api.anthropic.com"))
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=the internet of a test", "-addext", f"subjectAltName={alternatives}",
            "-keyout", self.folder / "key.pem", "-out", self.certificate)
        self.process = self.start("/usr/bin/python3", "-B", HERE / "internet_server.py", self.folder)
        deadline = time.monotonic() + STARTS
        while not (self.folder / "ready").exists():
            assert self.process.poll() is None and time.monotonic() < deadline, "the internet of the test did not start"
            time.sleep(0.02)

    def __exit__(self, *exception):
        if self.process:
            self.process.terminate()
            self.process.wait(timeout=STARTS)
        run("ip", "netns", "delete", self.name)
        run("rm", "--recursive", "--force", f"/etc/netns/{self.name}")

    @property
    def inside(self):
        """The beginning of a command line that is run in there, with its names."""
        return ["ip", "netns", "exec", self.name]

    def start(self, *command):
        """Starts a program in there."""
        return subprocess.Popen([*self.inside, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # MARK: What is there

    def know(self, names):
        """From now on DNS knows exactly these names."""
        self.names = names
        self.put("names.json", names)

    def pass_on(self, ports):
        """TLS at these addresses ends there, and what is inside goes on to a port of the namespace's loopback."""
        self.put("pass.json", ports)

    def put(self, name, value):
        (self.folder / f"{name}.new").write_text(json.dumps(value))
        (self.folder / f"{name}.new").rename(self.folder / name)

    def site(self, host):
        """The folder of a host's files."""
        folder = self.folder / "www" / host
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def seen(self):
        """What has been asked for so far, of DNS and HTTP."""
        try:
            return [json.loads(line) for line in (self.folder / "seen.jsonl").read_text().splitlines()]
        except FileNotFoundError:
            return []

    def reached(self):
        """The addresses that HTTP requests have come to so far."""
        return {one["address"] for one in self.seen() if "address" in one}

    def looked_up(self):
        return {one["dns"] for one in self.seen() if "dns" in one}


