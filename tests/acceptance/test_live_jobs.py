"""Jobs as they happen: followed from the command line, over a restart, by two hundred at once."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.running import (
    ENRICHD,
    Place,
    pygls_server,
    running,
    wait_until,
    write_tree,
)

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"
NEVER = pygls_server(delay_s=30.0)
"""A server whose answers nobody lives to see: a job that enriches goes on."""


@contextmanager
def started(place: Place, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on while something else is done."""
    process = subprocess.Popen(
        [ENRICHD, *map(str, arguments), "--config", place.config],
        env=place.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def newest(place: Place) -> dict[str, Any]:
    jobs: list[dict[str, Any]] = place.ask("jobs")["jobs"]
    return jobs[0]


def is_enriching(place: Place) -> bool:
    return bool(place.ask("jobs")["jobs"]) and newest(place)["stage"] == "enriching"


# enrichd index


def test_index_is_done_by_the_daemon_that_has_the_database(place: Place, other: Place) -> None:
    root = write_tree(place.folder / "root", {f"m{n}.py": GOOD for n in range(20)})
    other.configure()
    alone = other.run("index", root, "--json").json
    place.configure()
    with running(place) as daemon:
        daemon.wait_until_up()
        said = place.run("index", root)
        assert said.code == 0, said
        assert "root: the graph is complete" in said.out
        assert "20 (20 changed): ok 20" in said.out
        for stage in ("analyzing", "parsing", "storing", "enriching"):
            assert stage in said.err
        assert [each["name"] for each in place.ask("workspaces", "list")["workspaces"]] == ["root"]
        said = place.run("index", root)
        assert said.code == 0
        assert "nothing to do: 20 files unchanged, the graph is complete" in said.out
        (root / "m3.py").write_text(GOOD + "\n\ndef more():\n    return caller()\n")
        report = place.run("index", root, "--json").json
        assert report.keys() == alone.keys()
        assert (report["files"], report["complete"], report["orphans"]) == (20, True, 0)
        assert report["edges"]["calls"] == alone["edges"]["calls"] + 1
        assert report["job"]["status"] == "completed"
        assert place.ask("callers", "m3.py:5")["count"] == 1
        assert daemon.terminate()[0] == 0
    assert alone["symbols"] + 1 == report["symbols"]


def test_index_without_enriching_says_what_is_left(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(more=NEVER)
    with running(place) as daemon:
        daemon.wait_until_up()
        said = place.run("index", root, "--no-enrich")
        assert said.code == 1, said
        assert "symbols are not enriched yet; the daemon goes on with them" in said.out
        assert "enriching" not in said.err
        assert newest(place)["status"] == "completed"


def test_the_time_that_is_up_and_ctrl_c_leave_the_job_running(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root, more=NEVER)
    with running(place) as daemon:
        daemon.wait_until_up()
        said = place.run("index", root, "--timeout", "3")
        job = newest(place)["job_id"]
        assert said.code == 1, said
        assert f"the time was up; the daemon goes on: `enrichd jobs {job[:8]} --follow`" in said.out
        assert is_enriching(place)
        with started(place, "index", root) as command:
            wait_until("it is asked for", lambda: newest(place)["job_id"] != job)
            second = newest(place)["job_id"]
            wait_until("it runs or waits", lambda: newest(place)["status"] in {"queued", "running"})
            command.send_signal(signal.SIGINT)
            _, said_of_it = command.communicate(timeout=20)
            assert command.returncode == 130
            assert f"`enrichd jobs {second[:8]} --follow` shows it" in said_of_it
        assert place.ask("jobs", second)["status"] in {"queued", "running"}
        for each in (second, job):
            said = place.run("jobs", each, "--cancel")
            assert (said.code, said.err) == (0, f"{each[:8]}: cancelled\n"), said
        assert place.run("jobs", job, "--cancel").code == 1


def test_a_url_needs_a_daemon_which_clones_it(place: Place) -> None:
    made = write_tree(place.folder / "made", {"good.py": GOOD})
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(made)]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *arguments], check=True)
    place.configure()
    said = place.run("index", f"file://{made}")
    assert (said.code, said.out) == (64, "")
    assert "`enrichd run`" in said.err
    with running(place) as daemon:
        daemon.wait_until_up()
        said = place.run("index", f"file://{made}", "--json")
        assert said.code == 0, said
        assert (said.json["files"], said.json["complete"]) == (1, True)
        assert place.ask("callers", "helper")["count"] == 1
        said = place.run("index", f"file://{made}-not")
        assert said.code == 1
        assert "could not be fetched" in said.out
        assert place.run("index", f"file://{made}", "--changed-only").code == 64


def test_who_has_the_database_and_is_no_daemon_is_not_asked(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(more=NEVER)
    with started(place, "index", root) as first:
        wait_until("it has begun", lambda: place.database.exists() and is_enriching_here(place))
        said = place.run("index", root)
        assert said.code == 75, said
        assert f"process {first.pid} has the database and can't be asked" in said.err
        assert place.run("jobs", "--follow").code == 69


def is_enriching_here(place: Place) -> bool:
    return place.run("jobs").out.strip() not in {"", "no jobs"}


# enrichd jobs


def test_a_job_is_followed_to_its_end_and_its_log_is_shown(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        job = newest(place)["job_id"]
        said = place.run("jobs", job[:10], "--follow")
        assert said.code == 0
        assert f"job        {job}\n" in said.out
        assert "status     completed" in said.out
        said = place.run("jobs", job, "--follow", "--json")
        [snapshot] = [json.loads(line) for line in said.out.splitlines()]
        assert (said.code, snapshot["job"]["status"]) == (0, "completed")
        said = place.run("jobs", job, "--logs")
        assert "info  completed" in said.out
        assert place.run("jobs", job, "--logs", "--level", "error").out == "no lines\n"
        assert place.ask("jobs", job, "--logs")["job_id"] == job
        assert place.run("jobs", "f" * 32, "--follow").code == 1
        assert place.run("jobs", "--logs").code == 64
        assert place.run("jobs", job, "--logs", "--follow").code == 64
    assert place.run("jobs", job, "--follow").code == 69
    assert place.run("jobs", job, "--cancel").code == 69


def test_following_goes_on_when_the_daemon_comes_back(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root, more=NEVER)
    with running(place) as daemon:
        daemon.wait_until_up()
        assert place.run("index", root, "--timeout", "2").code == 1
        job = newest(place)["job_id"]
        with (
            started(place, "jobs", job, "--follow", "--json") as one,
            started(place, "jobs", "--follow") as everything,
        ):
            assert one.stdout is not None
            assert everything.stdout is not None
            first = json.loads(one.stdout.readline())
            assert (first["event"], first["job"]["stage"]) == ("snapshot", "enriching")
            assert job[:8] in everything.stdout.readline()
            daemon.kill()
            with running(place) as again:
                again.wait_until_up()
                told, complained = one.communicate(timeout=30)
                assert one.returncode == 1
                assert "trying again" in complained
                last = json.loads(told.splitlines()[-1])
                assert (last["event"], last["status"]) == ("status", "failed")
                assert "interrupted" in last["message"]
                wait_until_said(everything, "error: failed: interrupted")
                everything.send_signal(signal.SIGINT)
                everything.communicate(timeout=20)
                assert everything.returncode == 0


def wait_until_said(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    while text not in (line := process.stdout.readline()):
        assert line, f"it ended, and did not say: {text}"
