"""What the figures of `make bench` are made of."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench.figures import Figure, Verdict
from bench.pairs import exponent, in_turn, percentile
from bench.reasons import reason
from bench.results import closing, markdown, table
from bench.scip import Place, ScipIndex, Site


@pytest.mark.parametrize(
    ("value", "budget", "at_least", "verdict"),
    [
        (1.0, 1.0, False, Verdict.OK),
        (1.1, 1.0, False, Verdict.OVER),
        (5.0, 5.0, True, Verdict.OK),
        (4.9, 5.0, True, Verdict.OVER),
        (4.9, None, False, Verdict.NO_BUDGET),
        (None, 5.0, True, Verdict.NOT_RUN),
    ],
)
def test_a_figure_says_whether_it_keeps_to_its_budget(
    value: float | None, budget: float | None, at_least: bool, verdict: Verdict
) -> None:
    assert Figure("x", "y", value, budget=budget, at_least=at_least).verdict is verdict


def test_what_is_compared_takes_turns_and_the_median_of_the_pairs_counts() -> None:
    order: list[str] = []
    seconds = iter([2.0, 9.0, 4.0])

    def ours() -> float:
        order.append("ours")
        return next(seconds)

    def theirs() -> float:
        order.append("theirs")
        return 2.0

    found = in_turn(3, ours, theirs)
    assert order == ["ours", "theirs"] * 3
    assert (found.ratio, found.our_s, found.their_s) == (2.0, 4.0, 2.0)
    assert found.spread == "3 pairs, 1.00 to 4.50"


def test_the_exponent_of_what_grows_in_proportion_is_one() -> None:
    assert exponent([1, 10, 100], [3, 30, 300]) == pytest.approx(1.0)
    assert exponent([1, 10, 100], [1, 100, 10_000]) == pytest.approx(2.0)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(each) for each in range(100)]
    assert (percentile(values, 0.5), percentile(values, 0.99)) == (50.0, 99.0)
    assert percentile([3.0], 0.99) == 3.0


def test_what_could_not_be_run_is_counted_and_says_why() -> None:
    figures = [
        Figure("peers", "a | b", None, budget=5, at_least=True, note="npm is not installed"),
        Figure("limit", "django", 1.25, budget=1.3),
    ]
    assert closing(figures) == "1 ok, 0 over, 1 not run"
    page = markdown(figures, {"machine": "2 cores"}, 60.0)
    assert "| peers | a \\| b |  | >= 5 | not run | npm is not installed |" in page
    assert "| limit | django | 1.25 x | <= 1.3 | ok |  |" in page
    assert "not run" in table(figures)


def test_an_index_of_scip_is_read_as_protobuf_writes_it(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, len(content)]) + content

    def occurrence(line: int, column: int, symbol: str, roles: int) -> bytes:
        place = field(1, bytes([line, column, column + 3]))
        return field(2, place + field(2, symbol.encode()) + bytes([3 << 3, roles]))

    document = field(1, b"a.py") + occurrence(4, 4, "p run().", 1) + occurrence(9, 2, "p run().", 8)
    document += occurrence(9, 7, "local 3", 0)
    file = tmp_path / "index.scip"
    file.write_bytes(field(1, b"") + field(2, document))
    index = ScipIndex.read(file)
    assert index.definitions == {"p run().": {Place("a.py", 4)}}
    assert index.uses == [(Site("a.py", 9, 2), "p run().")]


_DIED = b"""\
An internal error occurred while checking "a.py": Error: Debug Failure. False expression.
    at verify (/there/dist/evaluator.ts:22528:9)
An internal error occurred while checking "a.py": Error: Debug Failure. False expression.
    at verify (/there/dist/evaluator.ts:22528:9)

Experienced Fatal Error While Indexing:
Please create an issue: {
  currentFilepath: 'a.py',
  error: Error: Debug Failure. False expression.
      at verify (/there/dist/evaluator.ts:22528:9)
}
"""


@pytest.mark.parametrize(
    ("said", "reason_given"),
    [
        (
            _DIED,
            'An internal error occurred while checking "a.py": Error: Debug Failure. False expr',
        ),
        (_DIED[_DIED.index(b"\n\n") :], "error: Error: Debug Failure. False expression."),
        (
            b"x.js:1\n    throw new Error(1)\n    ^\n\nError: full\n    at f (x.js:1)\n\n",
            "Error: full",
        ),
        (b"Traceback:\n  File 'a'\n    fail()\nKeyError: 'b'\n", "KeyError: 'b'"),
        (
            b"npm error code E404\nnpm error 404 Not Found\n",
            "npm error code E404; npm error 404 No",
        ),
        (b"FATAL ERROR: heap out of memory\n 1: 0xb7c8 abort\n\n}\n", "FATAL ERROR: heap out of m"),
        (b"started\nkilled by somebody\n", "killed by somebody"),
        (b" }\n", "it did not say why"),
    ],
)
def test_the_reason_of_a_failure_is_never_the_end_of_a_stack_trace(
    said: bytes, reason_given: str
) -> None:
    assert reason(said).startswith(reason_given)
    assert reason(b"", said).startswith(reason_given)
