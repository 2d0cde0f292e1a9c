"""Jobs that people ask for, on a real daemon: what they do, how they end, what they say."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.running import Daemon, Place, running, write_tree

SMALL = {
    "shop.py": "from base import run\n\n\ndef main():\n    return run()\n",
    "base.py": "def run():\n    return 1\n",
    "tests/test_shop.py": "from shop import main\n\n\ndef test_main():\n    assert main() == 1\n",
    "lib/deep/thing.py": "def thing():\n    pass\n",
    "lib/broken.py": "def (:\n",
}
MANY = {
    f"p{number // 50}/m{number}.py": f"def f{number}():\n" + "    x = [1, 2, 3 + len([4])]\n" * 300
    for number in range(300)
}


def ask(daemon: Daemon, document: dict[str, Any], path: str = "/api/v1/index") -> Any:
    code, found = daemon.send("POST", path, document)
    assert code == 202, found
    return found


def job_of(daemon: Daemon, job_id: str) -> Any:
    code, found = daemon.send("GET", f"/api/v1/index/status/{job_id}")
    assert code == 200, found
    return found


def ended(daemon: Daemon, job_id: str, timeout_s: float = 60.0) -> Any:
    daemon.wait_until("the job ends", lambda: job_of(daemon, job_id)["completed_at"], timeout_s)
    return job_of(daemon, job_id)


def logs(daemon: Daemon, job_id: str, level: str = "info") -> list[str]:
    code, found = daemon.send("GET", f"/api/v1/index/status/{job_id}/logs?level={level}")
    assert code == 200, found
    return [line["message"] for line in found["lines"]]


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def small(place: Place) -> Iterator[Daemon]:
    """A daemon that keeps a small tree."""
    place.configure(write_tree(place.folder / "tree", SMALL))
    with running(place) as daemon:
        daemon.wait_until_settled()
        yield daemon


def test_a_job_goes_through_its_stages_and_says_what_came_of_it(small: Daemon) -> None:
    job = ended(small, ask(small, {"workspace": "tree", "kind": "full"})["job_id"])
    assert (job["status"], job["kind"], job["error_message"]) == ("completed", "full", None)
    assert (job["files_total"], job["files_indexed"], job["files_failed"]) == (5, 5, 0)
    assert (job["progress"], job["languages"]) == (1.0, {"python": 5})
    assert [each["stage"] for each in job["stages"]] == [
        "analyzing",
        "parsing",
        "storing",
        "validating",
        "enriching",
    ]
    assert all(each["completed_at"] for each in job["stages"])
    assert job["warnings"] == 1
    assert logs(small, job["job_id"], "warning") == [
        "lib/broken.py: did not parse whole, see line 1"
    ]
    assert small.metric('enrichd_jobs_total{status="completed"}') == 2.0


def test_where_nothing_has_changed_the_job_says_so(small: Daemon) -> None:
    job = ended(small, ask(small, {"path": str(small.place.folder / "tree")})["job_id"])
    assert (job["status"], job["files_indexed"]) == ("completed", 0)
    assert job["error_message"] == "nothing had changed"
    assert small.metric("enrichd_jobs_completed_zero_files_total") == 1.0


def test_a_retry_reads_the_files_with_errors_and_no_other(small: Daemon) -> None:
    job = ended(small, ask(small, {"workspace": "tree", "kind": "retry"})["job_id"])
    assert (job["kind"], job["files_total"], job["warnings"]) == ("retry", 1, 1)


@pytest.mark.parametrize(
    ("wish", "total"),
    [
        ({}, 5),
        ({"include_tests": False}, 4),
        ({"directory": "lib"}, 2),
        ({"directory": "lib/deep/"}, 1),
        ({"directory": "tests"}, 1),
        ({"extensions": [".py", ".pyi"]}, 5),
    ],
)
def test_a_batch_reads_the_files_of_one_folder(
    small: Daemon, wish: dict[str, Any], total: int
) -> None:
    asked = ask(small, {"repository": "tree", **wish}, "/api/v1/indexing/batch/start")
    assert asked["total_files"] == total
    job = ended(small, asked["job_id"])
    assert (job["status"], job["kind"], job["files_total"]) == ("completed", "batch", total)
    code, found = small.send("GET", "/api/v1/indexing/batch/status/tree")
    assert code == 200
    assert [each["job_id"] for each in found["jobs"]] == [job["job_id"]]
    small.place.verify()


def test_a_batch_of_a_folder_by_its_absolute_path(small: Daemon) -> None:
    root = small.place.folder / "tree"
    wish = {"repository": str(root), "directory": str(root / "lib")}
    assert ask(small, wish, "/api/v1/indexing/batch/start")["total_files"] == 2


@pytest.mark.parametrize(
    ("directory", "code", "reason"),
    [
        ("../elsewhere", 404, "is not inside"),
        ("/etc", 404, "is not inside"),
        ("lib/../../x", 404, "is not inside"),
        ("nowhere", 404, "there is no folder nowhere"),
        ("", 422, "directory"),
    ],
)
def test_a_batch_outside_the_workspace_is_refused(
    small: Daemon, directory: str, code: int, reason: str
) -> None:
    wish = {"repository": "tree", "directory": directory}
    found, answer = small.send("POST", "/api/v1/indexing/batch/start", wish)
    assert (found, reason in answer["error"]["message"]) == (code, True), answer


def test_a_batch_with_nothing_to_read_fails_and_says_so(small: Daemon) -> None:
    wish = {"repository": "tree", "directory": "lib", "extensions": [".pyi"]}
    asked = ask(small, wish, "/api/v1/indexing/batch/start")
    job = ended(small, asked["job_id"])
    assert (asked["total_files"], job["status"]) == (0, "failed")
    assert job["error_message"] == "there was no file to index"


@pytest.fixture
def busy(place: Place) -> Iterator[Daemon]:
    """A daemon that keeps a tree which takes a while."""
    place.configure(write_tree(place.folder / "tree", MANY))
    with running(place) as daemon:
        daemon.wait_until_settled(timeout_s=120)
        yield daemon


def test_one_job_at_a_time_a_second_wish_queues_and_an_equal_one_joins(busy: Daemon) -> None:
    wish = {"workspace": "tree", "kind": "full", "enrich": False}
    first = ask(busy, wish)
    busy.wait_until("it runs", lambda: job_of(busy, first["job_id"])["status"] == "running")
    second, third = ask(busy, wish), ask(busy, wish)
    assert (second["joined"], second["waits_for"]) == (False, first["job_id"])
    assert (third["joined"], third["job_id"]) == (True, second["job_id"])
    other = ask(busy, {"workspace": "tree", "enrich": False})
    assert (other["joined"], other["waits_for"]) == (False, second["job_id"])
    jobs = [ended(busy, each["job_id"]) for each in (first, second, other)]
    assert [each["status"] for each in jobs] == ["completed"] * 3
    for before, after in pairwise(jobs):
        assert before["completed_at"] <= after["started_at"]


def test_a_job_that_runs_and_one_that_waits_can_be_cancelled(busy: Daemon) -> None:
    wish = {"workspace": "tree", "kind": "full"}
    runs, waits = ask(busy, wish), ask(busy, {"workspace": "tree"})
    busy.wait_until("it parses", lambda: job_of(busy, runs["job_id"])["stage"] == "parsing")
    for each in (waits, runs):
        code, found = busy.send("POST", f"/api/v1/index/status/{each['job_id']}/cancel")
        assert (code, found["status"]) == (200, "cancelled"), found
        assert found["error_message"] == "cancelled by a person"
        code, found = busy.send("POST", f"/api/v1/index/status/{each['job_id']}/cancel")
        assert (code, "has ended" in found["error"]["message"]) == (404, True)
    job = job_of(busy, runs["job_id"])
    assert job["files_indexed"] < job["files_total"] == len(MANY)
    assert busy.metric('enrichd_jobs_total{status="cancelled"}') == 2.0
    again = ended(busy, ask(busy, wish)["job_id"])
    assert (again["status"], again["files_indexed"]) == ("completed", len(MANY))
    busy.place.verify()


def test_a_killed_daemon_leaves_a_failed_job_and_begins_those_that_waited(busy: Daemon) -> None:
    place = busy.place
    runs = ask(busy, {"workspace": "tree", "kind": "full"})
    waits = ask(busy, {"workspace": "tree"})
    busy.wait_until("it parses", lambda: job_of(busy, runs["job_id"])["stage"] == "parsing")
    busy.kill()
    with running(place) as after:
        after.wait_until_up()
        job = job_of(after, runs["job_id"])
        assert job["status"] == "failed"
        assert job["error_message"] == "interrupted: the process that ran it is gone"
        assert after.metric('enrichd_jobs_total{status="failed"}') == 1.0
        assert ended(after, waits["job_id"])["status"] == "completed"


def test_a_daemon_that_is_told_to_stop_says_so_in_its_job(busy: Daemon) -> None:
    place = busy.place
    runs = ask(busy, {"workspace": "tree", "kind": "full"})
    busy.wait_until("it parses", lambda: job_of(busy, runs["job_id"])["stage"] == "parsing")
    assert busy.terminate()[0] == 0
    job = place.run("jobs", runs["job_id"], "--json").json
    assert job["status"] == "cancelled"
    assert job["error_message"] == "the process that ran it was told to stop"


def parsed(daemon: Daemon, job_id: str) -> bool:
    """Whether the job's parsers have begun to give something."""
    stages = {each["stage"]: each for each in job_of(daemon, job_id)["stages"]}
    return "parsing" in stages and stages["parsing"]["processed"] > 0


