from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.unit.enrich.made import work

from enrichd.enrich.charging import Verdict
from enrichd.enrich.suspects import Suspects
from enrichd.enrich.suspicion import MAX_POISON_DEATHS
from enrichd_tracker.model import Work

Accept = Callable[[Work], bool]


def nobody(accept: Accept) -> Work | None:
    return None


def only(*works: Work) -> Callable[[Accept], Work | None]:
    """Gives these, as far as they are accepted."""
    row = deque(works)
    return lambda accept: row.popleft() if row and accept(row[0]) else None


def test_a_death_in_company_charges_nobody_and_has_each_tried_alone() -> None:
    suspects = Suspects()
    for number in range(3):
        assert suspects.died(work(number), "boom", hung=False) is None
    for number in range(3):
        assert suspects.next_alone(nobody) == work(number)
        assert suspects.next_alone(nobody) is None
        suspects.survived(work(number))
    assert not suspects.isolating


def test_who_is_alone_is_charged_and_skipped_after_three_deaths() -> None:
    suspects = Suspects()
    suspects.died(work(1), "boom", hung=False)
    verdicts = []
    for number in range(1, MAX_POISON_DEATHS + 1):
        assert suspects.next_alone(nobody) == work(1)
        judgement = suspects.died(work(1), "boom", hung=False)
        assert judgement is not None
        text = f"poison: alone in flight when the server died (boom), death {number} of 3"
        assert judgement.reason == text
        verdicts.append(judgement.verdict)
        suspects.add([work(1)])
    assert verdicts == [Verdict.CHARGED, Verdict.CHARGED, Verdict.DEFINITIVE]


def test_after_a_death_somebody_else_vouches_for_the_server_first() -> None:
    suspects = Suspects()
    suspects.died(work(1), "boom", hung=False)
    control = only(work(2, path="b.py"))
    assert suspects.next_alone(control) == work(2, path="b.py")
    attributed = [suspects.attributes]
    suspects.survived(work(2, path="b.py"))
    assert suspects.next_alone(nobody) == work(1)
    attributed.append(suspects.attributes)
    assert attributed == [False, True]
    assert suspects.died(work(1), "boom", hung=False) is not None


@pytest.mark.parametrize("suspected", ["a suspect's file", "a file that killed"])
def test_nobody_vouches_who_may_be_poison(suspected: str) -> None:
    suspects = Suspects()
    suspects.died(work(1), "boom", hung=False)
    if suspected == "a file that killed":
        assert suspects.next_alone(nobody) == work(1)
        assert suspects.died(work(1), "boom", hung=False) is not None
        suspects.add([work(3, path="c.py")])
    assert suspects.next_alone(only(work(2))) != work(2)


def test_an_answer_from_before_the_death_vouches_for_nobody() -> None:
    suspects = Suspects()
    suspects.died(work(1), "boom", hung=False)
    suspects.survived(work(2, path="b.py"))
    control = only(work(3, path="c.py"))
    assert suspects.next_alone(control) == work(3, path="c.py")


def test_a_hang_is_a_symbols_only_if_others_were_answered_since_the_last() -> None:
    suspects = Suspects()
    suspects.died(work(1), "silence", hung=True)
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is None
    other = work(2, path="b.py")
    assert suspects.next_alone(only(other)) == other
    suspects.survived(other)
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is not None


def test_where_all_hang_in_turn_nobody_is_ever_charged() -> None:
    suspects = Suspects()
    row = deque(work(number) for number in range(5))
    suspects.died(row.popleft(), "silence", hung=True)
    suspects.died(row.popleft(), "silence", hung=True)
    for _ in range(50):
        suspect = suspects.next_alone(lambda accept: row.popleft() if row else None)
        assert suspect is not None
        assert suspects.died(suspect, "silence", hung=True) is None


def test_who_hangs_again_and_again_with_nobody_else_to_ask_is_charged() -> None:
    suspects = Suspects()
    suspects.died(work(1), "silence", hung=True)
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is None
    assert suspects.next_alone(nobody) == work(1)
    assert suspects.died(work(1), "silence", hung=True) is not None


def test_a_trial_without_a_verdict_ends() -> None:
    suspects = Suspects()
    suspects.add([work(1)])
    assert suspects.next_alone(nobody) == work(1)
    suspects.leave(work(1))
    assert not suspects.isolating


class Trials(RuleBasedStateMachine):
    """Whatever happens, everybody is in one place, and who is charged was alone."""

    def __init__(self) -> None:
        super().__init__()
        self.suspects = Suspects()
        self.orphans = deque(work(number, path=f"f{number % 3}.py") for number in range(6))
        self.in_flight: list[Work] = []
        self.kept: set[int] = set()
        self.charges: Counter[int] = Counter()
        self.charges_of_file: Counter[str] = Counter()

    def take(self, accept: Accept) -> Work | None:
        found = next(filter(accept, self.orphans), None)
        if found is not None:
            self.orphans.remove(found)
        return found

    @precondition(lambda self: not self.suspects.isolating)
    @rule(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        for _ in range(min(count, len(self.orphans))):
            one = self.orphans.popleft()
            if self.suspects.is_suspect(one):
                self.suspects.add([one])
                self.kept.add(one.symbol_id)
                return
            self.in_flight.append(one)

    @precondition(lambda self: self.suspects.isolating and not self.in_flight)
    @rule()
    def begin_alone(self) -> None:
        one = self.suspects.next_alone(self.take)
        assert one is not None
        self.kept.discard(one.symbol_id)
        self.in_flight.append(one)

    @precondition(lambda self: self.in_flight)
    @rule()
    def answer(self) -> None:
        one = self.in_flight.pop()
        self.suspects.survived(one)
        self.orphans.append(one)

    @precondition(lambda self: self.in_flight)
    @rule()
    def stop(self) -> None:
        one = self.in_flight.pop()
        self.suspects.leave(one)
        self.orphans.append(one)

    @precondition(lambda self: self.in_flight)
    @rule(hung=st.booleans())
    def die(self, hung: bool) -> None:
        company = len(self.in_flight)
        for one in self.in_flight:
            judgement = self.suspects.died(one, "boom", hung=hung)
            if judgement is None:
                self.kept.add(one.symbol_id)
                continue
            assert company == 1
            self.charges[one.symbol_id] += 1
            self.charges_of_file[one.file.path] += 1
            own, of_file = self.charges[one.symbol_id], self.charges_of_file[one.file.path]
            if judgement.verdict is Verdict.DEFINITIVE:
                assert max(own, of_file) >= MAX_POISON_DEATHS
            self.orphans.append(one)
        self.in_flight.clear()

    @precondition(lambda self: self.suspects.isolating and not self.in_flight)
    @rule(number=st.integers(0, 5))
    def take_away(self, number: int) -> None:
        taken = self.suspects.take({number})
        assert {each.symbol_id for each in taken} == self.kept & {number}
        self.kept.discard(number)
        self.orphans.extend(taken)

    @invariant()
    def everybody_is_in_one_place(self) -> None:
        places = [
            *(each.symbol_id for each in self.orphans),
            *(each.symbol_id for each in self.in_flight),
            *self.kept,
        ]
        assert sorted(places) == list(range(6))
        if not self.in_flight:
            assert self.suspects.isolating == bool(self.kept)


TestTrials = Trials.TestCase
TestTrials.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)
