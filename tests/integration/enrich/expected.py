"""What must have become of each symbol, given what the server has said: too simple to be wrong.

Three files use what ``base.py`` defines. Where a question stands says which symbol it is about and
which name, whatever line it has come to be on: each function has columns of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

DELAYS_S = (5, 10, 20, 40, 80, 160)
TIMEOUT_S = 25.0
ROUNDING_S = 1e-4
"""Of sums of wall times."""
MOST_NOT_NOW = 4
"""The first time, and three more in place."""
BASE = "base.py"
_BASE_TEXT = "def one(): ...\n\n\ndef two(): ...\n\n\ndef helper():\n    return one()\n"
_IMPORT = "from base import one, two\n"
_COLUMNS = 20
_TWO = 7  # columns after "one"

Edge = tuple[str, str, str]
Place = tuple[str, str]  # uid and name
BY_TEXT = {
    "base.py/": set[Edge](),
    "base.py/one().": set[Edge](),
    "base.py/two().": set[Edge](),
    "base.py/helper().": {("base.py/helper().", "calls", "base.py/one().")},
}
"""What needs no question, with its edges."""


class Body(StrEnum):
    """What a function calls."""

    ONE = "one"
    TWO = "two"
    BOTH = "both"

    @property
    def names(self) -> tuple[str, ...]:
        return ("one", "two") if self is Body.BOTH else (self.value,)


class Said(StrEnum):
    """A reply to one question, in order of gravity."""

    RIGHT = "right"
    EMPTY = "empty"
    FAILED = "failed"
    INVALID = "invalid"
    NOT_NOW = "not now"


class State(StrEnum):
    """Where a symbol is."""

    PENDING = "pending"
    BACKING_OFF = "backing off"
    SETTLED = "settled"
    SKIPPED = "skipped"


@dataclass
class Files:
    """The text of the workspace."""

    above: dict[str, int]
    """Lines of comment at the top of each file."""
    functions: dict[str, dict[str, Body]]
    """By file; a name is a letter and a number that no other function ever has."""
    made: int = 0

    def text(self, path: str) -> str:
        above = "# moved\n" * self.above[path]
        if path == BASE:
            return above + _BASE_TEXT
        functions = [_function(name, body) for name, body in self.functions[path].items()]
        return above + _IMPORT + "".join(functions)

    def add(self, path: str, body: Body) -> None:
        self.made += 1
        self.functions[path][f"f{self.made}"] = body

    def symbols(self, path: str) -> set[str]:
        """The uids of those in a file that a server is asked about."""
        return {f"{path}/", *(f"{path}/{name}()." for name in self.functions[path])}

    def edges(self, uid: str) -> set[Edge]:
        """All that there is to be known of a symbol."""
        path, _, name = uid.partition("/")
        if not name:
            return {edge_of((uid, each)) for each in ("base", "one", "two")}
        body = self.functions[path][name.removesuffix("().")]
        return {edge_of((uid, each)) for each in body.names}


def _function(name: str, body: Body) -> str:
    calls = {Body.ONE: "one()", Body.TWO: " " * _TWO + "two()", Body.BOTH: "one(), two()"}
    line = "    return".ljust(_COLUMNS * (int(name[1:]) + 2)) + calls[body]
    return f"\n\ndef {name}():\n{line}\n"


def place_of(path: str, character: int) -> Place:
    """Which symbol's use of which name stands there."""
    number, within = divmod(character, _COLUMNS)
    if number < 2:
        return f"{path}/", {5: "base", 17: "one", 22: "two"}[character]
    return f"{path}/f{number - 2}().", {0: "one", _TWO: "two"}[within]


def edge_of(place: Place) -> Edge:
    """What a right answer shows."""
    uid, name = place
    target = f"{BASE}/" if name == "base" else f"{BASE}/{name}()."
    return uid, "imports" if uid.endswith("/") else "calls", target


