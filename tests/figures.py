"""What the tests of faults try, and the figures that they reach."""

from __future__ import annotations

from dataclasses import dataclass, field

ROWS = {
    1: "a language server is killed at any instant",
    2: "a language server that dies for a day",
    3: "a file that kills the language server",
    4: "a language server that never answers",
    5: "a language server that talks garbage",
    6: "errors on every request; empty answers at first; a server that is not installed",
    7: "nine tenths of the symbols can't be served",
    8: "the daemon is killed: nobody is left behind",
    9: "the daemon is killed at any instant, and at any write",
    10: "the Nth call of each port fails",
    11: "the disk is full, or fails",
    12: "another program locks the database",
    13: "the database or its log is damaged",
    14: "killed at any statement of a migration; a schema from the future",
    15: "a second daemon; what a dead one left behind",
    16: "SIGTERM, idle and under load",
    17: "systemd: ready, watchdog, exit codes, exposure",
    18: "a wrong configuration",
    19: "the wall clock jumps; the machine sleeps",
    20: "very many symbols fail together",
    21: "bursts of changed files",
    22: "hostile files",
    23: "the event loop while very much is indexed",
    24: "clients that do harm",
    25: "strangers at the door",
    26: "an hour of edits, kills and questions (make soak)",
}


@dataclass(frozen=True)
class Figure:
    """What was measured, and what it may be at most."""

    what: str
    times: int
    value: float
    bound: float
    unit: str

    @property
    def kept(self) -> bool:
        return self.value <= self.bound

    def __str__(self) -> str:
        value, bound = f"{self.value:,.4g} {self.unit}", f"{self.bound:,.4g} {self.unit}"
        return f"{self.times:>7,} x  {self.what}: {value.strip()} (at most {bound.strip()})"


@dataclass
class Tried:
    """One test of a fault."""

    row: int
    fault: str
    figures: list[Figure] = field(default_factory=list)
    outcome: str = "not run"
    reason: str = ""


class Reached:
    """Takes down figures, and holds each against its bound."""

    def __init__(self, tried: Tried) -> None:
        self._tried = tried

    def __call__(
        self, what: str, value: float, bound: float, unit: str = "", *, times: int = 1
    ) -> None:
        """``what`` was measured; it fails the test if it is above the bound."""
        figure = Figure(what, times, value, bound, unit)
        self._tried.figures.append(figure)
        assert figure.kept, str(figure)
