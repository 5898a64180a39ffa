"""The script: reading it and refusing what is not understood, by turn and field."""

import json

STOPS = {
    "end_turn": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "refusal": "content_filter",
    "model_context_window_exceeded": "length",
}
"""Anthropic's stop reasons, and what Chat Completions says for each."""

FAULTS = {
    "status": {"body", "headers"},
    "cut_after_events": {"clean"},
    "error_event": {"after_events"},
    "stall_ms": {"after_events"},
}
"""Each kind of fault with the fields that go with it; `times` goes with all."""

SIZE_LIMIT = 16 * 1024 * 1024


class BadScript(Exception):
    """The message names the turn and the field."""


def load(path):
    """Reads the script at `path`. Raises BadScript."""
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE_LIMIT + 1)
    except OSError as error:
        raise BadScript(f"{path}: {error.strerror}") from error
    if len(data) > SIZE_LIMIT:
        raise BadScript(f"{path}: larger than {SIZE_LIMIT} bytes")
    try:
        script = json.loads(data)
    except ValueError as error:
        raise BadScript(f"{path}: no JSON: {error}") from error
    try:
        return checked(script)
    except BadScript as error:
        raise BadScript(f"{path}: {error}") from error


def checked(script):
    """`script` itself, if it is one. Raises BadScript."""
    fields(script, "the script", {
        "model": text, "models": list_of(text), "require_model": text, "require_key": text, "require_key_file": text,
        "chunk_bytes": positive, "chunk_delay_ms": natural, "turns": list_of(turn), "after": turn,
    }, needed={"turns"})
    return script


def fields(value, where, kinds, needed=frozenset()):
    if not isinstance(value, dict):
        raise BadScript(f"{where}: an object is wanted")
    for name in value:
        if name not in kinds:
            raise BadScript(f"{where}: unknown field {name!r}; known are {', '.join(sorted(kinds))}")
        kinds[name](value[name], f"{where}: {name}")
    for name in sorted(needed):
        if name not in value:
            raise BadScript(f"{where}: {name} is missing")


def text(value, where):
    if not isinstance(value, str) or not value:
        raise BadScript(f"{where}: a text that is not empty is wanted")


def boolean(value, where):
    if not isinstance(value, bool):
        raise BadScript(f"{where}: true or false is wanted")


def whole(least):
    def check(value, where):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise BadScript(f"{where}: a whole number from {least} is wanted")
    return check


natural = whole(0)
positive = whole(1)


def status(value, where):
    if not isinstance(value, int) or isinstance(value, bool) or not 400 <= value <= 599:
        raise BadScript(f"{where}: an HTTP status from 400 to 599 is wanted")


def word(value, where):
    if value not in STOPS:
        raise BadScript(f"{where}: one of {', '.join(STOPS)} is wanted")


def list_of(check):
    def check_all(value, where):
        if not isinstance(value, list):
            raise BadScript(f"{where}: a list is wanted")
        for index, element in enumerate(value):
            check(element, f"{where}[{index}]")
    return check_all


def mapping(value, where):
    if not isinstance(value, dict):
        raise BadScript(f"{where}: an object is wanted")


def headers(value, where):
    mapping(value, where)
    for name, content in value.items():
        if not isinstance(content, str):
            raise BadScript(f"{where}: {name}: a text is wanted")


def anything(value, where):
    """Any JSON value: a body that a proxy in between may have written, too."""


def tool(value, where):
    fields(value, where, {"name": text, "input": mapping}, needed={"name", "input"})


def usage(value, where):
    fields(value, where, {"input": natural, "output": natural, "cache_read": natural, "cache_creation": natural})


def fault(value, where):
    mapping(value, where)
    kinds = [kind for kind in FAULTS if kind in value]
    if len(kinds) != 1:
        raise BadScript(f"{where}: exactly one of {', '.join(FAULTS)} is wanted")
    known = {
        "status": status, "body": anything, "headers": headers, "cut_after_events": natural, "clean": boolean,
        "error_event": text, "stall_ms": positive, "after_events": natural,
    }
    wanted = {name: known[name] for name in {kinds[0]} | FAULTS[kinds[0]]}
    fields(value, where, {**wanted, "times": positive})


def turn(value, where):
    fields(value, where, {
        "thinking": text, "text": text, "tools": list_of(tool), "stop": word, "usage": usage,
        "delay_ms": natural, "chunk_delay_ms": natural, "expect": list_of(text), "fault": fault,
        "unoffered": boolean,
    })


def stop(turn):
    """The stop reason of `turn`: its own word, or what follows from its content."""
    return turn.get("stop") or ("tool_use" if turn.get("tools") else "end_turn")
