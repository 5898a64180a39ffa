"""Anthropic Messages: the request checked as the API checks it, the answer in its shape."""

import re

from . import script
from .conversation import Conversation, compact, fragments, position, signature, usage
from .errors import APIError, invalid

KNOWN_FIELDS = {
    "model", "messages", "max_tokens", "system", "tools", "tool_choice", "stream", "temperature", "top_p", "top_k",
    "stop_sequences", "metadata", "thinking", "service_tier", "container", "mcp_servers", "context_management",
    "output_config", "output_format", "cache_control", "inference_geo", "speed",
}
TOOL_NAME = re.compile(r"[a-zA-Z0-9_-]{1,128}")
CACHE_BREAKPOINTS = 4
REQUEST_ID_HEADER = "request-id"


def conversation(request, headers, size):
    """The checked request. Raises APIError."""
    if not headers.get("anthropic-version"):
        raise invalid("anthropic-version: header is required")
    if not isinstance(request, dict):
        raise invalid("Input should be a valid dictionary")
    for name in request:
        if name not in KNOWN_FIELDS:
            raise invalid(f"{name}: Extra inputs are not permitted")
    for name in ("model", "max_tokens", "messages"):
        if name not in request:
            raise invalid(f"{name}: Field required")
    if not isinstance(request["model"], str) or not request["model"]:
        raise invalid("model: Input should be a valid string")
    limit = request["max_tokens"]
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 1:
        raise invalid("max_tokens: Input should be greater than or equal to 1")
    thinking = request.get("thinking") or {}
    if thinking.get("type") == "enabled" and not 1024 <= thinking.get("budget_tokens", 0) < limit:
        raise invalid("thinking.enabled.budget_tokens: Input should be at least 1024 and less than `max_tokens`")
    messages = request["messages"]
    if not isinstance(messages, list) or not messages:
        raise invalid("messages: at least one message is required")
    tools = checked_tools(request.get("tools", []))
    system = "".join(text_of(block) for block in blocks(request.get("system", ""), "system"))
    check_messages(messages)
    check_cache_breakpoints(request)
    return Conversation(
        model=request["model"], stream=request.get("stream") is True,
        position=position(messages, "\n".join(text_of(block) for block in blocks(messages[0]["content"], "content"))),
        system_length=len(system), messages=len(messages), tools=tools,
        last_text="\n".join(text_of(block) for block in blocks(messages[-1]["content"], "content")),
        wants_thinking=thinking.get("type") != "disabled", size=size)


def blocks(content, where):
    """The content blocks of a text or a list of blocks."""
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise invalid(f"{where}: Input should be a valid list")
    for index, block in enumerate(content):
        if not isinstance(block, dict) or not isinstance(block.get("type"), str):
            raise invalid(f"{where}.{index}.type: Field required")
        if block["type"] == "text" and not isinstance(block.get("text"), str):
            raise invalid(f"{where}.{index}.text: Field required")
    return content


def text_of(block):
    if block["type"] == "tool_result":
        return "\n".join(text_of(part) for part in blocks(block.get("content", ""), "content"))
    return block.get("text", "")


def checked_tools(tools):
    if not isinstance(tools, list):
        raise invalid("tools: Input should be a valid list")
    names = []
    for index, tool in enumerate(tools):
        name = tool.get("name") if isinstance(tool, dict) else None
        if not isinstance(name, str) or not TOOL_NAME.fullmatch(name):
            raise invalid(f"tools.{index}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'")
        schema = tool.get("input_schema")
        if not isinstance(schema, dict) or schema.get("type") != "object":
            raise invalid(f"tools.{index}.custom.input_schema.type: Field required")
        if name in names:
            raise invalid("tools: Tool names must be unique.")
        names.append(name)
    return names