@dataclass
class Question:
    """Of an attempt, and not settled."""

    asked_at: float
    not_now: int = 0
    held: bool = True
    """Whether the server has it; if not it will be asked again in a moment."""


@dataclass
class Attempt:
    """What was asked about one symbol, and what was said."""

    open: dict[str, Question] = field(default_factory=dict)
    found: set[Edge] = field(default_factory=set)
    worst: Said = Said.RIGHT
    outdated: bool = False


@dataclass
class Known:
    """What must be known of one symbol."""

    attempts: int = 0
    due_at: float = 0.0
    state: State = State.PENDING
    edges: set[Edge] = field(default_factory=set)


@dataclass
class Expected:
    """Follows what is asked, said, and edited, in order of time."""

    files: Files
    known: dict[str, Known] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    """Also of symbols that are no more."""

    def asked(self, place: Place, now: float) -> None:
        """The server gets a question: it must be a symbol's that may be asked about."""
        uid, name = place
        self.pass_to(now)
        attempt = self.attempts.setdefault(uid, Attempt())
        question = attempt.open.get(name)
        if question is not None:
            assert not question.held, f"{place} is asked about twice"
            question.asked_at, question.held = now, True
            return
        known = self.known[uid]
        assert known.state in {State.PENDING, State.BACKING_OFF}, f"{place} is asked in vain"
        assert now >= known.due_at - ROUNDING_S, (
            f"{place} is asked {known.due_at - now} s too early"
        )
        attempt.open[name] = Question(now)

    def said(self, place: Place, reply: Said, now: float) -> None:
        """The server answers."""
        uid, name = place
        attempt = self.attempts[uid]
        question = attempt.open[name]
        if reply is Said.NOT_NOW:
            question.not_now += 1
            if question.not_now < MOST_NOT_NOW:
                question.held = False
                return
        if reply is Said.RIGHT:
            attempt.found.add(edge_of(place))
        order = list(Said)
        attempt.worst = max(attempt.worst, reply, key=order.index)
        del attempt.open[name]
        if not attempt.open:
            self._conclude(uid, now)

    def _conclude(self, uid: str, now: float) -> None:
        attempt, known = self.attempts.pop(uid), self.known.get(uid)
        if known is None or attempt.outdated or attempt.worst is Said.NOT_NOW:
            return
        if attempt.worst in {Said.RIGHT, Said.EMPTY}:
            self.known[uid] = Known(state=State.SETTLED, edges=attempt.found)
            return
        known.attempts += 1
        if attempt.worst is Said.INVALID or known.attempts > len(DELAYS_S):
            known.state, known.edges = State.SKIPPED, attempt.found
        else:
            known.state, known.due_at = State.BACKING_OFF, now + DELAYS_S[known.attempts - 1]

    def deadlines(self) -> list[tuple[float, Place]]:
        """When the questions that the server has will be given up."""
        return sorted(
            (question.asked_at + TIMEOUT_S, (uid, name))
            for uid, attempt in self.attempts.items()
            for name, question in attempt.open.items()
            if question.held
        )

    def pass_to(self, now: float) -> None:
        """What was not answered in time has failed."""
        for deadline, place in self.deadlines():
            if deadline <= now:
                self.said(place, Said.FAILED, deadline)

    def forget_attempts(self) -> None:
        """The server has died, or the daemon ended: nobody is charged."""
        self.attempts.clear()

    def indexed(self, changed: str, edited: str, now: float) -> None:
        """A changed file has been indexed; ``edited``: the symbol whose own text is another.

        What is in it is tried afresh where it had failed.
        """
        self.pass_to(now)
        for attempt in self.attempts.values():
            attempt.outdated = True
        before, self.known = self.known, {}
        for path in self.files.functions:
            for uid in self.files.symbols(path):
                known = before.get(uid)
                if known is None or uid == edited or (path == changed and known.attempts):
                    known = Known(due_at=now)
                self.known[uid] = known
