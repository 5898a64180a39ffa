"""The model server keeps to the wire formats, to its script, and to what the real APIs refuse."""

import http.client
import json
import shutil
import signal
import subprocess

import pytest

from model_server_process import PROGRAM, REPOSITORY, ModelServerProcess

RECORDINGS = REPOSITORY.parent / "shared" / "recordings"

TOOLS = ["list_files", "execute"]
ANTHROPIC = {"x-api-key": "k", "anthropic-version": "2023-06-01", "content-type": "application/json"}
OPENAI = {"authorization": "Bearer k", "content-type": "application/json"}

SCRIPT = {
    "turns": [
        {"thinking": "Zuerst prüfen, was da ist 😄", "text": "I look.\nThen I think — at length, in several pieces.",
         "tools": [{"name": "list_files", "input": {}}, {"name": "execute", "input": {"command": "make 'tëst' \"x\""}}],
         "usage": {"input": 100, "output": 20, "cache_read": 7, "cache_creation": 3}},
        {"expect": ["Makefile"], "text": "Done."},
    ],
}


def post(server, path, headers, body, timeout=30):
    """Status, headers in lower case, body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=timeout)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request("POST", path, data, headers)
    response = connection.getresponse()
    result = response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    connection.close()
    return result


def anthropic(messages, stream=False, tools=TOOLS, **more):
    schema = {"type": "object", "properties": {}}
    return {"model": "claude-test", "max_tokens": 4096, "system": "Be brief.", "messages": messages, "stream": stream,
            "tools": [{"name": name, "description": "", "input_schema": schema} for name in tools], **more}


def openai(messages, stream=False, tools=TOOLS, **more):
    if stream:
        more["stream_options"] = {"include_usage": True}
    return {"model": "gpt-test", "messages": [{"role": "system", "content": "Be brief."}, *messages], "stream": stream,
            "tools": [{"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}
                      for name in tools], **more}


USER = {"role": "user", "content": "Go."}


def result(identifier, text="Makefile"):
    return {"type": "tool_result", "tool_use_id": identifier, "content": text}


def anthropic_events(body):
    """The data of each event; each named by its type, as on the real wire."""
    events = []
    for block in body.decode().split("\n\n"):
        if not block:
            continue
        first, second = block.split("\n")
        data = json.loads(second.removeprefix("data: "))
        assert first == f"event: {data['type']}"
        events.append(data)
    return events


def anthropic_message(events):
    """What the official SDK makes of a stream."""
    assert events[0]["type"] == "message_start" and events[-1]["type"] == "message_stop"
    message = events[0]["message"]
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(message["content"])
            message["content"].append({**event["content_block"], "json": ""})
        elif event["type"] == "content_block_delta":
            block, delta = message["content"][event["index"]], event["delta"]
            field = {"text_delta": "text", "thinking_delta": "thinking", "signature_delta": "signature",
                     "input_json_delta": "partial_json"}[delta["type"]]
            block["json" if field == "partial_json" else field] += delta[field]
        elif event["type"] == "message_delta":
            message.update(event["delta"])
            message["usage"].update(event["usage"])
    for block in message["content"]:
        text = block.pop("json")
        if block["type"] == "tool_use":
            block["input"] = json.loads(text or "{}")
    return message


def openai_chunks(body):
    lines = [line for line in body.decode().split("\n\n") if line]
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@pytest.fixture
def server(tmp_path):
    with ModelServerProcess(SCRIPT, tmp_path) as process:
        yield process


def test_an_anthropic_stream_gives_thinking_text_and_tools(server):
    status, headers, body = post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))
    assert status == 200
    assert headers["content-type"].startswith("text/event-stream") and headers["transfer-encoding"] == "chunked"
    events = anthropic_events(body)
    assert {"type": "ping"} in events
    fragments = [event for event in events if event.get("delta", {}).get("type") == "input_json_delta"]
    assert len(fragments) > 3
    message = anthropic_message(events)
    turn = SCRIPT["turns"][0]
    thinking, text, first, second = message["content"]
    assert (thinking["type"], thinking["thinking"]) == ("thinking", turn["thinking"])
    assert thinking["signature"]
    assert text == {"type": "text", "text": turn["text"]}
    assert first == {"type": "tool_use", "id": "toolu_0_0", "name": "list_files", "input": {}}
    assert second == {"type": "tool_use", "id": "toolu_0_1", "name": "execute", "input": turn["tools"][1]["input"]}
    assert message["stop_reason"] == "tool_use"
    assert (message["usage"]["input_tokens"], message["usage"]["output_tokens"]) == (100, 20)
    assert message["usage"]["cache_read_input_tokens"] == 7
    assert message["usage"]["cache_creation_input_tokens"] == 3


def test_an_answer_without_streaming_is_the_stream_put_together(server):
    streamed = anthropic_message(anthropic_events(
        post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))[2]))
    whole = json.loads(post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))[2])
    assert whole["content"] == streamed["content"]
    assert whole["stop_reason"] == streamed["stop_reason"]
    assert whole["usage"]["output_tokens"] == streamed["usage"]["output_tokens"]


def test_the_position_in_the_conversation_chooses_the_turn(server):
    first = json.loads(post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))[2])
    messages = [USER, {"role": "assistant", "content": first["content"]},
                {"role": "user", "content": [result("toolu_0_0"), result("toolu_0_1"), {"type": "text", "text": "On."}]}]
    second = json.loads(post(server, "/v1/messages", ANTHROPIC, anthropic(messages))[2])
    assert second["content"] == [{"type": "text", "text": "Done."}]
    assert second["stop_reason"] == "end_turn"
    assert [entry["position"] for entry in server.log()] == [0, 1]


@pytest.mark.parametrize("path, headers, request_of", [
    ("/v1/messages", ANTHROPIC, anthropic), ("/v1/chat/completions", OPENAI, openai)])
def test_a_repeated_request_gets_the_same_bytes(tmp_path, path, headers, request_of):
    bodies = set()
    for _ in range(2):
        with ModelServerProcess(SCRIPT, tmp_path) as server:
            bodies.update(post(server, path, headers, request_of([USER], stream=True))[2] for _ in range(2))
    assert len(bodies) == 1


@pytest.mark.parametrize("path", ["/v1/messages", "/some/prefix/v1/messages", "/v1/messages?beta=true"])
def test_a_base_url_may_have_a_prefix(server, path):
    assert post(server, path, ANTHROPIC, anthropic([USER]))[0] == 200


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/chat/completions"])
def test_an_openai_stream_gives_content_and_tool_calls(server, path):
    status, _, body = post(server, path, OPENAI, openai([USER], stream=True))
    assert status == 200
    chunks = openai_chunks(body)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    turn = SCRIPT["turns"][0]
    assert deltas[0]["role"] == "assistant"
    assert "".join(delta.get("content") or "" for delta in deltas) == turn["text"]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == turn["thinking"]
    calls = {}
    for delta in deltas:
        for call in delta.get("tool_calls", []):
            slot = calls.setdefault(call["index"], {"id": call.get("id"), "name": call["function"].get("name"), "text": ""})
            slot["text"] += call["function"]["arguments"]
    assert [(call["id"], call["name"]) for call in calls.values()] == [("call_0_0", "list_files"),
                                                                       ("call_0_1", "execute")]
    assert [json.loads(call["text"]) for call in calls.values()] == [call["input"] for call in turn["tools"]]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks if chunk["choices"]][-1] == "tool_calls"
    assert chunks[-1]["choices"] == [] and chunks[-1]["usage"]["prompt_tokens"] == 110


def test_openai_usage_comes_only_if_asked_for(server):
    request = openai([USER], stream=True)
    del request["stream_options"]
    assert all("usage" not in chunk for chunk in
               openai_chunks(post(server, "/chat/completions", OPENAI, request)[2]))


def test_an_openai_answer_without_streaming(server):
    message = json.loads(post(server, "/chat/completions", OPENAI, openai([USER]))[2])["choices"][0]["message"]
    assert message["content"] == SCRIPT["turns"][0]["text"]
    assert json.loads(message["tool_calls"][1]["function"]["arguments"]) == SCRIPT["turns"][0]["tools"][1]["input"]


def test_openai_tool_results_lead_to_the_next_turn(server):
    message = json.loads(post(server, "/chat/completions", OPENAI, openai([USER]))[2])["choices"][0]["message"]
    echoed = {name: message[name] for name in ("role", "content", "tool_calls")}
    answers = [{"role": "tool", "tool_call_id": call["id"], "content": "Makefile"} for call in echoed["tool_calls"]]
    status, _, body = post(server, "/chat/completions", OPENAI, openai([USER, echoed, *answers]))
    assert status == 200 and json.loads(body)["choices"][0]["message"]["content"] == "Done."
    assert server.log()[-1]["last_text"] == "Makefile\nMakefile"


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


def fault(tmp_path, fault, **turn):
    return ModelServerProcess({"turns": [{"text": "A text of some length, in pieces.", **turn, "fault": fault}]}, tmp_path)


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


def test_max_tokens_cuts_the_last_tools_json(tmp_path):
    turn = {"tools": [{"name": "execute", "input": {"command": "make test"}}], "stop": "max_tokens"}
    with ModelServerProcess({"turns": [turn]}, tmp_path) as server:
        body = post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))[2]
        pieces = [event["delta"]["partial_json"] for event in anthropic_events(body)
                  if event.get("delta", {}).get("type") == "input_json_delta"]
        with pytest.raises(ValueError):
            json.loads("".join(pieces))
        chunks = openai_chunks(post(server, "/chat/completions", OPENAI, openai([USER], stream=True))[2])
        assert chunks[-2]["choices"][0]["finish_reason"] == "length"


def test_chunks_of_a_few_bytes_carry_the_same_stream(tmp_path):
    with ModelServerProcess({**SCRIPT, "chunk_bytes": 5}, tmp_path) as server:
        message = anthropic_message(anthropic_events(
            post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))[2]))
        assert message["content"][0]["thinking"] == SCRIPT["turns"][0]["thinking"]


def test_a_request_that_disables_thinking_gets_none(server):
    answer = json.loads(post(server, "/v1/messages", ANTHROPIC, anthropic([USER], thinking={"type": "disabled"}))[2])
    assert [block["type"] for block in answer["content"]] == ["text", "tool_use", "tool_use"]


def test_a_request_of_more_than_32_mib_is_413(server):
    status, _, body = post(server, "/v1/messages", ANTHROPIC, b" " * (32 * 1024 * 1024 + 1))
    assert status == 413 and json.loads(body)["error"]["type"] == "request_too_large"


def test_other_paths_are_404(server):
    assert post(server, "/v1/complete", ANTHROPIC, {})[0] == 404


def test_the_log_has_a_line_for_each_request(server):
    post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))
    post(server, "/v1/messages", {}, anthropic([USER]))
    first, second = server.log()
    assert (first["status"], first["position"], first["tools"], first["last_text"]) == (200, 0, TOOLS, "Go.")
    assert (first["api"], first["path"], first["system_length"]) == ("anthropic", "/v1/messages", len("Be brief."))
    assert first["time"] and second["status"] == 401


def test_sigterm_ends_it_cleanly(tmp_path):
    with ModelServerProcess(SCRIPT, tmp_path) as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(timeout=20) == 0


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
    run = subprocess.run([str(PROGRAM), "--script", str(path), "--port", "0"], capture_output=True, text=True, timeout=20)
    assert run.returncode == 2 and wanted in run.stderr and run.stdout == ""


def test_a_missing_script_is_refused(tmp_path):
    run = subprocess.run([str(PROGRAM), "--script", str(tmp_path / "none"), "--port", "0"], capture_output=True,
                         text=True, timeout=20)
    assert run.returncode == 2 and "No such file" in run.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_reads_the_stream_and_notices_a_cut(tmp_path):
    with fault(tmp_path, {"cut_after_events": 2}) as server:
        command = ["curl", "-sS", "-N", f"{server.url}/v1/messages", "-d", json.dumps(anthropic([USER], stream=True))]
        for name, value in ANTHROPIC.items():
            command += ["-H", f"{name}: {value}"]
        assert subprocess.run(command, capture_output=True, timeout=30).returncode == 18
        whole = subprocess.run(command, capture_output=True, timeout=30)
        assert whole.returncode == 0 and anthropic_events(whole.stdout)[-1]["type"] == "message_stop"


def shape(value):
    """The keys of a value, all the way down; texts and numbers by their type only."""
    if isinstance(value, dict):
        return {name: shape(content) for name, content in value.items()}
    if isinstance(value, list):
        return [shape(content) for content in value]
    return type(value).__name__


def covers(real, ours):
    """Whether every key of ours is one of the real wire, with a value of the same type."""
    if isinstance(ours, dict):
        return isinstance(real, dict) and all(name in real and covers(real[name], ours[name]) for name in ours)
    if isinstance(ours, list):
        return isinstance(real, list) and all(any(covers(one, other) for one in real) for other in ours)
    return real == ours


def recorded(pattern):
    if not RECORDINGS.is_dir():
        pytest.skip(f"no recordings of the real APIs at {RECORDINGS}")
    return [path.read_bytes() for path in sorted(RECORDINGS.glob(pattern))]


def kind(event):
    inner = event.get("delta", event.get("content_block", {}))
    return event["type"], inner.get("type")


def test_every_anthropic_event_has_the_shape_of_a_recorded_one(server):
    real = [event for body in recorded("anthropic-*.sse") for event in anthropic_events(body.replace(b"\r\n", b"\n"))]
    assert len(real) > 100
    ours = anthropic_events(post(server, "/v1/messages", ANTHROPIC, anthropic([USER], stream=True))[2])
    for event in ours:
        alike = [shape(other) for other in real if kind(other) == kind(event)]
        assert any(covers(other, shape(event)) for other in alike), event


def test_every_openai_chunk_has_the_shape_of_a_recorded_one(server):
    real = []
    for body in recorded("openai_chat-*.sse"):
        for line in body.decode().splitlines():
            if line.startswith("data: {"):
                real.append(json.loads(line.removeprefix("data: ")))
    assert len(real) > 100
    chunks = openai_chunks(post(server, "/chat/completions", OPENAI, openai([USER], stream=True))[2])
    for chunk in chunks:
        if not chunk["choices"]:
            assert any(covers(shape(other), shape(chunk)) for other in real), chunk
            continue
        # The envelopes of the servers differ: each part has its model somewhere in the recordings.
        choice = shape(chunk["choices"][0])
        assert any(covers(shape(part), choice) for other in real for part in other["choices"]), chunk


def test_an_anthropic_answer_has_the_shape_of_a_recorded_one(server):
    real = [shape(json.loads(body)) for body in recorded("anthropic-*.json")]
    ours = json.loads(post(server, "/v1/messages", ANTHROPIC, anthropic([USER]))[2])
    blocks = [block for message in real for block in message["content"]]
    for block in ours["content"]:
        # What a tool takes is the tool's own affair.
        wanted = shape({**block, "input": {}} if "input" in block else block)
        assert any(covers(other, wanted) for other in blocks), block
    envelope = shape({name: value for name, value in ours.items() if name != "content"})
    assert any(covers(other, envelope) for other in real)
