"""A server whose every answer is chosen by a test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.integration.enrich.expected import BASE, Place, Said, place_of
from tests.integration.enrich.house import House
from tests.integration.enrich.oracle import Oracle
from tests.servers.fake_process import SILENCE, FakeServer, Request

from enrichd.lsp.positions import uri_to_path

CODES = {Said.FAILED: -32803, Said.INVALID: -32602, Said.NOT_NOW: -32801}


class Held(NamedTuple):
    """A question that the server has not answered yet."""

    server: FakeServer
    request_id: object
    answer: object


class ByHand(Oracle):
    """Answers questions about ``base.py``; those about other files are left to the test."""

    def __init__(self, house: House, asked: Callable[[Place], None]) -> None:
        super().__init__(house)
        self.held: dict[Place, Held] = {}
        self.answers_all = False
        self._tell = asked

    def answer(self, request: Request) -> object:
        params = request["params"]
        path = Path(uri_to_path(params["textDocument"]["uri"]) or "").name
        if path == BASE:
            return super().answer(request)
        place = place_of(path, params["position"]["character"])
        if self.answers_all:
            return self.right(place)
        self._tell(place)
        self.held[place] = Held(self.server, request["id"], self.right(place))
        return SILENCE

    def right(self, place: Place) -> object:
        """Where the name is defined."""
        _, name = place
        if name == "base":
            return self.place(BASE, 0, 0)
        lines = (self.house.root / BASE).read_text().splitlines()
        return self.place(BASE, lines.index(f"def {name}(): ..."), 4)

    def reply(self, place: Place, said: Said) -> None:
        """Answer a question that is held."""
        server, request_id, answer = self.held.pop(place)
        if code := CODES.get(said):
            server.say({"id": request_id, "error": {"code": code, "message": said}})
        else:
            server.say({"id": request_id, "result": answer if said is Said.RIGHT else []})
