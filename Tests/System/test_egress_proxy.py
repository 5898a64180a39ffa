"""The egress proxy of examples/k8s, its own Squid and configuration: what goes through from the jail, and what gets around.

The internet is the test's own (internet.py). Every attempt is also made by a Squid that allows everything, where it must
succeed: one that fails anyway proves nothing.
"""
import contextlib
import json
import subprocess
import zipfile

import pytest

import internet
import kube_play
from container import run
from internet import EVIL, LLM, PRIVATE, PROXY, SITE, SITE6
from job import eventually
from sandbox import Sandbox

pytestmark = internet.NEEDS_ROOT

HANGS = 120
NAMED = "http://egress-proxy.agents.svc:3128"
OPEN, HASTY = 3129, 3130
"""Ports of the Squid that allows everything and of the one that asks DNS again after a second."""


def label(address):
    return "to-" + address.replace(".", "-").replace(":", "x") + ".example.org"


# Names of a domain on the list that lead to what they must not.
LEADING = {label(address): [[address]] for address in [*PRIVATE, "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::"]}
LEADING |= {
    "mapped.example.org": [["::ffff:10.0.0.5"]],
    "alias.example.org": [{"cname": "inside.cluster.local"}],
    "public-and-private.example.org": [[SITE, "10.0.0.5"]],
    "private-and-public.example.org": [["10.0.0.5", SITE]],
    "public-four-private-six.example.org": [[SITE, "fc00::5"]],
    "private-four-public-six.example.org": [["10.0.0.5", SITE6]],
}
# Names of other domains, which look as if they were on the list.
ALIKE = ["evil.example.net", "evil-example.org", "notexample.org", "example.org.evil.example.net", "example.orgs",
         "api.anthropic.com.evil.example.net", "xapi.anthropic.com", "sub.api.anthropic.com", "anthropic.com", "org"]
NAMES = {
    **internet.NAMES, **LEADING, **{name: [[EVIL]] for name in ALIKE},
    "inside.cluster.local": [["10.0.0.5"]],
    "six.example.org": [[SITE6]], "compatible.example.org": [["::169.254.169.254"]], "linked.example.org": [["fe80::5"]],
    "66.113.0.203.in-addr.arpa": [{"ptr": "git.example.org"}],
    "late.example.org": ["SERVFAIL", ["10.0.0.5"]],
    "changing.example.org": [[SITE], ["10.0.0.5"]],
    "alternating.example.org": [[SITE], ["10.0.0.5"]] * 60,
    "returning.example.org": ["NXDOMAIN", ["10.0.0.5"]] * 60,
}  # fmt: skip


def hosted(address):
    return f"[{address}]" if ":" in address else address


def connect(host, port=443):
    return f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n"


def get(url, host=None):
    return f"GET {url} HTTP/1.1\r\nHost: {host or url.split('/')[2]}\r\nConnection: close\r\n\r\n"


# Requests that a proxy without rules carries out, and this one must not.
ATTEMPTS = {f"{name} by TLS": connect(name) for name in [*LEADING, *ALIKE]}
ATTEMPTS |= {f"{name} by HTTP": get(f"http://{name}/reached") for name in [*LEADING, *ALIKE]}
LITERALS = [*PRIVATE, "127.0.0.1", "::1", "::ffff:10.0.0.5", "::ffff:169.254.169.254", SITE, SITE6, EVIL]
ATTEMPTS |= {f"the address {address} by TLS": connect(hosted(address)) for address in LITERALS}
ATTEMPTS |= {f"the address {address} by HTTP": get(f"http://{hosted(address)}/reached") for address in LITERALS}
ATTEMPTS |= {
    "ssh": connect("git.example.org", 22),
    "TLS to the port of HTTP": connect("git.example.org", 80),
    "TLS to another port": connect("git.example.org", 8443),
    "HTTP to the port of ssh": get("http://git.example.org:22/reached"),
    "HTTP to another port": get("http://git.example.org:8443/reached"),
    "a name on the list for a user": get("http://git.example.org@evil.example.net/reached"),
    "a name on the list for a user and a port": get("http://git.example.org:80@evil.example.net/reached"),
    "another host, one of the list as Host": get("http://evil.example.net/reached", host="git.example.org"),
    "another host by TLS, one of the list as Host":
        "CONNECT evil.example.net:443 HTTP/1.1\r\nHost: git.example.org:443\r\n\r\n",
    "capital letters": connect("EVIL.EXAMPLE.NET"),
}  # fmt: skip
# What not even a proxy without rules carries out here. It must be refused all the same, and not looked up.
HOPELESS = {
    "an address as a number": connect("2130706433"), "a short address": connect("127.1"),
    "an octal address": connect("0177.0.0.1"), "a hexadecimal address": connect("0x7f000001"),
    "a link-local address of IPv6": connect("[fe80::5]"), "a name that leads to one": connect("linked.example.org"),
    "a name that leads to an IPv4 address in an IPv6 one": connect("compatible.example.org"),
    "a name that leads nowhere": connect("nowhere.example.org"),
    "the cache's own pages": "GET cache_object://egress-proxy/info HTTP/1.0\r\n\r\n",
    "the manager": get("http://egress-proxy:3128/squid-internal-mgr/menu"),
    "ftp": get("ftp://git.example.org/reached"),
    "TLS that the proxy is to make": get("https://git.example.org/reached"),
}  # fmt: skip