def test_a_worker_that_is_killed_costs_the_files_that_it_held(busy: Daemon) -> None:
    runs = ask(busy, {"workspace": "tree", "kind": "full", "enrich": False})
    busy.wait_until("a file is parsed", lambda: parsed(busy, runs["job_id"]))
    processes = busy.place.processes()
    workers = [pid for pid, command in processes.items() if "enrichd.index.worker" in command]
    assert workers, processes
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    job = ended(busy, runs["job_id"])
    assert job["status"] == "completed", job
    assert job["files_indexed"] + job["files_failed"] == job["files_total"] == len(MANY)
    assert job["files_failed"] <= len(workers)
    errors = busy.place.ask("errors", "--limit", "1000")["errors"]
    assert len(errors) == job["files_failed"] == job["warnings"]


def all_ended(daemon: Daemon) -> bool:
    jobs = daemon.status()["jobs"]
    return bool(jobs) and all(each["completed_at"] for each in jobs)


def failed(daemon: Daemon, wish: dict[str, Any]) -> str:
    """Why the job failed, of which nothing else may be true."""
    daemon.wait_until("it was looked at", lambda: all_ended(daemon))
    before = daemon.metric('enrichd_jobs_total{status="failed"}')
    job = ended(daemon, ask(daemon, wish)["job_id"])
    assert (job["status"], job["files_indexed"]) == ("failed", 0), job
    assert daemon.metric('enrichd_jobs_total{status="failed"}') == before + 1.0
    message: str = job["error_message"]
    assert any(message in line for line in logs(daemon, job["job_id"], "error"))
    return message


