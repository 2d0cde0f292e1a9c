"""`errors`, `stats` and `jobs`: what the runs over a tree full of broken files left behind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.integration.index_here import index_here
from tests.running import Place, write_tree

from enrichd.settings import IndexSettings

GOOD = "def f():\n    return 1\n"
BROKEN: dict[str, tuple[int, bytes, str]] = {
    "latin": (60, b"name = '\xe9\xe8'\n", "encoding_error"),
    "binary": (50, b"\0\1\2\3", "encoding_error"),
    "large": (29, b"# " + b"x" * 3_000, "io_error"),
}
"""How many, of what, and what that is called: 139 in all."""


@pytest.fixture
def root(place: Place) -> Path:
    files: dict[str, str | bytes] = {f"good/m{n}.py": GOOD for n in range(106)}
    for name, (number, content, _) in BROKEN.items():
        files |= {f"{name}/m{n}.py": content for n in range(number)}
    root = write_tree(place.folder / "root", files)
    place.configure(more="[index]\nmax_file_bytes = 2000")
    index_here(place, root, IndexSettings(max_file_bytes=2000))
    return root


def by_type(summary: Any) -> dict[str, int]:
    return {each["error_type"]: each["errors"] for each in summary["types"]}


def test_the_summary_adds_up_and_pages_do_not_overlap(place: Place, root: Path) -> None:
    summary = place.ask("errors", "--summary")
    assert summary["errors"] == 139
    assert by_type(summary) == {"encoding_error": 110, "io_error": 29}
    files: list[str] = []
    for offset in range(0, 150, 50):
        page = place.ask("errors", "--limit", "50", "--offset", str(offset))
        files += [each["file"] for each in page["errors"]]
        assert page["more"] is (offset < 100)
    assert len(files) == len(set(files)) == 139
    assert place.run("errors", "--offset", "139").out == "no more errors\n"


def test_errors_can_be_chosen(place: Place, root: Path) -> None:
    def files(*options: str) -> int:
        return len(place.ask("errors", "--limit", "1000", *options)["errors"])

    assert files("--type", "io_error") == 29
    assert files("--path", "latin/*") == 60
    assert files("--type", "io_error", "--path", "latin/*") == 0
    assert files("--language", "python") == 139
    assert files("--since", "1h") == 139
    assert files("--status", "resolved") == 0
    for wrong in (["--limit", "1001"], ["--since", "soon"], ["--type", "bad"], ["--offset", "-1"]):
        said = place.run("errors", *wrong)
        assert (said.code, said.out) == (64, "")
        assert wrong[0] in said.err


def test_an_error_seen_again_is_counted_and_one_that_is_over_is_resolved(
    place: Place, root: Path
) -> None:
    write_tree(root, {f"latin/m{n}.py": GOOD for n in range(60)})
    write_tree(root, {f"binary/m{n}.py": b"\0\1\2\3\4" for n in range(50)})
    assert place.run("index", root, "--no-enrich", "-q").code == 0
    assert by_type(place.ask("errors", "--summary")) == {"encoding_error": 50, "io_error": 29}
    assert place.ask("errors", "--status", "resolved", "--limit", "100")["errors"][0]["count"] == 1
    again = place.ask("errors", "--path", "binary/*", "--limit", "100")["errors"]
    assert {each["count"] for each in again} == {2}


def test_stats_say_how_much_parsed_cleanly_and_how_that_moved(place: Place, root: Path) -> None:
    [before] = place.ask("stats")["workspaces"]
    assert before["clean_ratio"] == round(106 / 245, 4)
    write_tree(root, {f"latin/m{n}.py": GOOD for n in range(60)} | {"good/m0.py": "x = = 1\n"})
    assert place.run("index", root, "--no-enrich", "-q").code == 0
    said = place.ask("stats", "--failures", "--limit", "1000")
    [now] = said["workspaces"]
    assert [(each["ok"], each["partial"], each["error"]) for each in now["history"]] == [
        (165, 1, 79),
        (106, 0, 139),
    ]
    [python] = now["languages"]
    assert python["clean_ratio"] == round(165 / 245, 4)
    assert 0 < python["lost_bytes"] < len("x = = 1\n")
    assert len(said["failures"]) == 80
    [partial] = [each for each in said["failures"] if each["status"] == "partial"]
    assert (partial["file"], partial["error_lines"]) == ("good/m0.py", [1])
    text = place.run("stats").out
    assert text.startswith("root: 67.3% parsed cleanly\n")
    assert "43.3%" in text


def test_jobs_are_listed_and_shown_with_their_stages(place: Place, root: Path) -> None:
    write_tree(root, {"good/m0.py": "x = 1\n"})
    assert place.run("index", root, "--no-enrich", "-q").code == 0
    jobs = place.ask("jobs")["jobs"]
    assert [(each["kind"], each["files_indexed"], each["files_failed"]) for each in jobs] == [
        ("incremental", 1, 0),
        ("full", 106, 139),
    ]
    one = place.ask("jobs", jobs[1]["job_id"][:12])
    assert one == jobs[1]
    stages = ["analyzing", "parsing", "storing", "validating"]
    assert [each["stage"] for each in one["stages"]] == stages
    assert f"job        {one['job_id']}\n" in place.run("jobs", one["job_id"]).out
    said = place.run("jobs", "f" * 40)
    assert said.code == 1
    assert "there is no job" in said.err


def test_a_commit_is_remembered_with_the_run(place: Place) -> None:
    import subprocess  # noqa: PLC0415

    root = write_tree(place.folder / "repo", {"m.py": GOOD})
    place.configure()
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], cwd=root, check=True, capture_output=True)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=root, check=True, capture_output=True, text=True
    )
    assert place.run("index", root, "--no-enrich", "-q").code == 0
    [run] = place.ask("stats")["workspaces"][0]["history"]
    assert run["commit"] == head.stdout.strip()


def test_old_jobs_are_forgotten(place: Place, root: Path) -> None:
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.executemany(
            """INSERT INTO job (id, workspace_id, kind, status, owner, lease_until, created_at,
                   completed_at) VALUES (?, 1, 'incremental', 'completed', 'x', 0, ?, 1)""",
            [(f"old{n}", float(n)) for n in range(1_200)],
        )
    write_tree(root, {"good/m0.py": "x = 2\n"})
    assert place.run("index", root, "--no-enrich", "-q").code == 0
    with closing(sqlite3.connect(place.database)) as connection:
        [(number, oldest)] = connection.execute(
            "SELECT count(*), min(created_at) FROM job"
        ).fetchall()
    assert (number, oldest) == (1_000, 202.0)
    place.verify()