CLIENT = r"""
import json, socket, sys
host, port, requests = sys.argv[1], int(sys.argv[2]), json.load(sys.stdin)
answers = {}
for name, request in requests.items():
    with socket.create_connection((host, port), timeout=60) as s:
        s.sendall(request.encode())
        answer = b""
        while b"\r\n" not in answer and (piece := s.recv(65536)): answer += piece
        answers[name] = int((answer.split() + [b"", b"0"])[1])
json.dump(answers, open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    folder = tmp_path_factory.mktemp("egress")
    for opened in (folder, folder.parent):
        opened.chmod(0o755)
    with internet.Internet(folder / "internet", NAMES) as made:
        yield made


def play(network, images, name, **changes):
    """The proxy's pod under a name of its own, with its configuration, after these changes of lines."""
    pod = kube_play.pod_of(kube_play.manifest("Deployment", "egress-proxy"), images)
    pod["metadata"]["name"] = name
    played = kube_play.Played(network.folder.parent / name, network, pod)
    [configuration] = played.others
    text = configuration["data"]["squid.conf"]
    for old, new in changes.values():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    configuration["data"]["squid.conf"] = text
    return played


@contextlib.contextmanager
def listening(played):
    with played:
        eventually("the proxy listens", lambda: "Accepting HTTP Socket" in played.output("squid"))
        yield played


@pytest.fixture(scope="module")
def proxy(network, example_images):
    """As it is shipped."""
    with listening(play(network, example_images, "egress-proxy")) as played:
        yield played


@pytest.fixture(scope="module")
def open_proxy(network, example_images):
    changes = {"port": ("http_port 3128", f"http_port {OPEN}"),
               "rules": ("http_access deny CONNECT !https", "http_access allow all")}
    with listening(play(network, example_images, "open-proxy", **changes)) as played:
        yield played


@pytest.fixture(scope="module")
def jail(network, proxy):
    """Runs a script with `agent-init exec`, in the network namespace, its only way out the proxy by its name."""
    with contextlib.closing(Sandbox()) as sandbox:
        certificate = sandbox.project / "ca.pem"
        sandbox.project.mkdir()
        certificate.write_bytes(network.certificate.read_bytes())
        sandbox.own(sandbox.project, certificate)
        settings = {**sandbox.settings, "HTTPS_PROXY": NAMED, "HTTP_PROXY": NAMED}

        def execute(script, *arguments, input=""):
            trusted = [f"--env={name}={certificate}" for name in ("CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT")]
            line = [*network.inside, *sandbox.line("exec", "--json", *trusted, "--", *script, *arguments)]
            done = subprocess.run(line, env=settings, cwd="/", input=input, capture_output=True, text=True, timeout=HANGS)
            assert done.stdout, done.stderr
            return json.loads(done.stdout)

        execute.bash = lambda script: execute(["bash", "-euo", "pipefail", "-c", script])
        execute.sandbox = sandbox
        yield execute


def logged(proxy, words):
    """Lines of the access log with these words. A tunnel is logged when it ends."""
    return eventually(f"{words} in the access log", lambda: [
        line for line in proxy.output("squid").splitlines() if words in line and "TCP_" in line])


# MARK: What goes through


