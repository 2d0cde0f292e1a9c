"""What can go wrong between enrichd and a language server, each as its own type."""

from __future__ import annotations

from enrichd.errors import EnrichdError, ExitCode


class LanguageServerError(EnrichdError):
    """A language server did not do what the protocol or the question asked of it."""

    exit_code = ExitCode.NO


class FramingError(LanguageServerError):
    """The bytes on the server's stdout are not framed messages.

    ``whole`` holds the messages of the same chunk that came whole before the garbage.
    """

    def __init__(self, message: str, whole: list[bytes] | None = None) -> None:
        super().__init__(message, hint="see the last lines of the server's stderr")
        self.whole = whole if whole is not None else []


class RequestRefused(LanguageServerError):
    """The server answered a request with an error; ``code`` is JSON-RPC's or LSP's."""

    def __init__(self, method: str, code: int, message: str) -> None:
        super().__init__(f"{method}: {message} ({code})")
        self.code = code


class RequestTimedOut(LanguageServerError):
    """No answer came in time; the request was cancelled and its id forgotten."""


class ServerEnded(LanguageServerError):
    """The server is gone, or was given up, before it answered."""
