"""Who killed the server? Suspects are asked about one at a time, until one is alone when it dies.

A death with several symbols in flight says nothing about any of them. Each is tried alone; a
second death then has one possible author, and that one is charged. Others of its file are tried
next, to tell whether it is the symbol or the file (see ``suspicion``).

A server that dies or hangs whatever it is asked is at fault itself, and nobody's symbol is. So
after each death somebody has to vouch for the server first: a control, which is the next of those
that are not suspected at all. Who is alone when the server ends before anybody was answered is put
aside until somebody was. Whoever was charged before needs no such proof. Nor does anybody when all
files that could be asked about are suspected; as to a hang, only one that is the very last.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

from enrichd.enrich.charging import Judgement
from enrichd.enrich.suspicion import Suspicions
from enrichd_tracker.model import Work

_GOOD_FILES = 1000

Control = Callable[[Callable[[Work], bool]], Work | None]
"""Gives the next symbol that the function accepts."""


class Suspects:
    """The suspects of one lane."""

    def __init__(self) -> None:
        self.suspicions = Suspicions()
        self.poison_files: dict[str, tuple[bytes, Judgement]] = {}
        """Files that were found guilty, by path, with their digest: to be taken away by the
        caller, who skips what waits of them."""
        self.wanted: dict[str, int] = {}
        """Files of which so many more symbols are to be tried now; to be taken away as well."""
        self._waiting: deque[Work] = deque()
        self._aside: deque[Work] = deque()
        """The server ended while they were alone, and nobody was answered since."""
        self._good_files: OrderedDict[str, None] = OrderedDict()
        """Of which somebody was answered, the latest last."""
        self._on_trial: Work | None = None
        self._vouched = False
        """Whether somebody was answered since the last death."""
        self._has_no_control = False
        """Of the trial: nobody was answered before it, and there was nobody to ask for that."""
        self._is_only_one = False
        """Of the trial: there was nobody else at all, and it is not its first."""

    @property
    def isolating(self) -> bool:
        """Whether nobody else may be asked about just now."""
        return bool(self._waiting or self._aside) or self._on_trial is not None

    @property
    def attributes(self) -> bool:
        """Whether somebody is on trial whose fault a death would be, and not the server's."""
        return self._on_trial is not None and self._is_proof(self._on_trial)

    def is_on_trial(self, work: Work) -> bool:
        """Whether it is asked about alone just now."""
        return self._on_trial is not None and self._on_trial.symbol_id == work.symbol_id

    def is_suspect(self, work: Work) -> bool:
        """Whether the symbol is only ever asked about alone, for what happened before."""
        return self.suspicions.is_suspect(work)

    def add(self, works: Iterable[Work]) -> None:
        """Have them tried, each alone."""
        self._waiting.extend(works)

    def call(self, works: Iterable[Work]) -> None:
        """Have them tried before the others."""
        self._waiting.extendleft(works)

    def clear(self) -> list[Work]:
        """Suspect nobody any more; returns who waited."""
        works = [*self._waiting, *self._aside]
        self._waiting.clear()
        self._aside.clear()
        self._on_trial = None
        return works

    def take(self, symbol_ids: set[int]) -> list[Work]:
        """Those of them who wait for their trial; they wait no more."""
        works = [each for each in (*self._waiting, *self._aside) if each.symbol_id in symbol_ids]
        for row in (self._waiting, self._aside):
            kept = [each for each in row if each.symbol_id not in symbol_ids]
            row.clear()
            row.extend(kept)
        return works

    def next_alone(self, control: Control) -> Work | None:
        """The next to be tried, once nobody else is in flight; ``control`` gives one more."""
        if self._on_trial is not None:
            return None
        self._has_no_control = self._is_only_one = False
        work = None if self._vouched else self._call_control(control)
        if work is None and (self._waiting or self._aside):
            self._has_no_control = not self._vouched
            if not self._waiting:  # all of them were alone at a death, and there is nobody else
                self._is_only_one = len(self._aside) == 1
                self._waiting, self._aside = self._aside, self._waiting
            work = self._waiting.popleft()
        self._on_trial = work
        return work

    def survived(self, work: Work) -> None:
        """The server lived through it, whatever it answered."""
        if self.isolating and not self.is_on_trial(work):
            return  # it was answered before the last death
        self._vouched = True
        self._good_files[work.file.path] = None
        self._good_files.move_to_end(work.file.path)
        if len(self._good_files) > _GOOD_FILES:
            self._good_files.popitem(last=False)
        self.suspicions.answered(work)
        self.wanted.pop(work.file.path, None)
        self._waiting.extend(self._aside)
        self._aside.clear()
        self.leave(work)

    def leave(self, work: Work) -> None:
        """Its trial ended without a verdict."""
        if self.is_on_trial(work):
            self._on_trial = None

    def died(self, work: Work, reason: str, *, hung: bool) -> Judgement | None:
        """The server died with the symbol in flight: a judgement if it is guilty of that.

        Without one it is kept, to be tried again.
        """
        is_proof = self._is_proof(work, hung=hung)
        self._vouched = False
        if not self.is_on_trial(work):
            self._waiting.append(work)
            return None
        self._on_trial = None
        if not is_proof:
            self._aside.append(work)
            return None
        how = f"{'hung' if hung else 'died'} ({reason})"
        judgement, whole_file = self.suspicions.hold_against(work, how)
        if whole_file:
            self.poison_files[work.file.path] = (work.file.digest, judgement)
            self.wanted.pop(work.file.path, None)
        else:
            self._want_witnesses(work)
        return judgement

    def _want_witnesses(self, work: Work) -> None:
        path = work.file.path
        waiting = [each for each in self._waiting if each.file.path == path]
        if (lacking := self.suspicions.lacks_witnesses(work) - len(waiting)) > 0:
            self.wanted[path] = lacking
        if waiting:
            others = [each for each in self._waiting if each.file.path != path]
            self._waiting = deque([*waiting, *others])

    def _is_proof(self, work: Work, *, hung: bool = False) -> bool:
        """Whether it is guilty if the server ends while it is on trial."""
        if self._vouched or self.suspicions.has_killed(work):
            return True
        return self._is_only_one if hung else self._has_no_control

    def _call_control(self, control: Control) -> Work | None:
        """Somebody unsuspected; at best of a file that was good before, also a suspect of such."""
        suspected = {each.file.path for each in (*self._waiting, *self._aside)}

        def may_vouch(work: Work) -> bool:
            return not (work.file.path in suspected or self.is_suspect(work))

        def is_good(work: Work) -> bool:
            return work.file.path in self._good_files and not self.is_suspect(work)

        found = control(lambda work: may_vouch(work) and is_good(work)) or control(may_vouch)
        if found is None:
            tried = {each.file.path for each in self._aside}
            good = (each for each in self._waiting if is_good(each))
            found = next((each for each in good if each.file.path not in tried), None)
            if found is not None:
                self._waiting.remove(found)
        return found
