"""The two ways a request can end without its scripted answer."""


class APIError(Exception):
    """What the real API would refuse; `kind` is Anthropic's word for it (`invalid_request_error`, …)."""

    def __init__(self, status, kind, message, param=None):
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message
        self.param = param


class ScriptError(Exception):
    """The script and the client do not fit together: a test has failed. Answered with 500 and written to the log."""


def invalid(message, param=None):
    """The 400 of a malformed request."""
    return APIError(400, "invalid_request_error", message, param)
