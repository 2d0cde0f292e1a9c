"""Listens in on what enrichd says to a language server, so that others can say the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from enrichd.lsp.client import Client


class Question(NamedTuple):
    """One request for the definition at a place."""

    uri: bytes  # as a JSON string
    line: int
    character: int


class Notice(NamedTuple):
    """One notification."""

    method: str
    params: object


Message = Question | Notice
_AFTER_CHANGES = "workspace/didChangeWatchedFiles"


@contextmanager
def recorded() -> Iterator[list[Message]]:
    """All questions, and what is told of changed files, in their order, while this lasts."""
    heard: list[Message] = []
    ask, notify = Client.ask_position, Client.notify

    def asking(
        self: Client, method: str, uri_json: bytes, line: int, character: int, on_reply: Any
    ) -> int:
        heard.append(Question(uri_json, line, character))
        return ask(self, method, uri_json, line, character, on_reply)

    def notifying(self: Client, method: str, params: object) -> None:
        if method == _AFTER_CHANGES:
            heard.append(Notice(method, params))
        notify(self, method, params)

    Client.ask_position, Client.notify = asking, notifying  # type: ignore[method-assign]
    try:
        yield heard
    finally:
        Client.ask_position, Client.notify = ask, notify  # type: ignore[method-assign]
