"""The model server fails as the real APIs and their networks fail, as often as its script says."""

import http.client
import json
import shutil
import subprocess

import pytest

from model_client import ANTHROPIC, USER, anthropic, anthropic_events, post
from model_server_process import ModelServerProcess


def fault(tmp_path, fault, **turn):
    text = "A text of some length, in pieces."
    return ModelServerProcess({"turns": [{"text": text, **turn, "fault": fault}]}, tmp_path)


def test_a_status_fault_is_given_as_often_as_said(tmp_path):
    with fault(tmp_path, {"status": 529, "headers": {"retry-after": "3"}, "times": 2}) as server:
        answers = [post(server, "/v1/messages", ANTHROPIC, anthropic([USER])) for _ in range(3)]
        assert [answer[0] for answer in answers] == [529, 529, 200]
        assert answers[0][1]["retry-after"] == "3"
        assert json.loads(answers[0][2])["error"]["type"] == "overloaded_error"


def test_a_status_fault_may_have_a_body_that_is_no_json(tmp_path):
    with fault(tmp_path, {"status": 502, "body": "<html>Bad Gateway</html>"}) as server:
        assert post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))[2] == b"<html>Bad Gateway</html>"


def test_a_cut_ends_the_connection_in_the_middle(tmp_path):
    with fault(tmp_path, {"cut_after_events": 3}) as server:
        with pytest.raises(http.client.IncompleteRead) as cut:
            post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))
        assert len(anthropic_events(cut.value.partial)) == 3
        events = anthropic_events(post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))[2])
        assert events[-1]["type"] == "message_stop"


def test_a_clean_cut_is_a_whole_http_body_without_the_terminal_event(tmp_path):
    with fault(tmp_path, {"cut_after_events": 3, "clean": True}) as server:
        body = post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))[2]
        assert len(anthropic_events(body)) == 3


def test_without_streaming_a_cut_falls_into_the_body(tmp_path):
    with fault(tmp_path, {"cut_after_events": 1}) as server:
        with pytest.raises(http.client.IncompleteRead):
            post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))


def test_an_error_event_follows_a_200(tmp_path):
    with fault(tmp_path, {"error_event": "overloaded_error", "after_events": 2}) as server:
        status, _, body = post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))
        events = anthropic_events(body)
        assert status == 200 and len(events) == 3
        assert events[-1]["type"] == "error" and events[-1]["error"]["type"] == "overloaded_error"


def test_a_stall_is_silence_on_an_open_connection(tmp_path):
    with fault(tmp_path, {"stall_ms": 20_000}) as server:
        with pytest.raises(TimeoutError):
            post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True), timeout=1)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_reads_the_stream_and_notices_a_cut(tmp_path):
    with fault(tmp_path, {"cut_after_events": 2}) as server:
        command = ["curl", "-sS", "-N", f"{server.url}/v1/messages", "-d", json.dumps(anthropic([USER], stream=True))]
        for name, value in ANTHROPIC.items():
            command += ["-H", f"{name}: {value}"]
        assert subprocess.run(command, capture_output=True, timeout=30).returncode == 18
        whole = subprocess.run(command, capture_output=True, timeout=30)
        assert whole.returncode == 0 and anthropic_events(whole.stdout)[-1]["type"] == "message_stop"