def check_messages(messages):
    seen = set()
    pending = []
    for index, message in enumerate(messages):
        where = f"messages.{index}"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ("user", "assistant"):
            raise invalid(f"{where}.role: Input should be 'user' or 'assistant'")
        if "content" not in message:
            raise invalid(f"{where}.content: Field required")
        if index == 0 and role != "user":
            raise invalid('messages: first message must use the "user" role')
        if index > 0 and role == messages[index - 1]["role"]:
            raise invalid(f'messages: roles must alternate between "user" and "assistant", but found multiple "{role}" '
                          "roles in a row")
        content = blocks(message["content"], f"{where}.content")
        if not content:
            raise invalid(f"{where}: all messages must have non-empty content")
        if any(block["type"] == "text" and not block["text"] for block in content):
            raise invalid("messages: text content blocks must be non-empty")
        if role == "user":
            check_results(content, where, pending)
            pending = []
        else:
            pending = check_calls(content, where, seen)
    if messages[-1]["role"] != "user":
        raise invalid("This model does not support assistant message prefill. The conversation must end with a user "
                      "message.")


def check_calls(content, where, seen):
    """The ids of the tools that an assistant message calls."""
    pending = []
    for index, block in enumerate(content):
        place = f"{where}.content.{index}"
        if block["type"] == "tool_result":
            raise invalid(f"{place}: `tool_result` blocks can only be in `user` messages")
        if block["type"] == "thinking" and block.get("signature") != signature(str(block.get("thinking"))):
            raise invalid(f"{place}: Invalid `signature` in `thinking` block")
        if block["type"] != "tool_use":
            continue
        if not isinstance(block.get("input"), dict):
            raise invalid(f"{place}.tool_use.input: Input should be a valid dictionary")
        for name in ("id", "name"):
            if not isinstance(block.get(name), str) or not TOOL_NAME.fullmatch(block[name]):
                raise invalid(f"{place}.tool_use.{name}: String should match pattern '^[a-zA-Z0-9_-]+$'")
        if block["id"] in seen:
            raise invalid(f"{place}: `tool_use` ids must be unique")
        seen.add(block["id"])
        pending.append(block["id"])
    return pending


def check_results(content, where, pending):
    """All results first, one for each call of the message before, and none for anything else."""
    answered = []
    for index, block in enumerate(content):
        if block["type"] == "tool_use":
            raise invalid(f"{where}.content.{index}: `tool_use` blocks can only be in `assistant` messages")
        if block["type"] != "tool_result":
            continue
        if block.get("tool_use_id") not in pending:
            raise invalid(f"{where}.content.{index}: unexpected `tool_use_id` found in `tool_result` blocks: "
                          f"{block.get('tool_use_id')}. Each `tool_result` block must have a corresponding `tool_use` "
                          "block in the previous message.")
        if block["tool_use_id"] in answered:
            raise invalid(f"{where}.content.{index}: each tool_use must have a single result. Found multiple "
                          f"`tool_result` blocks with id: {block['tool_use_id']}")
        if index == len(answered):
            answered.append(block["tool_use_id"])
    missing = [identifier for identifier in pending if identifier not in answered]
    if missing:
        raise invalid(f"{where}: `tool_use` ids were found without `tool_result` blocks immediately after: "
                      f"{', '.join(missing)}. Each `tool_use` block must have a corresponding `tool_result` block in "
                      "the next message.")


def check_cache_breakpoints(request):
    def count(value):
        if isinstance(value, dict):
            return ("cache_control" in value) + sum(count(part) for part in value.values())
        return sum(count(part) for part in value) if isinstance(value, list) else 0

    found = sum(count(request.get(name)) for name in ("system", "tools", "messages"))
    if found > CACHE_BREAKPOINTS:
        raise invalid(f"A maximum of {CACHE_BREAKPOINTS} blocks with cache_control may be provided. Found {found}.")


def error_body(error):
    return {"type": "error", "error": {"type": error.kind, "message": error.message},
            "request_id": "req_model_server"}


def unauthorized(message):
    return APIError(401, "authentication_error", message)


