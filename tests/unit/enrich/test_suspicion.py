"""What deaths say against a symbol and its file; whole stories of who kills, and what follows."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.enrich.made import LANE, work

from enrichd.enrich.charging import Verdict
from enrichd.enrich.suspects import Suspects
from enrichd.enrich.suspicion import MAX_POISON_DEATHS, Suspicions, deaths_in
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import Work

Accept = Callable[[Work], bool]


def file(name: str, first: int, count: int) -> list[Work]:
    return [work(first + number, path=name) for number in range(count)]


BAD = file("bad.py", 0, 50)
GOOD = [one for number in range(20) for one in file(f"good{number}.py", 100 + 10 * number, 5)]
PAIR = file("pair.py", 1000, 2)
LONE = file("lone.py", 2000, 1)
EVERYBODY = [*BAD, *GOOD, *PAIR, *LONE]


def ids(*works: Work) -> set[int]:
    return {each.symbol_id for each in works}


def record(one: Work, reason: str, *, skipped: bool = False) -> FailureRecord:
    return FailureRecord(
        symbol_id=one.symbol_id,
        uid=one.uid,
        lane=LANE,
        file=one.file.path,
        line=one.line,
        name=one.name,
        kind=one.kind,
        attempts=1,
        last_attempt_at=0.0,
        next_retry_at=None if skipped else 5.0,
        operations=one.operations,
        reason=reason,
        server="ty",
    )


def test_a_reason_tells_what_it_holds_against_whom() -> None:
    suspicions = Suspicions()
    told = [
        suspicions.hold_against(each, "died (it exited,\nat 9 deaths, death 7 of 8)")
        for each in BAD[:3]
    ]
    assert [whole for _, whole in told] == [False, False, True]
    assert [deaths_in(judgement.reason) for judgement, _ in told] == [(1, 0), (1, 0), (0, 3)]
    assert told[2][0].reason.startswith(
        "poison file bad.py: its symbols were alone in flight at 3 deaths of the server, "
        "which last died (it exited,"
    )
    assert told[2][0].reason.endswith("; what is left of it is skipped")
    assert deaths_in("no answer within 25 s") == (0, 0)


@pytest.mark.parametrize("whole", [False, True])
def test_another_content_of_the_file_has_a_clean_slate(whole: bool) -> None:
    suspicions = Suspicions()
    for each in BAD[: 3 if whole else 1]:
        suspicions.hold_against(each, "died")
    assert suspicions.is_suspect(BAD[40])
    changed = work(40, path="bad.py", digest=b"e")
    assert not suspicions.is_suspect(changed)
    suspicions.hold_against(changed, "died")
    assert suspicions.lacks_witnesses(changed) == 2


def test_a_poison_file_needs_one_death_more_to_be_found_guilty_again() -> None:
    """When a person has it tried again, or an edit elsewhere makes its symbols orphans."""
    suspicions = Suspicions()
    for each in BAD[:3]:
        suspicions.hold_against(each, "died")
    assert suspicions.is_suspect(BAD[30])
    judgement, whole = suspicions.hold_against(BAD[30], "died")
    assert whole
    assert "at 4 deaths" in judgement.reason
    suspicions.answered(BAD[31])
    assert not suspicions.is_suspect(BAD[30])


def test_what_is_forgotten_counts_from_one_again() -> None:
    suspicions = Suspicions()
    suspicions.hold_against(LONE[0], "died")
    suspicions.hold_against(LONE[0], "died")
    suspicions.forget(LONE[0])
    judgement, _ = suspicions.hold_against(LONE[0], "died")
    assert judgement.reason.endswith("death 1 of 3")
    suspicions.clear()
    assert not suspicions.is_suspect(LONE[0])


# Whole stories: which symbols kill, and what comes of it.


@dataclass
class Story:
    """A lane that asks about symbols until nobody is left, or nobody gets on any more."""

    orphans: deque[Work]
    kills: Accept
    window: int = 4
    hung: bool = False
    most_deaths: int = 400
    answered: set[int] = field(default_factory=set)
    skipped: dict[int, str] = field(default_factory=dict)
    charges: Counter[int] = field(default_factory=Counter)
    deaths: int = 0
    records: dict[int, FailureRecord] = field(default_factory=dict)
    suspects: Suspects = field(default_factory=Suspects)

    def tell(self) -> Story:
        while (self.orphans or self.suspects.isolating) and self.deaths < self.most_deaths:
            self.step()
        return self

    def step(self) -> None:
        in_flight: list[Work] = []
        while len(in_flight) < self.window:
            one = self._next(in_flight)
            if one is None:
                break
            in_flight.append(one)
        assert in_flight, "nobody is asked, though somebody waits"
        if not any(map(self.kills, in_flight)):
            for one in in_flight:
                self.suspects.survived(one)
                self.answered.add(one.symbol_id)
                self.records.pop(one.symbol_id, None)
            return
        self.deaths += 1
        attributed = self.suspects.attributes
        for one in in_flight:
            judgement = self.suspects.died(one, "boom", hung=self.hung)
            if judgement is None:
                continue
            assert len(in_flight) == 1, "who is charged was alone"
            assert judgement.label == "poison"
            assert attributed or self.hung, "it is said before that a death would charge"
            self.charges[one.symbol_id] += 1
            definitive = judgement.verdict is Verdict.DEFINITIVE
            self.records[one.symbol_id] = record(one, judgement.reason, skipped=definitive)
            if definitive:
                self.skipped[one.symbol_id] = judgement.reason
            else:
                self.orphans.append(one)
        self._follow()

    def _next(self, in_flight: list[Work]) -> Work | None:
        if self.suspects.isolating:
            return None if in_flight else self.suspects.next_alone(self._pick)
        if self.orphans and self.suspects.is_suspect(self.orphans[0]):
            self.suspects.add([self.orphans.popleft()])
            return self._next(in_flight)
        return self.orphans.popleft() if self.orphans else None

    def _pick(self, accept: Accept) -> Work | None:
        found = next(filter(accept, self.orphans), None)
        if found is not None:
            self.orphans.remove(found)
        return found

    def _follow(self) -> None:
        for path, number in self.suspects.wanted.items():
            killed = self.suspects.suspicions.has_killed
            others = [each for each in self.orphans if each.file.path == path and not killed(each)]
            for each in others[:number]:
                self.orphans.remove(each)
            self.suspects.call(others[:number])
        self.suspects.wanted.clear()
        for path, (digest, judgement) in self.suspects.poison_files.items():
            rest = [each for each in self.orphans if each.file.path == path]
            ids = {each.symbol_id for each in rest}
            rest += self.suspects.take(
                {each.symbol_id for each in self.suspects._waiting if each.file.path == path}
            )
            self.orphans = deque(each for each in self.orphans if each.symbol_id not in ids)
            for each in rest:
                assert each.file.digest == digest
                self.skipped[each.symbol_id] = judgement.reason
        self.suspects.poison_files.clear()

    def restart(self) -> None:
        """The daemon is killed, and begins again with what stands in the records."""
        self.orphans.extend(self.suspects.clear())
        self.suspects = Suspects()
        answered = {each.file.path for each in EVERYBODY if each.symbol_id in self.answered}
        self.suspects.suspicions.recall(self.records.values(), answered)


@pytest.mark.parametrize(
    ("guilty", "files", "charges"),
    [
        # the file kills whatever is asked about it: three of its symbols, once each
        (BAD, BAD, 3),
        # one symbol kills, and the others of its file speak for the file
        ([BAD[0]], [], 3),
        ([BAD[-1]], [], 3),
        # so do they for several
        ([BAD[0], BAD[25]], [], 6),
        ([BAD[0], BAD[1]], [], 6),
        # one that does not kill does not save the rest, but they begin anew after it
        (BAD[1:], BAD, 5),
        (BAD[:-1], BAD, 5),
        # small files: three deaths in all; a file of one symbol is that symbol
        (PAIR, PAIR, 3),
        (LONE, [], 3),
        # several at once
        ([*BAD, *PAIR, *LONE], [*BAD, *PAIR], 9),
        ([*GOOD[5:10], *GOOD[40:45], GOOD[50]], GOOD[5:10] + GOOD[40:45], 9),
    ],
)
def test_those_who_kill_are_skipped_and_nobody_else_but_with_a_poison_file(
    guilty: list[Work], files: list[Work], charges: int
) -> None:
    kills = ids(*guilty)
    for orphans in (EVERYBODY, EVERYBODY[::-1], [*GOOD[:50], *BAD, *GOOD[50:], *PAIR, *LONE]):
        story = Story(deque(orphans), lambda one: one.symbol_id in kills).tell()
        assert kills <= story.skipped.keys() <= kills | ids(*files)
        assert story.answered == ids(*EVERYBODY) - story.skipped.keys()
        assert story.charges.total() <= charges
        assert story.deaths <= 2 * charges


@pytest.mark.parametrize(("guilty", "charges"), [(BAD, 3), ([BAD[0]], 3), (PAIR, 3)])
def test_those_who_hang_the_server_are_found_the_same_way(guilty: list[Work], charges: int) -> None:
    kills = ids(*guilty)
    orphans = [*guilty, *(each for each in EVERYBODY if each not in guilty)]
    story = Story(deque(orphans), lambda one: one.symbol_id in kills, hung=True).tell()
    assert story.skipped.keys() == kills
    assert story.charges.total() == charges


def test_a_server_that_dies_of_everything_charges_nobody_until_every_file_was_tried() -> None:
    files = len({each.file.path for each in EVERYBODY})
    story = Story(deque(EVERYBODY), lambda one: True, most_deaths=files - 1).tell()
    assert story.charges == {}


def test_a_server_that_hangs_whatever_it_is_asked_charges_nobody() -> None:
    story = Story(deque(EVERYBODY), lambda one: True, hung=True).tell()
    assert story.charges == {}
    assert story.deaths == story.most_deaths


def test_one_that_recovers_is_believed_again() -> None:
    story = Story(deque(EVERYBODY), lambda one: story.deaths < 20)
    story.tell()
    assert story.charges == {}
    assert story.answered == ids(*EVERYBODY)


def test_where_there_is_only_one_file_it_needs_nobody_else_to_be_found_guilty() -> None:
    story = Story(deque(BAD), lambda one: True).tell()
    assert story.skipped.keys() == ids(*BAD)
    assert story.deaths == 1 + MAX_POISON_DEATHS


@settings(max_examples=60, deadline=None)
@given(st.sets(st.sampled_from(range(20))), st.integers(0, 12))
def test_a_restart_at_any_time_forgets_no_death(files: set[int], steps: int) -> None:
    """Neither is anybody found guilty who is not."""
    kills = ids(*(one for number in files for one in GOOD[5 * number : 5 * number + 5]))
    kills |= ids(BAD[7])
    story = Story(deque(EVERYBODY), lambda one: one.symbol_id in kills)
    for _ in range(steps):
        if story.orphans or story.suspects.isolating:
            story.step()
    story.restart()
    story.tell()
    assert story.skipped.keys() == kills
    assert story.charges[BAD[7].symbol_id] == MAX_POISON_DEATHS
    assert story.charges.total() <= MAX_POISON_DEATHS * (1 + len(files))
