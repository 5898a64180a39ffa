"""Requests to the model server, and what official clients make of its streams."""

import http.client
import json

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