def content_blocks(turn, conversation):
    """The blocks of the answer, each with the pieces it is streamed in; a tool's `input` as JSON text."""
    k = conversation.position
    if turn.get("thinking") and conversation.wants_thinking:
        yield {"type": "thinking", "thinking": turn["thinking"], "signature": signature(turn["thinking"])}
    if turn.get("text"):
        yield {"type": "text", "text": turn["text"]}
    calls = turn.get("tools", [])
    for index, call in enumerate(calls):
        arguments = compact(call["input"])
        if script.stop(turn) == "max_tokens" and index == len(calls) - 1:
            arguments = arguments[:len(arguments) // 2]
        yield {"type": "tool_use", "id": f"toolu_{k}_{index}", "name": call["name"], "input": arguments}


def start_usage(turn, conversation):
    count = usage(turn, conversation)
    return {
        "input_tokens": count["input"], "cache_creation_input_tokens": count["cache_creation"],
        "cache_read_input_tokens": count["cache_read"],
        "cache_creation": {"ephemeral_5m_input_tokens": count["cache_creation"], "ephemeral_1h_input_tokens": 0},
        "output_tokens": 1, "service_tier": "standard",
    }


def envelope(turn, conversation, model):
    return {
        "model": model, "id": f"msg_{conversation.position}", "type": "message", "role": "assistant", "content": [],
        "stop_reason": None, "stop_sequence": None, "stop_details": None, "usage": start_usage(turn, conversation),
    }


def message(turn, conversation, model):
    """The answer to a request that does not stream."""
    result = envelope(turn, conversation, model)
    for block in content_blocks(turn, conversation):
        if block["type"] == "tool_use":
            index = int(block["id"].rsplit("_", 1)[1])
            whole = block["input"] == compact(turn["tools"][index]["input"])
            block["input"] = turn["tools"][index]["input"] if whole else {}
        result["content"].append(block)
    result["stop_reason"] = script.stop(turn)
    result["usage"]["output_tokens"] = usage(turn, conversation)["output"]
    return result


def event(value):
    """One event; the API pads each with spaces before the closing brace."""
    text = compact(value)
    padding = "" if value["type"] == "message_start" else " " * (len(text) % 13)
    return f"event: {value['type']}\ndata: {text[:-1]}{padding}}}\n\n".encode()


def events(turn, conversation, model):
    """The stream, an event at a time."""
    yield event({"type": "message_start", "message": envelope(turn, conversation, model)})
    pinged = False
    for index, block in enumerate(content_blocks(turn, conversation)):
        kind = block["type"]
        empty = {"thinking": {"type": kind, "thinking": "", "signature": ""}, "text": {"type": kind, "text": ""},
                 "tool_use": {**block, "input": {}}}[kind]
        yield event({"type": "content_block_start", "index": index, "content_block": empty})
        if not pinged:
            yield b'event: ping\ndata: {"type": "ping"}\n\n'
            pinged = True
        for delta in deltas(block):
            yield event({"type": "content_block_delta", "index": index, "delta": delta})
        yield event({"type": "content_block_stop", "index": index})
    count = usage(turn, conversation)
    yield event({
        "type": "message_delta",
        "delta": {"stop_reason": script.stop(turn), "stop_sequence": None, "stop_details": None},
        "usage": {
            "input_tokens": count["input"], "cache_creation_input_tokens": count["cache_creation"],
            "cache_read_input_tokens": count["cache_read"], "output_tokens": count["output"],
        },
    })
    yield event({"type": "message_stop"})


def deltas(block):
    if block["type"] == "thinking":
        for piece in fragments(block["thinking"], 24):
            yield {"type": "thinking_delta", "thinking": piece}
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "text":
        for piece in fragments(block["text"], 24):
            yield {"type": "text_delta", "text": piece}
    else:
        yield {"type": "input_json_delta", "partial_json": ""}
        # The API sends no further fragment for an empty input: the client makes {} of it.
        for piece in fragments("" if block["input"] == "{}" else block["input"], 16):
            yield {"type": "input_json_delta", "partial_json": piece}


def error_event(kind):
    """An error in the middle of a stream that began with 200."""
    return event({"type": "error", "error": {"type": kind, "message": kind.replace("_error", "").capitalize()}})
