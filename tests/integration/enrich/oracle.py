"""A server in the test's own process that knows workspaces around ``base.py``."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.enrich.house import House
from tests.servers.fake_process import SILENCE, FakeServer, FakeSpawn, Request

from enrichd.lsp.positions import path_to_uri, uri_to_path

DEFINITION = "textDocument/definition"
_WORD = re.compile(r"\w+")


class Oracle:
    """Answers with what ``base.py`` on disk defines under the name that is asked about.

    Nothing is real but the store, so tests on it are as exact as the fake clock.
    """

    def __init__(self, house: House) -> None:
        self.house = house
        self.spawn = FakeSpawn(self)
        self.silent_about = ""
        """Requests about such files are never answered."""
        self.hangs_on = ""
        """After one about such a file nothing is, until the server is started afresh."""
        self.dies_at: Callable[[str, int], bool] = lambda path, line: False
        """Questions about such places end it."""
        self.deaths = 0
        self.asked: list[Request] = []
        self._hung_life = 0
        house.patience_s = 0.0

    @property
    def server(self) -> FakeServer:
        return self.spawn.last

    def __call__(self, request: Request) -> object:
        life = len(self.spawn.servers)
        if request["method"] == "initialize":
            return None
        uri = request.get("params", {}).get("textDocument", {}).get("uri", "")
        if self.hangs_on and self.hangs_on in uri:
            self._hung_life = life
        if self._hung_life == life:
            return SILENCE
        if request["method"] != DEFINITION:
            return None
        self.asked.append(request)
        path = (uri_to_path(uri) or "").removeprefix(f"{self.house.root}/")
        if self.dies_at(path, request["params"]["position"]["line"]):
            self.deaths += 1
            self.server.die()
            return SILENCE
        if self.silent_about and self.silent_about in uri:
            return SILENCE
        return self.answer(request)

    def answer(self, request: Request) -> object:
        path = Path(uri_to_path(request["params"]["textDocument"]["uri"]) or "")
        position = request["params"]["position"]
        line = path.read_text().splitlines()[position["line"]]
        word = _WORD.match(line[position["character"] :])
        if word is None:
            return []
        if word[0] == "base":
            return self.place("base.py", 0, 0)
        for number, text in enumerate((self.house.root / "base.py").read_text().splitlines()):
            if found := re.match(rf"(class|def) (?={word[0]}\b)", text):
                return self.place("base.py", number, found.end())
        return []

    def place(self, path: str, line: int, character: int) -> dict[str, Any]:
        start = {"line": line, "character": character}
        return {
            "uri": path_to_uri(self.house.root / path),
            "range": {"start": start, "end": start},
        }
