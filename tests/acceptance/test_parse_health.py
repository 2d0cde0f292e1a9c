"""How well files parse is known, file by file and from run to run, and nothing is left out of it.

What stands for what: permissions are taken as somebody to whom they apply (setpriv where the tests
run as root); the file that vanishes is removed by the parsers themselves as they start, which is
after the walk has seen it and before anything is read.
"""

from __future__ import annotations

import json
import os
import subprocess
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.faults_in_parsers import environment
from tests.running import Daemon, Place, as_one_of_many, running, write_tree

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"
DEEP = "x = " + "[" * 3_000 + "]" * 3_000 + "\n"
BROKEN = "def before(): ...\n" + "x = = 1\n" * 12 + "def after():\n    return before()\n"
TREE: dict[str, str | bytes] = {
    **{f"good/m{n}.py": GOOD for n in range(20)},
    "deep.py": DEEP,
    "empty.py": b"",
    "broken.py": BROKEN,
    "junk.py": bytes(range(256)) * 40,
    "large.py": b"# " + b"x" * 10 * 1024 * 1024,
    "secret.py": GOOD,
    "gone.py": GOOD,
    "lib/tool.rb": "puts 1\n",
    "lib/main.hs": "main = print 1\n",
    "lib/more.hs": "more = 1\n",
    "README.md": "# Text\n",
    "notes.txt": "text\n",
    "data.json": "{}\n",
    "logo.png": b"\x89PNG\r\n\x1a\n",
    "node_modules/far/away.js": "1\n",
}
FAILED = {
    "junk.py": ("encoding_error", "is binary, not text: a zero byte at offset 0"),
    "large.py": ("io_error", "too large: 10,485,762 bytes, the limit is 2,097,152"),
    "secret.py": ("io_error", "permission denied"),
    "gone.py": ("io_error", "vanished before it was read"),
}
PARTLY = {"broken.py": ("parsing_error", "see line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more")}
NO_FILE = {"pipe.py": ("io_error", "not a regular file but a FIFO")}


@pytest.fixture
def root(place: Place) -> Path:
    """A tree with a file of every kind that may go wrong; it was indexed once."""
    root = write_tree(place.folder / "root", TREE)
    (root / "secret.py").chmod(0)
    os.mkfifo(root / "pipe.py")
    place.configure(root)
    said = place.run(
        "index",
        root,
        "--no-enrich",
        under=as_one_of_many(),
        more=environment(place.folder / "site", root / "gone.py"),
    )
    assert said.code == 1, said  # nothing was asked yet
    for path, (_, message) in (FAILED | PARTLY | NO_FILE).items():
        assert any(line.strip().startswith(f"{path}: ") for line in said.out.splitlines()), path
        assert message in said.out
    assert "Traceback" not in said.out + said.err
    return root


def mend(root: Path) -> None:
    """Make every file one that can be read and parsed."""
    (root / "pipe.py").unlink()
    (root / "secret.py").chmod(0o644)
    broken = [*FAILED, *PARTLY, *NO_FILE]
    write_tree(root, {path: GOOD for path in broken if path != "gone.py"})


def health(place: Place) -> Any:
    [workspace] = place.ask("stats")["workspaces"]
    return workspace


def got(daemon: Daemon, path: str) -> Any:
    status, body = daemon.get(f"/api/v1/{path}")
    assert status == HTTPStatus.OK, body
    return json.loads(body)


def states(daemon: Daemon, query: str = "limit=1000") -> dict[str, str]:
    files = got(daemon, f"parse-results/root?{query}")["files"]
    return {each["file"]: each["status"] for each in files}


def test_every_file_is_in_one_of_the_four_states_and_text_is_in_none(
    place: Place, root: Path
) -> None:
    with running(place, under=as_one_of_many()) as daemon:
        daemon.wait_until_up()
        daemon.wait_until(
            "what vanished is known to be gone", lambda: "gone.py" not in states(daemon)
        )
        found = states(daemon)
        assert found == {
            **{f"good/m{n}.py": "ok" for n in range(20)},
            "deep.py": "ok",
            "empty.py": "ok",
            "broken.py": "partial",
            "junk.py": "error",
            "large.py": "error",
            "secret.py": "error",
            "lib/tool.rb": "unsupported",
            "lib/main.hs": "unsupported",
            "lib/more.hs": "unsupported",
        }
        # Filters and pages.
        assert list(states(daemon, "status=error")) == ["junk.py", "large.py", "secret.py"]
        assert list(states(daemon, "language=haskell")) == ["lib/main.hs", "lib/more.hs"]
        assert list(states(daemon, "status=ok&path=good/m1*&limit=3")) == [
            "good/m1.py",
            "good/m10.py",
            "good/m11.py",
        ]
        pages = [states(daemon, f"limit=10&offset={offset}") for offset in range(0, 40, 10)]
        assert [list(each) for each in pages] == [
            sorted(found)[n : n + 10] for n in range(0, 40, 10)
        ]
        for wrong in ("limit=1001", "limit=0", "offset=-1", "status=fine", "colour=red"):
            status, body = daemon.get(f"/api/v1/parse-results/root?{wrong}")
            assert status == HTTPStatus.UNPROCESSABLE_ENTITY
            assert wrong.partition("=")[0] in json.loads(body)["error"]["message"]
        assert daemon.get("/api/v1/parse-results/nowhere")[0] == HTTPStatus.NOT_FOUND
        # What is only in part.
        [partial] = got(daemon, "parse-results/root?status=partial")["files"]
        assert partial["error_lines"] == list(range(2, 12))
        assert partial["error_count"] == 12
        assert partial["lost_bytes"] == 12
        assert partial["lost_ratio"] == round(12 / len(BROKEN), 4)
        # Everything else is there all the same.
        daemon.wait_until_settled()
        [caller] = place.ask("callers", "good/m7.py/helper().")["edges"]
        assert caller["symbol"]["uid"] == "good/m7.py/caller()."
        assert place.run("symbols", "after", "-q").code == 0
        # A language that is not parsed has neither symbols nor a server that is missing.
        assert place.run("symbols", "*", "--path", "lib/*").code == 1
        assert {each["language"] for each in place.ask("servers")["servers"]} == {"python"}


