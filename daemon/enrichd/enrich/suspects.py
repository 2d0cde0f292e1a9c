"""Who killed the server? Suspects are asked about one at a time, until one is alone when it dies.

A death with several symbols in flight says nothing about any of them. Each is tried alone; a
second death then has one possible author, and that one is charged. After three such deaths it is
skipped at once.

A server that hangs is treated alike, but a hang is a symbol's only if others were answered since
the last one: where everything times out, the server is at fault and nobody's symbol. So who hangs
alone is put aside until somebody else was tried: another suspect, or a control, which is the next
of those that are not suspected at all. Whoever was charged before needs no more proof, nor does
one that hangs again and again when there is nobody else to ask.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from enrichd.enrich.charging import Judgement, Verdict
from enrichd_tracker.model import Work

MAX_POISON_DEATHS = 3


class Suspects:
    """The suspects of one lane."""

    def __init__(self) -> None:
        self._waiting: deque[Work] = deque()
        self._aside: deque[Work] = deque()
        """They hung the server alone, and nobody was answered since."""
        self._on_trial: int | None = None
        self._is_only_one = False
        """Whether there was nobody else to ask when the trial began."""
        self._deaths: dict[int, int] = {}
        self._answers_since_hang = 0

    @property
    def isolating(self) -> bool:
        """Whether nobody else may be asked about just now."""
        return bool(self._waiting or self._aside) or self._on_trial is not None

    def is_known(self, work: Work) -> bool:
        """Whether the symbol was found guilty before: it is only ever asked about alone."""
        return work.symbol_id in self._deaths

    def add(self, works: Iterable[Work]) -> None:
        """Have them tried, each alone."""
        self._waiting.extend(works)

    def clear(self) -> list[Work]:
        """Suspect nobody any more; returns who waited."""
        works = [*self._waiting, *self._aside]
        self._waiting.clear()
        self._aside.clear()
        self._on_trial = None
        return works

    def next_alone(self, control: Callable[[], Work | None]) -> Work | None:
        """The next to be tried, once nobody else is in flight; ``control`` gives one more."""
        if self._on_trial is not None:
            return None
        self._is_only_one = False
        work = self._waiting.popleft() if self._waiting else control()
        if work is None:  # all of them hung alone, and there is nobody else
            self._is_only_one = len(self._aside) == 1
            self._waiting, self._aside = self._aside, self._waiting
            work = self._waiting.popleft() if self._waiting else None
        if work is not None:
            self._on_trial = work.symbol_id
        return work

    def survived(self, work: Work) -> None:
        """The server lived through it, whatever it answered."""
        self._answers_since_hang += 1
        self._deaths.pop(work.symbol_id, None)
        self._waiting.extend(self._aside)
        self._aside.clear()
        self.leave(work)

    def leave(self, work: Work) -> None:
        """Its trial ended without a verdict."""
        if self._on_trial == work.symbol_id:
            self._on_trial = None

    def died(self, work: Work, reason: str, *, hung: bool) -> Judgement | None:
        """The server died with the symbol in flight: a judgement if it is guilty of that.

        Without one it is kept, to be tried again.
        """
        others_answered = self._answers_since_hang > 0
        if hung:
            self._answers_since_hang = 0
        if self._on_trial != work.symbol_id:
            self._waiting.append(work)
            return None
        self._on_trial = None
        if hung and not (others_answered or self._is_only_one or self.is_known(work)):
            self._aside.append(work)
            return None
        deaths = self._deaths[work.symbol_id] = self._deaths.get(work.symbol_id, 0) + 1
        what = "hung" if hung else "died"
        text = f"poison: alone in flight when the server {what} ({reason})"
        if deaths < MAX_POISON_DEATHS:
            return Judgement(Verdict.CHARGED, "poison", text)
        del self._deaths[work.symbol_id]
        return Judgement(Verdict.DEFINITIVE, "poison", f"{text}, {deaths} times")
