"""OpenAI Chat Completions: the request checked as the API checks it, the answer in its shape."""

from . import script
from .conversation import Conversation, compact, fragments, position, usage
from .errors import APIError, invalid

KNOWN_FIELDS = {
    "model", "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "parallel_tool_calls", "stream",
    "stream_options", "temperature", "top_p", "n", "stop", "seed", "user", "metadata", "store", "reasoning_effort",
    "response_format", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs", "top_logprobs", "modalities",
    "service_tier", "prediction", "verbosity", "prompt_cache_key", "safety_identifier", "web_search_options",
}
ROLES = ("system", "developer", "user", "assistant", "tool")
REQUEST_ID_HEADER = "x-request-id"

CREATED = 1_700_000_000
"""The same request gets the same answer, to the byte: no clock."""


def conversation(request, headers, size):
    """The checked request. Raises APIError."""
    if not isinstance(request, dict):
        raise invalid("We could not parse the JSON body of your request.")
    for name in request:
        if name not in KNOWN_FIELDS:
            raise invalid(f"Unrecognized request argument supplied: {name}", name)
    for name in ("model", "messages"):
        if name not in request:
            raise invalid(f"Missing required parameter: '{name}'.", name)
    if not isinstance(request["model"], str) or not request["model"]:
        raise invalid("you must provide a model parameter", "model")
    messages = request["messages"]
    if not isinstance(messages, list) or not messages:
        raise invalid("Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages")
    if "stream_options" in request and request.get("stream") is not True:
        raise invalid("The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options")
    tools = checked_tools(request.get("tools"))
    check_messages(messages)
    last = max((index for index, message in enumerate(messages) if message["role"] == "assistant"), default=-1)
    return Conversation(
        model=request["model"], stream=request.get("stream") is True,
        position=position(messages, next((text_of(m) for m in messages if m["role"] == "user"), "")),
        system_length=sum(len(text_of(message)) for message in messages if message["role"] in ("system", "developer")),
        messages=len(messages), tools=tools,
        last_text="\n".join(text_of(m) for m in messages[last + 1:] if m["role"] in ("user", "tool")),
        wants_usage=request.get("stream_options", {}).get("include_usage") is True, size=size)


def text_of(message):
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def checked_tools(tools):
    if tools is None:
        return []
    if not isinstance(tools, list) or not tools:
        raise invalid("Invalid 'tools': empty array. Expected an array with minimum length 1.", "tools")
    names = []
    for index, tool in enumerate(tools):
        if not isinstance(tool, dict) or tool.get("type") != "function":
            raise invalid(f"Missing required parameter: 'tools[{index}].type'.", f"tools[{index}].type")
        function = tool.get("function")
        if not isinstance(function, dict) or not isinstance(function.get("name"), str) or not function["name"]:
            raise invalid(f"Missing required parameter: 'tools[{index}].function.name'.",
                          f"tools[{index}].function.name")
        names.append(function["name"])
    return names


def check_messages(messages):
    pending = []
    for index, message in enumerate(messages):
        where = f"messages.[{index}]"
        role = message.get("role") if isinstance(message, dict) else None
        if role not in ROLES:
            raise invalid(f"Invalid value: '{role}'. Supported values are: {', '.join(ROLES)}.", f"{where}.role")
        if role == "tool":
            if message.get("tool_call_id") not in pending:
                raise invalid("Invalid parameter: messages with role 'tool' must be a response to a preceeding message "
                              "with 'tool_calls'.", f"{where}.role")
            pending.remove(message["tool_call_id"])
        elif pending:
            raise unanswered(pending, f"{where}.role")
        if not isinstance(message.get("content"), (str, list)):
            if role != "assistant" or not message.get("tool_calls"):
                raise invalid("Invalid value for 'content': expected a string, got null.", f"{where}.content")
        if role == "assistant":
            pending = check_calls(message.get("tool_calls"), where)
    if pending:
        raise unanswered(pending, "messages")


