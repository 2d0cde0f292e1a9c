"""What `enrichd index` says at its end."""

from __future__ import annotations

from msgspec import structs

from enrichd.cli.run import told
from enrichd.report import IndexReport

REPORT = IndexReport(
    workspace="flask",
    root="flask",
    files=118,
    files_changed=3,
    files_removed=0,
    symbols=1574,
    edges={"calls": 895, "imports": 10},
    outcomes={"edges": 900, "none": 600, "error": 0},
    parse={"ok": 118, "partial": 0},
    orphans=0,
    backing_off=0,
    skipped=0,
    seconds=3.2,
    parse_seconds=1.1,
    enrich_seconds=2.1,
    requests=10016,
    server="ty 0.0.104",
    complete=True,
    nothing_to_do=False,
    problems=[],
    job=None,
)


def test_a_complete_run_is_told_in_numbers() -> None:
    text = told(REPORT)
    assert text.startswith("flask: the graph is complete, 3.2 s\n")
    assert "118 (3 changed, 0 removed): ok 118; 1.1 s" in text
    assert "905: calls 895, imports 10" in text
    assert "ty 0.0.104: 10,016 requests, 2.1 s" in text
    assert "left" not in text


def test_a_run_with_nothing_to_do_is_one_line() -> None:
    again = structs.replace(REPORT, nothing_to_do=True, requests=0)
    assert told(again) == "nothing to do: 118 files unchanged, the graph is complete"


def test_an_incomplete_run_says_what_is_left_and_why() -> None:
    degraded = structs.replace(
        REPORT, complete=False, orphans=4, backing_off=1, problems=["python: 4 symbols wait"]
    )
    text = told(degraded)
    assert "the graph is not complete" in text
    assert "orphans 4, backing off 1" in text
    assert text.splitlines()[-1] == "  python: 4 symbols wait"


def test_a_folder_with_nothing_to_read_is_not_called_complete() -> None:
    nothing = structs.replace(REPORT, files=0, problems=["no file of /x is in a language ..."])
    assert told(nothing) == "nothing to index\nno file of /x is in a language ..."