def test_curl_fetches_by_tls_and_by_http_from_a_domain_of_the_list(jail, network, proxy):
    done = jail.bash("curl -sS https://git.example.org/reached http://packages.example.org/reached")
    assert (done["exit_code"], done["stderr"]["head"]) == (0, ""), done
    first, second = done["stdout"]["head"].splitlines()
    assert {first, second} <= {f"reached {SITE}", f"reached {SITE6}"}
    assert logged(proxy, "CONNECT git.example.org:443") and logged(proxy, "GET http://packages.example.org/reached")
    assert not any(one.get("forwarded_for") for one in network.seen()), "where the pod stands is nobody's business"


def test_a_host_with_an_ipv6_address_alone_is_reached(jail):
    assert jail.bash("curl -sS https://six.example.org/reached")["stdout"]["head"] == f"reached {SITE6}\n"


def test_git_clones(jail, network):
    source = network.folder.parent / "source"
    git = ["git", "-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "init.defaultBranch=main"]
    run(*git, "init", "--quiet", source)
    (source / "file").write_text("from the repository\n")
    run(*git, "-C", source, "add", "--all")
    run(*git, "-C", source, "commit", "--quiet", "--message", "one")
    bare = network.site("git.example.org") / "team/cloned.git"
    run(*git, "clone", "--quiet", "--bare", source, bare)
    run(*git, "-C", bare, "update-server-info")
    done = jail.bash("git clone --quiet https://git.example.org/team/cloned.git && cat cloned/file")
    assert done["stdout"]["head"] == "from the repository\n", done


def test_pip_installs(jail, network):
    folder = network.site("packages.example.org") / "simple/fetched"
    folder.mkdir(parents=True)
    with zipfile.ZipFile(folder / "fetched-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("fetched.py", "print('from the index')\n")
        wheel.writestr("fetched-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: fetched\nVersion: 1.0\n")
        wheel.writestr("fetched-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("fetched-1.0.dist-info/RECORD", "")
    (folder / "index.html").write_text('<a href="fetched-1.0-py3-none-any.whl">fetched-1.0-py3-none-any.whl</a>\n')
    # Isolated from what this machine's pip is set to.
    pip = "/usr/bin/python3 -m pip --isolated --quiet install --user --break-system-packages --no-warn-script-location"
    done = jail.bash(f"{pip} --cert ca.pem --index-url https://packages.example.org/simple/ fetched && /usr/bin/python3 -m fetched")
    assert done["stdout"]["head"] == "from the index\n", done


# MARK: What does not


def status(network, port, requests):
    """What a Squid answers to each request, asked without a jail."""
    run(*network.inside, "/usr/bin/python3", "-c", CLIENT, PROXY, port, network.folder / "answers", input=json.dumps(requests))
    return json.loads((network.folder / "answers").read_text())


def test_every_attempt_succeeds_where_nothing_is_refused(network, open_proxy):
    answers = status(network, OPEN, ATTEMPTS)
    assert {name for name, answer in answers.items() if answer != 200} == set(), answers
    # By what addresses they reach is what makes them attempts.
    assert network.reached() >= {*PRIVATE, "127.0.0.1", "::1", EVIL}


def test_no_attempt_gets_around_the_proxy(jail, network, proxy):
    before = len(network.seen())
    attempts = {**ATTEMPTS, **HOPELESS}
    done = jail(["/usr/bin/python3", "-c", CLIENT, PROXY, "3128", "answers"], input=json.dumps(attempts))
    assert done["exit_code"] == 0, done
    answers = json.loads((jail.sandbox.project / "answers").read_text())
    assert len(answers) == len(attempts)
    # 400 is an answer to what is no request; all else is refused by the rules.
    assert {name for name in ATTEMPTS if answers[name] != 403} == set(), answers
    assert {name for name in HOPELESS if answers[name] not in (400, 403)} == set(), answers
    seen = network.seen()[before:]
    assert [one for one in seen if "address" in one] == []
    # What is not on the list is not even asked for: a question of DNS carries words out.
    ours = {"egress-proxy.agents.svc", "inside.cluster.local", "31.0.96.10.in-addr.arpa"}
    assert {one["dns"] for one in seen if "dns" in one and not one["dns"].endswith(".example.org")} <= ours
    denied = eventually("each attempt is in the access log", lambda: [
        lines for lines in [proxy.output("squid").count("TCP_DENIED/403")] if lines >= len(ATTEMPTS)])
    assert denied


def test_each_request_of_a_connection_is_looked_at(jail):
    line = "curl -sS -w '%{http_code} %{num_connects}\\n'"
    line += " -o /dev/null http://git.example.org/reached -o /dev/null http://evil.example.net/reached"
    assert jail.bash(line)["stdout"]["head"] == "200 1\n403 0\n"


def test_a_name_that_led_nowhere_leads_to_no_private_address_either(network, proxy):
    before = len(network.seen())
    answers = status(network, 3128, {f"{number}": connect("late.example.org") for number in range(20)})
    assert set(answers.values()) == {403}
    assert "late.example.org" in {one.get("dns") for one in network.seen()[before:]}


def test_a_name_that_changes_stays_what_it_was_checked_to_be(network, proxy):
    before = len(network.seen())
    answers = status(network, 3128, {f"{number}": get("http://changing.example.org/reached") for number in range(20)})
    assert set(answers.values()) == {200}
    assert {one["address"] for one in network.seen()[before:] if "address" in one} == {SITE}


FLOOD = r"""
import socket, sys, threading, time
host, port, end = sys.argv[1], int(sys.argv[2]), time.monotonic() + 8
answers = set()
def ask(name):
    while time.monotonic() < end:
        with socket.create_connection((host, port), timeout=60) as s:
            s.sendall(f"GET http://{name}/reached HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode())
            answers.add((name, s.makefile("rb").readline().split()[1].decode()))
names = sys.argv[3:]
threads = [threading.Thread(target=ask, args=(name,)) for name in names for _ in range(6)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(*sorted(f"{name}={answer}" for name, answer in answers))
"""


def test_no_request_slips_through_while_a_name_changes(network, example_images):
    # The same, but names are asked for again after a second and not after a minute: the moments between the check and
    # the connection in which they can change are then many.
    changes = {"port": ("http_port 3128", f"http_port {HASTY}"),
               "floor": ("negative_dns_ttl 1 minute", "negative_dns_ttl 1 second")}
    names = ["alternating.example.org", "returning.example.org"]
    with listening(play(network, example_images, "hasty-proxy", **changes)):
        before = len(network.seen())
        answers = run(*network.inside, "/usr/bin/python3", "-c", FLOOD, PROXY, HASTY, *names).split()
        seen = network.seen()[before:]
    assert {one["address"] for one in seen if "address" in one} == {SITE}
    assert set(answers) == {f"{names[0]}=200", f"{names[0]}=403", f"{names[1]}=403"}, answers
    for name in names:
        assert len([one for one in seen if one.get("dns") == name and one["kind"] == "A"]) >= 4, "it has not changed"


DIRECT = r"""
import json, socket, sys
answers = {}
for address, port in json.load(sys.stdin):
    try:
        socket.create_connection((address, port), timeout=30).close()
        answers[f"{address} {port}"] = "connected"
    except OSError as error:
        answers[f"{address} {port}"] = type(error).__name__
json.dump(answers, open(sys.argv[1], "w"))
"""


def test_past_the_proxy_nothing_is_reached(jail, network):
    targets = [(address, 443) for address in [*PRIVATE, SITE, SITE6, EVIL, LLM, PROXY, "127.0.0.1", "::1"]]
    targets += [(PROXY, 80), (internet.DNS, 53)]
    run(*network.inside, "/usr/bin/python3", "-c", DIRECT, network.folder / "direct", input=json.dumps(targets))
    bare = json.loads((network.folder / "direct").read_text())
    assert set(bare.values()) == {"connected"}, bare
    done = jail(["/usr/bin/python3", "-c", DIRECT, "direct"], input=json.dumps(targets))
    jailed = json.loads((jail.sandbox.project / "direct").read_text())
    assert len(jailed) == len(targets) and set(jailed.values()) <= {"PermissionError", "ConnectionRefusedError"}, jailed
    assert done["refused"]


def test_it_ends_in_order_when_it_is_told_to(network, example_images):
    with listening(play(network, example_images, "ending-proxy", port=("http_port 3128", f"http_port {HASTY}"))) as played:
        played.podman("kill", "--signal=TERM", f"{played.name}-squid")
        assert played.wait("squid") == 0
        assert "Exiting normally" in played.output("squid")