def check_calls(calls, where):
    """The ids of the tools that an assistant message calls."""
    if calls is None:
        return []
    if not isinstance(calls, list) or not calls:
        raise invalid(f"Invalid '{where}.tool_calls': empty array. Expected an array with minimum length 1.",
                      f"{where}.tool_calls")
    pending = []
    for index, call in enumerate(calls):
        place = f"{where}.tool_calls[{index}]"
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or call.get("type") != "function":
            raise invalid(f"Missing required parameter: '{place}.type'.", f"{place}.type")
        if not isinstance(call.get("id"), str) or not isinstance(function.get("name"), str):
            raise invalid(f"Missing required parameter: '{place}.id'.", f"{place}.id")
        if not isinstance(function.get("arguments"), str):
            raise invalid(f"Invalid type for '{place}.function.arguments': expected a string.",
                          f"{place}.function.arguments")
        pending.append(call["id"])
    return pending


def unanswered(pending, param):
    return invalid("An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                   f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(pending)}",
                   param)


def error_body(error):
    return {"error": {"message": error.message, "type": error.kind, "param": error.param, "code": None}}


def unauthorized(message):
    return APIError(401, "invalid_request_error", message)


def calls(turn, conversation):
    """The tool calls of the answer; `arguments` as JSON text, cut where max_tokens has cut them."""
    wanted = turn.get("tools", [])
    for index, call in enumerate(wanted):
        arguments = compact(call["input"])
        if script.stop(turn) == "max_tokens" and index == len(wanted) - 1:
            arguments = arguments[:len(arguments) // 2]
        yield {"id": f"call_{conversation.position}_{index}", "type": "function",
               "function": {"name": call["name"], "arguments": arguments}}


def counted(turn, conversation):
    count = usage(turn, conversation)
    # Unlike Anthropic's input_tokens, prompt_tokens includes what was read from or written to the cache.
    prompt = count["input"] + count["cache_read"] + count["cache_creation"]
    return {
        "prompt_tokens": prompt, "completion_tokens": count["output"], "total_tokens": prompt + count["output"],
        "prompt_tokens_details": {"cached_tokens": count["cache_read"], "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0, "accepted_prediction_tokens": 0,
                                      "rejected_prediction_tokens": 0},
    }


def message(turn, conversation, model):
    """The answer to a request that does not stream."""
    content = {"role": "assistant", "content": turn.get("text")}
    if turn.get("thinking"):
        content["reasoning_content"] = turn["thinking"]
    if turn.get("tools"):
        content["tool_calls"] = list(calls(turn, conversation))
    return {
        "id": f"chatcmpl-{conversation.position}", "object": "chat.completion", "created": CREATED, "model": model,
        "choices": [{"index": 0, "message": {**content, "refusal": None, "annotations": []}, "logprobs": None,
                     "finish_reason": script.STOPS[script.stop(turn)]}],
        "usage": counted(turn, conversation), "service_tier": "default", "system_fingerprint": None,
    }


def events(turn, conversation, model):
    """The stream, a chunk at a time."""
    base = {"id": f"chatcmpl-{conversation.position}", "object": "chat.completion.chunk", "created": CREATED,
            "model": model, "service_tier": "default", "system_fingerprint": None}
    pending = {"usage": None} if conversation.wants_usage else {}

    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return event({**base, "choices": [choice], **pending})

    yield chunk({"role": "assistant", "content": "" if turn.get("text") else None, "refusal": None})
    for piece in fragments(turn.get("thinking", ""), 24):
        yield chunk({"content": None, "reasoning_content": piece})
    for piece in fragments(turn.get("text", ""), 24):
        yield chunk({"content": piece})
    for index, call in enumerate(calls(turn, conversation)):
        opening = {**call, "function": {**call["function"], "arguments": ""}}
        yield chunk({"tool_calls": [{"index": index, **opening}]})
        for piece in fragments(call["function"]["arguments"], 16):
            yield chunk({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
    yield chunk({}, script.STOPS[script.stop(turn)])
    if conversation.wants_usage:
        yield event({**base, "choices": [], "usage": counted(turn, conversation)})
    yield b"data: [DONE]\n\n"


def event(value):
    return b"data: " + compact(value).encode() + b"\n\n"


def error_event(kind):
    """An error in the middle of a stream that began with 200."""
    return event({"error": {"message": kind, "type": kind, "param": None, "code": None}})
