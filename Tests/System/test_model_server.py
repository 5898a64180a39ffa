"""The model server answers by its script, in the shape of the real APIs."""

import json
import signal

import pytest

from model_client import (
    ANTHROPIC, OPENAI, SCRIPT, TOOLS, USER, anthropic, anthropic_events, anthropic_message, openai, openai_chunks,
    post, result,
)
from model_server_process import REPOSITORY, ModelServerProcess

RECORDINGS = REPOSITORY.parent / "shared" / "recordings"


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
                {"role": "user", "content": [result("toolu_0_0"), result("toolu_0_1"),
                                             {"type": "text", "text": "On."}]}]
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
            opening = {"id": call.get("id"), "name": call["function"].get("name"), "text": ""}
            slot = calls.setdefault(call["index"], opening)
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
