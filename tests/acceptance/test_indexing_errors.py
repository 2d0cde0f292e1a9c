"""What goes wrong while indexing is on record: by type, file by file, until it is over.

What stands for what: a native library's panic, a fault of the extraction and a crash are brought
about in the processes that parse (faults_in_parsers.py); a row that the database refuses is one
that a trigger refuses.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from tests.acceptance.faults_in_parsers import environment
from tests.running import Daemon, Place, running, write_tree

GOOD = "def f():\n    return 1\n"
BROKEN: dict[str, tuple[int, bytes, str]] = {
    "latin": (60, b"name = '\xe9\xe8'\n", "encoding_error"),
    "torn": (50, b"def f(:\n    return (\n", "parsing_error"),
    "large": (29, b"# " + b"x" * 3_000, "io_error"),
}
"""How many, of what, and what that is called: 139 in all, of 245 files."""
ERRORS = "/api/v1/indexing/batch/errors/root"
SMALL = "[index]\nmax_file_bytes = 2000"


@contextmanager
def daemon_over(place: Place, files: dict[str, str | bytes]) -> Iterator[Daemon]:
    root = write_tree(place.folder / "root", files)
    place.configure(root, more=SMALL)
    with running(place) as daemon:
        daemon.wait_until_settled()
        yield daemon


@pytest.fixture
def broken(place: Place) -> Iterator[Daemon]:
    """A daemon over 245 files, of which 139 are broken in three ways."""
    files: dict[str, str | bytes] = {f"good/m{n}.py": GOOD for n in range(106)}
    for name, (number, content, _) in BROKEN.items():
        files |= {f"{name}/m{n}.py": content for n in range(number)}
    with daemon_over(place, files) as daemon:
        yield daemon


def got(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(path)
    assert status == HTTPStatus.OK, body
    return json.loads(body)


def by_type(daemon: Daemon, query: str = "") -> dict[str, int]:
    summary = got(daemon, f"{ERRORS}/summary{query}")
    found = {each["error_type"]: each["errors"] for each in summary["types"]}
    assert summary["errors"] == sum(found.values())
    return found


def files_of(daemon: Daemon, query: str) -> list[str]:
    return [each["file"] for each in got(daemon, f"{ERRORS}?{query}")["errors"]]


def every_page(daemon: Daemon) -> Iterator[list[str]]:
    """Pages of 50, each begun where the one before it ended."""
    page = got(daemon, f"{ERRORS}?limit=50")
    while True:
        assert page["more"] is (page["next"] is not None)
        yield [each["file"] for each in page["errors"]]
        if not page["more"]:
            return
        page = got(daemon, f"{ERRORS}?limit=50&before={quote(page['next'])}")


def index(place: Place, root: Path, *words: str, **options: Any) -> str:
    said = place.run("index", root, "--no-enrich", *words, **options)
    assert said.code == 0, said
    return said.out


def error_of(place: Place, file: str) -> Any:
    [found] = place.ask("errors", "--path", file, "--status", "all")["errors"]
    return found


# 245 files, 139 of them broken in three ways


def test_the_summary_adds_up_and_pages_do_not_overlap(broken: Daemon) -> None:
    assert by_type(broken) == {kind: number for number, _, kind in BROKEN.values()}
    by_offset = [
        file
        for offset in range(0, 150, 50)
        for file in files_of(broken, f"limit=50&offset={offset}")
    ]
    assert len(by_offset) == len(set(by_offset)) == 139
    by_place = [file for page in every_page(broken) for file in page]
    assert by_place == by_offset
    assert files_of(broken, "limit=1000") == by_offset


def test_pages_by_place_do_not_shift_while_errors_come_in(place: Place, broken: Daemon) -> None:
    pages = every_page(broken)
    seen = next(pages)
    late = {f"late/m{n}.py": b"\xff\n" for n in range(7)}
    write_tree(place.folder / "root", late)
    assert place.run("wait", timeout_s=60).code == 0
    assert set(files_of(broken, "limit=50")) > late.keys()
    seen += [file for page in pages for file in page]
    assert len(seen) == len(set(seen)) == 139
    assert not set(seen) & late.keys()


def test_errors_are_chosen_by_type_language_path_status_and_time(broken: Daemon) -> None:
    for name, (number, _, kind) in BROKEN.items():
        files = files_of(broken, f"limit=1000&error_type={kind}")
        assert len(files) == number
        assert all(file.startswith(f"{name}/") for file in files)
        assert by_type(broken, f"?path={name}/*") == {kind: number}
    assert files_of(broken, "error_type=io_error&path=latin/*") == []
    assert len(files_of(broken, "path=latin/m1?.py")) == 10
    assert sum(by_type(broken, "?language=python").values()) == 139
    assert by_type(broken, "?language=ruby") == {}
    assert by_type(broken, "?status=resolved") == by_type(broken, "?status=ignored") == {}
    assert sum(by_type(broken, "?status=all").values()) == 139
    [newest, *_] = got(broken, f"{ERRORS}?limit=1")["errors"]
    assert by_type(broken, "?since=4e9") == {}
    assert sum(by_type(broken, "?since=1e9").values()) == 139
    assert newest["first_seen"] == newest["last_seen"]


def test_what_is_outside_the_limits_is_refused_with_the_reason(place: Place) -> None:
    with daemon_over(place, {"a.py": GOOD}) as daemon:
        for wrong in (
            "limit=0",
            "limit=1001",
            "limit=many",
            "offset=-1",
            "before=yesterday",
            "error_type=bad",
            "status=shut",
            "since=soon",
            "colour=red",
        ):
            status, body = daemon.get(f"{ERRORS}?{wrong}")
            assert status == HTTPStatus.UNPROCESSABLE_ENTITY
            assert wrong.partition("=")[0] in json.loads(body)["error"]["message"]
        assert daemon.get(f"{ERRORS}?limit=1")[0] == HTTPStatus.OK
        assert daemon.get(ERRORS.replace("root", "nowhere"))[0] == HTTPStatus.NOT_FOUND


def test_of_more_than_a_thousand_a_page_gives_a_thousand(place: Place) -> None:
    root = write_tree(place.folder / "root", {f"m{n}.py": b"\xff\n" for n in range(1_050)})
    write_tree(root, {"good.py": GOOD})
    place.configure()
    index(place, root, "-q")
    page = place.ask("errors", "--limit", "1000")
    assert (len(page["errors"]), page["more"]) == (1_000, True)
    rest = place.ask("errors", "--limit", "1000", "--before", page["next"])
    assert (len(rest["errors"]), rest["more"], rest["next"]) == (50, False, None)
    assert len({each["file"] for each in page["errors"] + rest["errors"]}) == 1_050
    said = place.run("errors", "--before", "there")
    assert (said.code, said.out) == (64, "")


# A person's word


def test_what_is_ignored_counts_nowhere_until_it_is_reopened(place: Place) -> None:
    with daemon_over(place, {"a.py": b"\xff\n", "b.py": b"\0\n", "c.py": GOOD}) as daemon:
        one = error_of(place, "a.py")
        said = place.run("errors", "--ignore", str(one["id"]))
        assert (said.code, said.out) == (0, "")
        assert f"error {one['id']} is ignored: a.py: " in said.err
        assert files_of(daemon, "") == ["b.py"]
        assert place.ask("status")["workspaces"][0]["errors"] == {"encoding_error": 1}
        write_tree(place.folder / "root", {"a.py": b"x = 1\n\xfe\n"})
        assert place.run("wait").code == 0
        again = error_of(place, "a.py")
        assert (again["status"], again["count"]) == ("ignored", 2)
        assert "line 2" in again["message"]
        assert place.run("errors", "--reopen", str(one["id"])).code == 0
        assert sorted(files_of(daemon, "")) == ["a.py", "b.py"]
        said = place.run("errors", "--ignore", "999")
        assert said.code == 1
        assert "there is no error 999" in said.err
        assert daemon.terminate()[0] == 0
    assert place.run("errors", "--ignore", str(one["id"]), "-q").code == 0
    assert [each["file"] for each in place.ask("errors")["errors"]] == ["b.py"]
    place.verify()


# At every stage, from every process


def test_what_a_worker_process_meets_arrives_with_its_traceback(place: Place) -> None:
    files = {f"m{n}.py": GOOD for n in range(100)}
    struck = {"panics.py": GOOD, "fails.py": GOOD, "dies.py": GOOD}
    root = write_tree(place.folder / "root", files | struck)
    place.configure()
    out = index(place, root, more=environment(place.folder / "site"))
    assert "the parser's process was ended by SIGSEGV on this file" in out
    panic, fault, death = (error_of(place, path) for path in struck)
    assert (panic["error_type"], panic["stage"]) == ("unexpected_error", "parsing")
    assert panic["message"].startswith("Panic: index out of bounds")
    assert len(panic["message"]) == 500
    assert "in explode" in panic["traceback"]
    assert fault["error_type"] == "chunking_error"
    assert len(fault["message"]) == 500
    assert len(fault["traceback"]) == 10_000
    assert fault["traceback"].endswith("y\n"), "the end of it says most"
    assert (death["error_type"], death["traceback"]) == ("unexpected_error", "")
    [workspace] = place.ask("status")["workspaces"]
    assert workspace["parse"] == {"ok": 100, "partial": 0, "error": 3, "unsupported": 0}
    [job] = place.ask("jobs")["jobs"]
    assert (job["status"], job["files_failed"], job["warnings"]) == ("completed", 3, 3)
    # Without the faults, and touched, they are fine.
    write_tree(root, dict.fromkeys(struck, GOOD + "\n"))
    index(place, root)
    assert place.ask("errors")["errors"] == []
    place.verify()


@contextmanager
def refusing(place: Place, table: str, where: str) -> Iterator[None]:
    """No such row can be written meanwhile."""
    trigger = (
        f"CREATE TRIGGER refused BEFORE INSERT ON {table} WHEN {where} "
        "BEGIN SELECT RAISE(ABORT, 'as it was told to'); END"
    )
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.execute(trigger)
    yield
    with closing(sqlite3.connect(place.database)) as connection, connection:
        connection.execute("DROP TRIGGER refused")


def test_a_file_whose_rows_can_not_be_written_costs_itself_alone(place: Place) -> None:
    root = write_tree(place.folder / "root", {"a.py": GOOD})
    place.configure()
    index(place, root)
    write_tree(root, {f"m{n}.py": GOOD for n in range(60)} | {"poison.py": GOOD})
    with refusing(place, "symbol", "NEW.uid GLOB 'poison.py/*'"):
        index(place, root)
        error = error_of(place, "poison.py")
        assert (error["error_type"], error["stage"]) == ("persistence_error", "storing")
        assert "as it was told to" in error["message"]
        assert "Traceback" in error["traceback"]
        [workspace] = place.ask("status")["workspaces"]
        assert workspace["parse"] == {"ok": 61, "partial": 0, "error": 1, "unsupported": 0}
        place.verify()
    index(place, root)
    assert error_of(place, "poison.py")["status"] == "resolved"
    assert place.ask("status")["workspaces"][0]["parse"]["ok"] == 62
    place.verify()


def test_an_error_that_can_not_be_recorded_breaks_off_no_run(place: Place) -> None:
    root = write_tree(place.folder / "root", {"a.py": GOOD})
    place.configure()
    index(place, root)
    write_tree(root, {"b.py": GOOD, "bad.py": b"\0"})
    with refusing(place, "indexing_error", "1"):
        assert "bad.py: is binary" in index(place, root)
    assert place.ask("errors", "--status", "all")["errors"] == []
    [failed] = place.ask("stats", "--failures")["failures"]
    assert failed["message"].startswith("is binary")
    assert place.ask("jobs")["jobs"][0]["status"] == "completed"
    place.verify()
