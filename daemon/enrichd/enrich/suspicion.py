"""What deaths of a server say against a symbol, and against its whole file.

A death is held against a symbol that was alone in flight. Three of them, and it is skipped. If they
were several symbols of one file, and none of the file was answered between, it is the file that
kills: all of it is skipped. An answer speaks for the file; from then on whoever killed before is a
poison symbol in a good file, and its deaths are its own.

What is held against whom is written into the reason of each failure, and read from there after a
restart.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

from msgspec import Struct, field

from enrichd.enrich.charging import Judgement, Verdict
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import Work

MAX_POISON_DEATHS = 3

_SYMBOL_REASON = re.compile(r"poison: alone in flight .*, death ([0-9]+) of [0-9]+", re.DOTALL)
_FILE_REASON = re.compile(
    r"poison file .*?: its symbols were alone in flight at ([0-9]+) deaths .*", re.DOTALL
)


class _File(Struct):
    """What is held against one file; it counts for its content alone."""

    digest: bytes | None
    """None: whatever it is when the file is next seen."""
    deaths: dict[int, int] = field(default_factory=dict)
    """Of each symbol that is neither skipped nor was answered since."""
    in_a_row: int = 0
    """Deaths since an answer, without those of symbols that killed before it."""
    authors: set[int] = field(default_factory=set)
    """Whose deaths these were."""


class Suspicions:
    """The files of one lane against which something is held."""

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}

    def is_suspect(self, work: Work) -> bool:
        """Whether the symbol, or any of its file, killed before: it is only asked about alone."""
        file = self._of(work)
        return file is not None and (file.in_a_row > 0 or work.symbol_id in file.deaths)

    def has_killed(self, work: Work) -> bool:
        """Whether the symbol itself did."""
        file = self._of(work)
        return file is not None and work.symbol_id in file.deaths

    def lacks_witnesses(self, work: Work) -> int:
        """How many others of the symbol's file are needed to tell whether it is the file."""
        file = self._of(work)
        if file is None or work.symbol_id not in file.authors:
            return 0
        return max(MAX_POISON_DEATHS - file.in_a_row, 0)

    def hold_against(self, work: Work, how: str) -> tuple[Judgement, bool]:
        """It was alone when the server died; ``how`` tells of that. The bool: it is the file."""
        file = self._of(work)
        if file is None:
            file = self._files[work.file.path] = _File(work.file.digest)
        before = file.deaths.get(work.symbol_id, 0)
        if not before or work.symbol_id in file.authors:
            file.in_a_row += 1
            file.authors.add(work.symbol_id)
        if file.in_a_row >= MAX_POISON_DEATHS and len(file.authors) > 1:
            file.deaths.clear()
            text = (
                f"poison file {work.file.path}: its symbols were alone in flight at "
                f"{file.in_a_row} deaths of the server, which last {how}; "
                "what is left of it is skipped"
            )
            return Judgement(Verdict.DEFINITIVE, "poison", text), True
        deaths = file.deaths[work.symbol_id] = before + 1
        text = (
            f"poison: alone in flight when the server {how}, death {deaths} of {MAX_POISON_DEATHS}"
        )
        if deaths < MAX_POISON_DEATHS:
            return Judgement(Verdict.CHARGED, "poison", text), False
        del file.deaths[work.symbol_id]
        return Judgement(Verdict.DEFINITIVE, "poison", text), False

    def answered(self, work: Work) -> None:
        """The server lived through it: that speaks for the symbol, and for its file."""
        file = self._of(work)
        if file is None:
            return
        file.deaths.pop(work.symbol_id, None)
        file.in_a_row = 0
        file.authors.clear()
        if not file.deaths:
            del self._files[work.file.path]

    def forget(self, work: Work) -> None:
        """Nothing counts any more that was held against the symbol alone."""
        file = self._of(work)
        if file is not None:
            file.deaths.pop(work.symbol_id, None)

    def clear(self) -> None:
        """Nothing is held against anybody."""
        self._files.clear()

    def recall(self, records: Iterable[FailureRecord], answered: Container[str]) -> None:
        """Take up, after a restart, what was held against whom.

        ``answered``: files of which a symbol was answered since they have this content.
        """
        for record in records:
            own, whole = deaths_in(record.reason)
            if not (own or whole):
                continue
            file = self._files.setdefault(record.file, _File(None))
            if own and not record.skipped:
                file.deaths[record.symbol_id] = own
            if record.file not in answered:
                file.in_a_row = max(file.in_a_row + own, whole)
                file.authors.add(record.symbol_id)

    def _of(self, work: Work) -> _File | None:
        file = self._files.get(work.file.path)
        if file is None:
            return None
        if file.digest not in {None, work.file.digest}:
            del self._files[work.file.path]
            return None
        file.digest = work.file.digest
        return file


def deaths_in(reason: str) -> tuple[int, int]:
    """How many deaths a failure's reason holds against its symbol, and against its file."""
    if found := _SYMBOL_REASON.fullmatch(reason):
        return int(found[1]), 0
    if found := _FILE_REASON.fullmatch(reason):
        return 0, int(found[1])
    return 0, 0
