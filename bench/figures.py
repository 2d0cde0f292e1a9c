"""What a bench gives: one figure a row, and whether it keeps to its budget."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a figure stands to its budget."""

    OK = "ok"
    OVER = "over"
    NOT_RUN = "not run"
    NO_BUDGET = ""


@dataclass(frozen=True)
class Figure:
    """One thing that was measured; without a value it could not be, and the note says why."""

    bench: str
    what: str
    value: float | None
    unit: str = "x"
    """``x`` is a ratio of two things that were run in turn."""
    budget: float | None = None
    at_least: bool = False
    """The budget is what must be reached, not what may be used."""
    note: str = ""

    @property
    def verdict(self) -> Verdict:
        if self.value is None:
            return Verdict.NOT_RUN
        if self.budget is None:
            return Verdict.NO_BUDGET
        kept = self.value >= self.budget if self.at_least else self.value <= self.budget
        return Verdict.OK if kept else Verdict.OVER

    @property
    def limit(self) -> str:
        """The budget in words."""
        if self.budget is None:
            return ""
        return f"{'>=' if self.at_least else '<='} {self.budget:g}"

    def document(self) -> dict[str, object]:
        """For programs."""
        return asdict(self) | {"verdict": self.verdict}


Say = Callable[[str], None]
"""Told what is done just now."""


@dataclass(frozen=True)
class Task:
    """What a bench is asked for."""

    pairs: int | None
    """How often each side runs; None: as often as the bench finds right."""
    say: Say

    def rounds(self, usual: int) -> int:
        """How often to run each side."""
        return usual if self.pairs is None else self.pairs
