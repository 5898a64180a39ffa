"""What a job's model and its log are told of what the jail refused, and how its commands reach each other."""
import contextlib
import http.server
import json
import threading

import pytest

from job import free_port
from turns import execute, job_of, turn


@pytest.fixture
def site():
    """A server of the pod that is no command's."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", "6")
            self.end_headers()
            self.wfile.write(b"hello\n")

        def log_message(self, *arguments):
            pass

    with contextlib.closing(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as server:
        server.close = server.server_close
        server.seen = seen
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def executed(job):
    """The results of the job's commands, in order."""
    return list(job.journal().results("execute").values())


def fetch(server):
    return f"curl -sS --noproxy '*' http://127.0.0.1:{server.server_port}/"


def test_a_refusal_is_told_to_the_model_and_to_the_log(new_job, site):
    port = site.server_port
    job = new_job(job_of(turn(execute(fetch(site)), execute("echo x > /etc/hosts"))), AGENT_NETWORK="192.0.2.1:443")
    ended = job.run()
    assert ended.code == 0, ended
    assert site.seen == []
    first, second = executed(job)[:2]
    sentence = f"connecting to 127.0.0.1:{port} (curl): nothing that this job has started listens there"
    assert f"the jail refused: {sentence}" in first["content"] and "only 192.0.2.1:443" in first["content"]
    assert "the jail refused: /etc/hosts lies outside what a command may write" in second["content"]
    [refused] = first["facts"]["refused"]
    assert refused["target"] == f"127.0.0.1:{port}" and refused["program"] == "curl" and refused["rule"] == "network"
    records = [record for record in ended.records if "refusals" in record.get("attributes", {})]
    assert len(records) == 2 and {record["severity_text"] for record in records} == {"WARN"}, records
    assert records[0]["attributes"]["refused"][0]["target"] == f"127.0.0.1:{port}"


def test_the_proxy_is_reached_by_its_address_and_port_alone(new_job, site):
    proxy = f"http://127.0.0.1:{site.server_port}"
    job = new_job(
        job_of(turn(execute("curl -sS http://example.invalid/x"),
                    execute(f"curl -sS --noproxy '*' http://127.0.0.2:{site.server_port}/y || echo refused"))),
        HTTP_PROXY=proxy, NO_PROXY="127.0.0.1")
    assert job.run().code == 0
    first, second = executed(job)[:2]
    assert first["content"] == "exit code 0\nhello\n"
    assert "refused\n" in second["content"] and site.seen == ["http://example.invalid/x"]


def test_commands_of_one_job_reach_each_others_servers_and_nobody_elses(new_job):
    port = free_port()
    serve = execute(f"echo from the job > page; python3 -m http.server {port} 2>&1", background=True)
    ask = execute(f"curl -sS --retry 20 --retry-connrefused --retry-delay 1 http://127.0.0.1:{port}/page")
    job = new_job(job_of(turn(serve), turn(ask)))
    assert job.run().code == 0
    results = [result["content"] for result in executed(job)]
    assert any(content.startswith("exit code 0\n") and content.endswith("from the job\n") for content in results), results


def test_a_name_grants_the_addresses_that_it_has_now(new_job, site):
    job = new_job(job_of(turn(execute(fetch(site)))), AGENT_NETWORK=f"localhost:{site.server_port}", AGENT_NETWORK_LISTEN="none")
    assert job.run().code == 0
    assert executed(job)[0]["content"] == "exit code 0\nhello\n"


@pytest.mark.parametrize("name, value", [("AGENT_NETWORK", "everything"), ("AGENT_NETWORK_LISTEN", "all")])
def test_what_is_not_accepted_is_exit_78_with_the_setting(new_job, name, value):
    ended = new_job(job_of(), **{name: value}).run()
    assert ended.code == 78 and name in json.dumps(ended.message), ended