def test_a_job_fails_when_the_root_is_gone(small: Daemon) -> None:
    shutil.rmtree(small.place.folder / "tree")
    assert "tree" in failed(small, {"workspace": "tree"})


def test_a_job_fails_when_there_is_no_file(place: Place) -> None:
    (place.folder / "empty").mkdir()
    place.configure(place.folder / "empty")
    with running(place) as daemon:
        daemon.wait_until_up()
        wish = {"workspace": "empty", "kind": "full"}
        assert failed(daemon, wish) == "there was no file to index"


def test_a_job_fails_when_no_file_can_be_indexed(place: Place) -> None:
    place.configure(write_tree(place.folder / "junk", {"a.py": b"\0\xff" * 99, "b.py": b"\xff"}))
    with running(place) as daemon:
        daemon.wait_until_up()
        found = failed(daemon, {"workspace": "junk", "kind": "full"})
        assert found.startswith("none of 2 files could be indexed, the first one: a.py: ")


def test_a_job_fails_when_the_database_is_gone(small: Daemon) -> None:
    place = small.place
    for each in place.folder.glob("enrichd.db*"):
        each.unlink()
    job = ended(small, ask(small, {"workspace": "tree", "kind": "full"})["job_id"])
    assert job["status"] == "failed"
    assert job["error_message"] == (
        f"the database {place.database} is gone: what is written here is lost, restart enrichd"
    )
    code, health = small.send("GET", "/healthz")
    assert (code, health["problems"]) == (503, [job["error_message"]])


