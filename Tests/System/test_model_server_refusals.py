"""The model server refuses what the real APIs refuse, and what does not fit its script."""

import json
import subprocess

import pytest

from model_client import ANTHROPIC, OPENAI, SCRIPT, USER, anthropic, openai, post, result
from model_server_process import PROGRAM, ModelServerProcess

CALLS = {"role": "assistant", "content": [
    {"type": "tool_use", "id": "toolu_0_0", "name": "list_files", "input": {}},
    {"type": "tool_use", "id": "toolu_0_1", "name": "execute", "input": {"command": "x"}}]}


def user(*content):
    return {"role": "user", "content": list(content)}


@pytest.mark.parametrize("request_body, wanted", [
    ({"max_tokens": 1, "messages": [USER]}, "model: Field required"),
    ({"model": "m", "messages": [USER]}, "max_tokens: Field required"),
    ({"model": "m", "max_tokens": 1}, "messages: Field required"),
    (anthropic([USER], colour="red"), "colour: Extra inputs are not permitted"),
    (anthropic([]), "at least one message"),
    (anthropic([{"role": "assistant", "content": "x"}]), "first message must use"),
    (anthropic([USER, USER]), "roles must alternate"),
    (anthropic([USER, {"role": "assistant", "content": "x"}]), "must end with a user message"),
    (anthropic([user({"type": "text", "text": ""})]), "must be non-empty"),
    (anthropic([USER, CALLS, user(result("toolu_0_0"))]), "without `tool_result` blocks immediately after: toolu_0_1"),
    (anthropic([USER, CALLS, user({"type": "text", "text": "a"}, result("toolu_0_0"), result("toolu_0_1"))]),
     "without `tool_result` blocks immediately after"),
    (anthropic([USER, CALLS, user(result("toolu_0_0"), result("toolu_0_0"), result("toolu_0_1"))]), "single result"),
    (anthropic([user(result("toolu_9_9"))]), "unexpected `tool_use_id`"),
    (anthropic([USER, {"role": "assistant", "content": [{"type": "thinking", "thinking": "changed", "signature": "s"}]},
                USER]), "Invalid `signature`"),
    (anthropic([USER, CALLS, user(result("toolu_0_0"), result("toolu_0_1")), CALLS,
                user(result("toolu_0_0"), result("toolu_0_1"))]), "ids must be unique"),
    (anthropic([USER], tools=["a b"]), "should match pattern"),
    (anthropic([USER], tools=["a", "a"]), "must be unique"),
    (anthropic([USER], thinking="yes"), "another type"),
    (anthropic([user(*[{"type": "text", "text": "x", "cache_control": {"type": "ephemeral"}}] * 5)]), "Found 5"),
    (b"{", "not valid JSON"),
    (b"[" * 100_000, "not valid JSON"),
])
def test_what_anthropic_refuses_is_a_400_with_its_reason(server, request_body, wanted):
    status, _, body = post(server, "/v1/messages", ANTHROPIC, request_body)
    error = json.loads(body)
    assert (status, error["type"], error["error"]["type"]) == (400, "error", "invalid_request_error")
    assert wanted in error["error"]["message"]
    assert server.log()[-1]["status"] == 400


OPENAI_CALLS = {"role": "assistant", "content": None, "tool_calls": [
    {"id": "call_0_0", "type": "function", "function": {"name": "execute", "arguments": "{}"}}]}


@pytest.mark.parametrize("request_body, wanted", [
    ({"messages": [USER]}, "'model'"),
    ({"model": "m"}, "'messages'"),
    (openai([USER], colour="red"), "Unrecognized request argument supplied: colour"),
    (openai([USER, OPENAI_CALLS, USER]), "did not have response messages: call_0_0"),
    (openai([USER, OPENAI_CALLS]), "did not have response messages: call_0_0"),
    (openai([USER, {"role": "tool", "tool_call_id": "call_0_0", "content": "x"}]), "preceeding message"),
    (openai([{"role": "user", "content": None}]), "expected a string"),
    (openai([USER], stream_options={"include_usage": True}), "only allowed when 'stream' is enabled"),
    (openai([USER], tools=[]), "empty array"),
])
def test_what_openai_refuses_is_a_400_with_its_reason(server, request_body, wanted):
    status, _, body = post(server, "/chat/completions", OPENAI, request_body)
    assert status == 400
    assert wanted in json.loads(body)["error"]["message"]


def test_a_missing_version_header_is_refused(server):
    headers = {name: value for name, value in ANTHROPIC.items() if name != "anthropic-version"}
    status, _, body = post(server, "/v1/messages", headers, anthropic([USER]))
    assert status == 400 and "anthropic-version" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("headers, status", [
    ({}, 401), ({"x-api-key": "wrong"}, 401), ({"x-api-key": "right"}, 200), ({"authorization": "Bearer right"}, 200)])