def test_a_run_over_broken_files_is_completed_and_says_how_many_failed(
    place: Place, root: Path
) -> None:
    [job] = place.ask("jobs")["jobs"]
    assert (job["status"], job["error_message"]) == ("completed", None)
    assert (job["files_failed"], job["files_indexed"]) == (4, len(job_files()) - 4)
    assert job["warnings"] == len(FAILED | PARTLY | NO_FILE)
    found = {each["file"]: each for each in place.ask("errors", "--limit", "1000")["errors"]}
    assert {path: each["error_type"] for path, each in found.items()} == {
        path: kind for path, (kind, _) in (FAILED | PARTLY | NO_FILE).items()
    }
    for path, (_, message) in (FAILED | PARTLY | NO_FILE).items():
        assert message in found[path]["message"]
        assert found[path]["status"] == "open"
        assert found[path]["stage"] == ("analyzing" if path in NO_FILE else "parsing")
    assert place.ask("errors", "--summary")["errors"] == 6


def job_files() -> list[str]:
    return [path for path in TREE if path.endswith(".py")]


def test_languages_that_are_not_parsed_are_named_and_are_no_failures(
    place: Place, root: Path
) -> None:
    before = health(place)
    assert {each["language"]: each["unsupported"] for each in before["languages"]} == {
        "haskell": 2,
        "python": 0,
        "ruby": 1,
    }
    assert before["clean_ratio"] == round(22 / 27, 4)
    assert "  not parsed: haskell 2, ruby 1\n" in place.run("stats").out
    failures = place.ask("stats", "--failures")["failures"]
    assert {each["file"] for each in failures} == {*FAILED, *PARTLY}
    text = place.run("stats", "--failures").out
    assert "line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more" in text
    write_tree(root, {"lib/new.go": "package x\n"})
    (root / "lib" / "tool.rb").unlink()
    assert place.run("index", root, "--no-enrich", "-q").code == 1
    parse = place.ask("status")["workspaces"][0]["parse"]
    assert parse["unsupported"] == 3
    assert {each["language"] for each in health(place)["languages"]} == {"go", "haskell", "python"}


def test_what_is_mended_is_resolved_and_the_history_shows_the_rise(
    place: Place, root: Path
) -> None:
    with running(place, under=as_one_of_many()) as daemon:
        daemon.wait_until_settled()
        before = health(place)["clean_ratio"]
        mend(root)
        assert place.run("wait", timeout_s=60).code == 0
        assert set(states(daemon).values()) == {"ok", "unsupported"}
        summary = got(daemon, "indexing/batch/errors/root/summary")
        assert (summary["errors"], summary["types"]) == (0, [])
        assert got(daemon, "indexing/batch/errors/root")["errors"] == []
        resolved = got(daemon, "indexing/batch/errors/root?status=resolved")["errors"]
        assert {each["file"] for each in resolved} == {*FAILED, *PARTLY, *NO_FILE}
        assert {each["status"] for each in resolved} == {"resolved"}
        now = health(place)
        assert before < now["clean_ratio"] == 1.0
        ratios = [each["clean_ratio"] for each in now["history"]]
        assert ratios[0] == 1.0
        assert ratios == sorted(ratios, reverse=True)
        assert (now["history"][-1]["error"], now["history"][-1]["partial"]) == (4, 1)
        assert daemon.metric('enrichd_parse_files{status="unsupported"}') == 3
        assert daemon.terminate()[0] == 0
    place.verify()


def test_each_run_remembers_the_commit_that_it_saw(place: Place) -> None:
    root = write_tree(place.folder / "repo", {"a.py": GOOD, "b.py": "x = = 1\n"})
    place.configure()

    def git(*words: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        done = subprocess.run(
            ["git", *identity, *words], cwd=root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    commits = []
    for content in ("x = = 1\n", GOOD):
        write_tree(root, {"b.py": content})
        git("add", "-A")
        git("commit", "-q", "-m", "one more")
        commits.append(git("rev-parse", "HEAD"))
        assert place.run("index", root, "-q").code == 0
    history = health(place)["history"]
    assert [(each["commit"], each["clean_ratio"]) for each in history] == [
        (commits[1], 1.0),
        (commits[0], 0.5),
    ]
    assert f" at {commits[0][:10]}\n" in place.run("stats").out


def test_a_workspace_that_is_removed_takes_its_results_and_errors_with_it(
    place: Place, root: Path
) -> None:
    kept = write_tree(place.folder / "kept", {"a.py": GOOD, "b.py": b"\0", "c.rb": "puts 1\n"})
    assert place.run("index", kept, "-q").code == 0
    assert place.run("workspaces", "remove", "root").code == 0
    assert [each["workspace"] for each in place.ask("stats")["workspaces"]] == ["kept"]
    assert [each["file"] for each in place.ask("errors", "--status", "all")["errors"]] == ["b.py"]
    place.verify()