@pytest.fixture
def upstream(place: Place) -> Path:
    """A bare repository, and beside it, in `work`, one to push from."""
    work = write_tree(place.folder / "work", {"m.py": "def m():\n    return 1\n"})
    git(work, "init", "-q", "-b", "main")
    git(work, "add", ".")
    git(work, "commit", "-qm", "one")
    git(place.folder, "clone", "-q", "--bare", str(work), "up.git")
    git(work, "remote", "add", "origin", str(place.folder / "up.git"))
    return place.folder / "up.git"


def test_a_git_url_is_cloned_indexed_updated_and_removed(place: Place, upstream: Path) -> None:
    place.configure()
    work = place.folder / "work"
    with running(place) as daemon:
        daemon.wait_until_up()
        first = ended(daemon, ask(daemon, {"url": f"file://{upstream}"})["job_id"])
        assert (first["status"], first["files_indexed"]) == ("completed", 1), first
        assert (first["workspace"], first["source"]) == ("up", f"file://{upstream}")
        assert first["stages"][0]["stage"] == "cloning"
        write_tree(work, {"n.py": "from m import m\n\n\ndef n():\n    return m()\n"})
        git(work, "add", ".")
        git(work, "commit", "-qm", "two")
        git(work, "push", "-q", "origin", "main")
        second = ended(daemon, ask(daemon, {"url": f"file://{upstream}"})["job_id"])
        assert (second["status"], second["workspace"]) == ("completed", "up")
        callers = place.ask("callers", "m.m")
        assert [each["symbol"]["name"] for each in callers["edges"]] == ["n"]
        assert callers["completeness"]["level"] == "complete"
        assert list((place.folder / "sources").iterdir())
        assert daemon.send("DELETE", "/api/v1/workspaces/up")[0] == 204
        assert not list((place.folder / "sources").iterdir())
        assert place.ask("workspaces", "list")["workspaces"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/x",
        "ext::sh -c touch% /tmp/x",
        "https://user:secret@example.org/x",
        "--upload-pack=touch /tmp/x",
        "file://elsewhere/x",
        "ssh://-oProxyCommand=x/y",
        "https://example.org/x\nnext",
    ],
)
def test_a_hostile_url_is_refused_and_nothing_of_it_is_kept(place: Place, url: str) -> None:
    place.configure()
    with running(place) as daemon:
        daemon.wait_until_up()
        code, found = daemon.send("POST", "/api/v1/index", {"url": url})
        assert code == 422, found
        assert daemon.status()["workspaces"] == []
        assert "secret" not in repr(found) + place.log.read_text()


def test_a_url_that_can_not_be_cloned_fails_the_job_with_its_reason(place: Place) -> None:
    place.configure()
    with running(place) as daemon:
        daemon.wait_until_up()
        job = ended(daemon, ask(daemon, {"url": f"file://{place.folder}/nothing"})["job_id"])
        assert (job["status"], job["stage"]) == ("failed", "cloning")
        assert "nothing" in job["error_message"]
        assert daemon.send("DELETE", f"/api/v1/workspaces/{job['workspace']}")[0] == 204