def test_the_key_is_checked(tmp_path, headers, status):
    with ModelServerProcess({**SCRIPT, "require_key": "right"}, tmp_path) as server:
        full = {"anthropic-version": "2023-06-01", **headers}
        assert post(server, "/v1/messages", full, anthropic([USER]))[0] == status
        assert post(server, "/chat/completions", headers, openai([USER]))[0] == status


def test_another_model_than_required_is_404(tmp_path):
    with ModelServerProcess({**SCRIPT, "require_model": "other"}, tmp_path) as server:
        status, _, body = post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))
        assert status == 404 and json.loads(body)["error"]["type"] == "not_found_error"


def script_error(server, request):
    status, headers, body = post(server, "/v1/messages", ANTHROPIC, request)
    assert status == 500 and headers["x-should-retry"] == "false"
    message = json.loads(body)["error"]["message"]
    assert message == "script: " + server.log()[-1]["script_error"]
    return message


def test_a_call_of_a_tool_that_was_not_offered_is_a_script_error(server):
    assert "calls 'execute', which was not offered" in script_error(server, anthropic([USER], tools=["list_files"]))


def test_a_turn_may_call_a_tool_that_was_not_offered_if_its_script_says_so(tmp_path):
    with ModelServerProcess({"turns": [{"tools": [{"name": "fly", "input": {}}], "unoffered": True}]}, tmp_path) as other:
        status, _, body = post(other, "/v1/messages", ANTHROPIC, anthropic([USER]))
    assert status == 200 and json.loads(body)["content"][0]["name"] == "fly"


def test_an_expectation_that_is_not_met_is_a_script_error(server):
    messages = [USER, CALLS, user(result("toolu_0_0", "nothing"), result("toolu_0_1", "nothing"))]
    assert "turn 1: expected 'Makefile'" in script_error(server, anthropic(messages))


def test_the_end_of_the_script_is_a_script_error_unless_after_answers(server, tmp_path):
    messages = [USER, {"role": "assistant", "content": "a"}] * 2 + [USER]
    assert "the script ends after 2 turns" in script_error(server, anthropic(messages))
    (tmp_path / "second").mkdir()
    with ModelServerProcess({**SCRIPT, "after": {"text": "Always."}}, tmp_path / "second") as other:
        answer = json.loads(post(other, "/v1/messages", ANTHROPIC, anthropic(messages))[2])
        assert answer["content"][0]["text"] == "Always."


@pytest.mark.parametrize("script, wanted", [
    ({}, "turns is missing"),
    ({"turns": [{}, {"txt": "a"}]}, "turns[1]: unknown field 'txt'"),
    ({"turns": [{"tools": [{"name": "x"}]}]}, "turns[0]: tools[0]: input is missing"),
    ({"turns": [{"stop": "stop"}]}, "turns[0]: stop: one of end_turn"),
    ({"turns": [{"fault": {"status": 200}}]}, "turns[0]: fault: status: an HTTP status"),
    ({"turns": [{"fault": {"times": 2}}]}, "turns[0]: fault: exactly one of"),
    ({"turns": [{"fault": {"status": 500, "cut_after_events": 1}}]}, "turns[0]: fault: exactly one of"),
    ({"turns": [{"delay_ms": -1}]}, "turns[0]: delay_ms: a whole number from 0"),
    ({"turns": [], "after": []}, "after: an object is wanted"),
])
def test_a_bad_script_is_refused_by_turn_and_field(tmp_path, script, wanted):
    path = tmp_path / "script.json"
    path.write_text(json.dumps(script), encoding="utf-8")
    run = subprocess.run([str(PROGRAM), "--script", str(path), "--port", "0"], capture_output=True, text=True,
                         timeout=20)
    assert run.returncode == 2 and wanted in run.stderr and run.stdout == ""


def test_a_missing_script_is_refused(tmp_path):
    run = subprocess.run([str(PROGRAM), "--script", str(tmp_path / "none"), "--port", "0"], capture_output=True,
                         text=True, timeout=20)
    assert run.returncode == 2 and "No such file" in run.stderr


def test_a_request_of_more_than_32_mib_is_413(server):
    status, _, body = post(server, "/v1/messages", ANTHROPIC, b" " * (32 * 1024 * 1024 + 1))
    assert status == 413 and json.loads(body)["error"]["type"] == "request_too_large"


def test_other_paths_are_404(server):
    assert post(server, "/v1/complete", ANTHROPIC, {})[0] == 404
