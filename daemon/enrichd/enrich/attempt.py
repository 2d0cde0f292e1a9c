"""One attempt to enrich one symbol: its questions, what was answered, what is still open."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from enrichd.enrich.charging import Judgement, Verdict
from enrichd.lsp.wire import Died, Reply, Target
from enrichd_tracker.model import External, Origin, ResolvedEdge, Site, Work
from enrichd_tracker.store.port import Definition

_GRAVITY = {
    Verdict.GOOD: 0,
    Verdict.CHARGED: 1,
    Verdict.DEFINITIVE: 2,
    Verdict.DROP_OPERATION: 3,
    Verdict.NOBODY: 4,
}


class Ledger(Protocol):
    """Is told what became of an attempt, in one of three ways."""

    def succeeded(self, work: Work, origin: Origin, edges: list[ResolvedEdge]) -> None:
        """All of the symbol's questions were answered."""
        ...

    def failed(
        self, work: Work, origin: Origin, edges: list[ResolvedEdge], judgement: Judgement
    ) -> None:
        """The attempt failed; the edges are those that were found all the same."""
        ...

    def released(self, works: Iterable[Work], *, at_once: bool = False) -> None:
        """Nothing was found out, and nobody is to be charged."""
        ...


class Ask:
    """One question about one site; called with the reply that it gets."""

    __slots__ = ("attempt", "character", "hops", "line", "looks", "sent_at", "site", "uri")

    def __init__(
        self,
        attempt: Attempt,
        site: Site,
        *,
        uri: bytes,
        line: int,
        character: int,
        hops: int = 0,
    ) -> None:
        self.attempt = attempt
        self.site = site
        self.uri = uri
        """As a JSON string."""
        self.line = line
        self.character = character
        """In the server's units."""
        self.hops = hops
        """How many imports were followed to come here."""
        self.looks = 0
        """How often its answer was in doubt."""
        self.sent_at = 0.0

    def __call__(self, reply: Reply[list[Target]]) -> None:
        self.attempt.on_reply(self, reply)


class Attempt:
    """Open until each of its questions has been settled."""

    __slots__ = (
        "answers",
        "asked",
        "death",
        "found",
        "judgement",
        "ledger",
        "on_reply",
        "open",
        "outdated",
        "unproved",
        "work",
    )

    def __init__(
        self, work: Work, on_reply: Callable[[Ask, Reply[list[Target]]], None], ledger: Ledger
    ) -> None:
        self.work = work
        self.on_reply = on_reply
        self.ledger = ledger
        self.open = 0
        """Questions that are not settled, sent or not."""
        self.asked = False
        """Whether there was anything to ask: if not, the text alone gives the outcome."""
        self.unproved = False
        """Whether a server answered that has not proved itself."""
        self.outdated = False
        """Whether files changed since it began: what was answered may be about the old ones."""
        self.answers: list[tuple[Ask, list[Target]]] = []
        """Not resolved yet."""
        self.found: list[tuple[Site, list[Definition], list[External]]] = []
        self.judgement: Judgement | None = None
        """The gravest of what was not good."""
        self.death: Died | None = None
        """How the server ended with one of the questions in flight, if it did so by itself."""

    def expect(self, questions: int) -> None:
        """So many questions more will have to be settled."""
        self.open += questions
        self.asked = self.asked or questions > 0

    def answered(self, ask: Ask, targets: list[Target], *, proved: bool) -> None:
        """A question has an answer to believe."""
        if not proved:
            self.unproved = True
        if targets:
            self.answers.append((ask, targets))
        self.open -= 1

    def condemned(self, judgement: Judgement) -> None:
        """A question has no such answer."""
        if self.judgement is None or (
            _GRAVITY[judgement.verdict] > _GRAVITY[self.judgement.verdict]
        ):
            self.judgement = judgement
        self.open -= 1
