"""What answers say in words."""

from __future__ import annotations

import pytest

from enrichd.query.answers import counted, duration, listed, moment
from enrichd.query.completeness import Completeness, Trust
from enrichd.query.lanes import language_title


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3, "0 s"),
        (0, "0 s"),
        (12.9, "12 s"),
        (60, "1 min"),
        (3599, "59 min"),
        (3600, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_a_duration_has_one_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_list_names_three_and_counts_the_rest() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed("abcde") == "a, b, c and 2 more"


def test_one_is_singular() -> None:
    assert [counted(number, "file") for number in (0, 1, 2000)] == [
        "0 files",
        "1 file",
        "2,000 files",
    ]


def test_languages_are_written_as_people_do() -> None:
    assert [language_title(each) for each in ("go", "typescript", "cpp")] == [
        "Go",
        "TypeScript",
        "C++",
    ]


def test_completeness_reads_as_the_contract_has_it() -> None:
    known = Completeness(Trust.COMPLETE, [], moment(100), "ty", "0.0.104", 0, 0)
    assert known.text(112) == "complete; ty 0.0.104, 12 s ago"
    unknown = Completeness(Trust.UNKNOWN, ["no server for Go"], None, "", "", 1, 0)
    assert unknown.text(112) == "unknown: no server for Go"
    partial = Completeness(Trust.PARTIAL, ["f is not yet enriched"], moment(100), "ty", "1", 1, 0)
    assert partial.text(112) == "partial: f is not yet enriched; ty 1, 12 s ago"
