"""What both wire formats come down to."""

import hashlib
import json
import re
from dataclasses import dataclass, field


@dataclass
class Conversation:
    """A request that the real API would have accepted."""

    model: str
    stream: bool
    position: int
    """How many answers there were: which turn of the script answers."""
    system_length: int
    """Characters."""
    messages: int
    tools: list = field(default_factory=list)
    """The names of the tools offered, in order."""
    last_text: str = ""
    """The text of all that follows the last assistant message, tool results included."""
    wants_usage: bool = True
    wants_thinking: bool = True
    size: int = 0
    """Bytes of the request."""


COMPACTED = re.compile(r"Its first (\d+) answers were compacted")


def position(messages, first_text):
    """Which turn of the script answers: how many answers there were. A conversation that was compacted says in its first
    message how many of them are no longer in it."""
    compacted = COMPACTED.search(first_text)
    return sum(message["role"] == "assistant" for message in messages) + (int(compacted.group(1)) if compacted else 0)


def compact(value):
    """JSON as the real servers write it: no spaces, UTF-8 not escaped."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tokens(size):
    """A count for `size` bytes where the script gives none: four bytes to a token, at least one."""
    return max(1, size // 4)


def usage(turn, conversation):
    """Input, output, cache reads and cache writes of `turn`, the same for the same request."""
    given = turn.get("usage", {})
    written = len(compact([turn.get(name) for name in ("thinking", "text", "tools")]))
    return {
        "input": given.get("input", tokens(conversation.size)),
        "output": given.get("output", tokens(written)),
        "cache_read": given.get("cache_read", 0),
        "cache_creation": given.get("cache_creation", 0),
    }


def fragments(text, length):
    """`text` in pieces of about `length` characters, of unequal size as a model's tokens are; none if it is empty."""
    position, turn = 0, 0
    while position < len(text):
        size = max(1, length + (turn * 5) % 7 - 3)
        yield text[position:position + size]
        position += size
        turn += 1


def signature(thinking):
    """What proves that a thinking block comes back unchanged."""
    return "model-server/" + hashlib.sha256(thinking.encode()).hexdigest()
