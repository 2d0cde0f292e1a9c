"""Which languages of a workspace have a server that has proved itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from enrichd.query.answers import Advice
from enrichd_tracker.model import Lane, Operation

if TYPE_CHECKING:
    from enrichd_tracker.store.port import Reader

_TITLES = {
    "c_sharp": "C#",
    "cpp": "C++",
    "csharp": "C#",
    "css": "CSS",
    "html": "HTML",
    "javascript": "JavaScript",
    "objc": "Objective-C",
    "php": "PHP",
    "tsx": "TSX",
    "typescript": "TypeScript",
}


def language_title(language: str) -> str:
    """tree-sitter's name of a language as people write it."""
    return _TITLES.get(language, language.capitalize())


class Lanes:
    """Which languages have a server that has proved itself."""

    def __init__(self, reader: Reader, advice: Advice) -> None:
        self._reader = reader
        self._advice = advice
        self._servers = {each.lane: each for each in reader.requirements()}
        self._orphans: dict[int, dict[str, int]] = {}

    def is_proved(self, lane: Lane) -> bool:
        server = self._servers.get(lane)
        return server is not None and bool(server.version)

    def has_nothing(self, lane: Lane) -> bool:
        """No server has ever answered for the language, and there was something to ask."""
        if self.is_proved(lane):
            return False
        if lane.workspace_id not in self._orphans:
            self._orphans[lane.workspace_id] = self._reader.orphans_by_language(lane.workspace_id)
        return bool(self._orphans[lane.workspace_id].get(lane.language))

    def offers_nothing(self, lane: Lane) -> str:
        """The server that is not asked for definitions, if it is so; else nothing."""
        server = self._servers.get(lane)
        if server is None or server.operations & Operation.DEFINITION.bit:
            return ""
        return server.server

    def any_offers_nothing(self) -> bool:
        """Whether it is so of any server: languages need not be counted where it is not."""
        return any(map(self.offers_nothing, self._servers))

    def missing(self, language: str) -> str:
        """``no server for Go``, and what can be done about it."""
        advice = self._advice(language)
        return f"no server for {language_title(language)}" + (f" ({advice})" if advice else "")
