"""Servers that fail, end to end: what is said meanwhile, and that a mended one makes it right."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.running import Daemon, Place, pygls_server, running, write_tree

HELPERS = "def helper():\n    return 1\n\n\ndef near():\n    return helper()\n"
BAD = """import helpers


def far():
    return helpers.helper()


def other():
    return helpers.near()
"""
SCHEDULE = "\n[tracker]\ninitial_s = 0.2\nmax_attempts = 3\n[monitor]\ninterval_s = 0.2\n"
FAR = "bad.py/far()."
REQUEST_FAILED = -32803


@pytest.fixture
def root(place: Place) -> Path:
    return write_tree(place.folder / "root", {"helpers.py": HELPERS, "bad.py": BAD})


def behave(place: Place, **options: object) -> None:
    """How the server answers from now on."""
    draft = place.folder / "live.draft"
    draft.write_text(json.dumps({"fail_with": None, "only": None} | options))
    draft.replace(place.folder / "live")


def server(place: Place, *, keys: str = "", outline: bool = True) -> str:
    return pygls_server(keys=keys, live=str(place.folder / "live"), outline=outline) + SCHEDULE


def skipped(place: Place) -> list[Any]:
    found = place.ask("failures", "--state", "skipped")["failures"]
    assert isinstance(found, list)
    return found


def test_a_failure_is_shown_everywhere_and_a_retry_makes_the_graph_right(
    place: Place, other: Place, root: Path
) -> None:
    behave(place, fail_with=REQUEST_FAILED, only="bad.py")
    place.configure(root, more=server(place))
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("they are skipped", lambda: len(skipped(place)) >= 2)
        assert_failure_is_listed(place)
        assert_failure_is_explained(place)
        assert_status_counts_it(place, daemon)
        assert_answers_say_that_they_are_partial(place)
        place.verify()
        behave(place)
        said = place.run("retry", "--all")
        assert (said.code, "asked again" in said.err) == (0, True), said
        daemon.wait_until_settled()
        daemon.wait_until("none has failed", lambda: not place.ask("failures")["failures"])
        assert daemon.terminate()[0] == 0
    assert place.run("retry", "--all").err == "nothing has failed\n"
    place.verify()
    assert place.ask("callers", "helper")["count"] == 2
    assert place.ask("callers", "helper")["completeness"]["level"] == "complete"
    other.configure(more=server(place))
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export()


def assert_failure_is_listed(place: Place) -> None:
    listed = {each["uid"]: each for each in place.ask("failures")["failures"]}
    one = listed[FAR]
    assert (one["state"], one["attempts"], one["next_retry_at"]) == ("skipped", 3, None)
    assert (one["file"], one["line"], one["kind"], one["name"]) == ("bad.py", 4, "function", "far")
    assert (one["server"], one["operations"]) == ("pygls", ["definition"])
    assert one["reason"].startswith("RequestFailed")
    assert all(each["file"] == "bad.py" for each in listed.values())


def assert_failure_is_explained(place: Place) -> None:
    [one] = place.ask("explain", FAR)["symbols"]
    assert (one["state"], one["attempts"], one["max_attempts"]) == ("skipped", 3, 3)
    assert one["reason"].startswith("RequestFailed")
    assert [(each["operation"], each["outcome"]) for each in one["operations"]] == [
        ("definition", "error")
    ]
    assert "3 of 3 failed: RequestFailed" in place.run("explain", FAR).out


def assert_status_counts_it(place: Place, daemon: Daemon) -> None:
    status = place.ask("status")
    [workspace] = status["workspaces"]
    failed = len(skipped(place))
    assert workspace["skipped"] == workspace["outcomes"]["error"] == failed
    assert (workspace["orphans"], workspace["backing_off"]) == (0, 0)
    assert any("failures --state skipped" in problem for problem in status["problems"])
    assert daemon.metric("enrichd_skipped") == failed
    assert daemon.metric('enrichd_failures_total{reason="RequestFailed"}') >= 3 * failed


def assert_answers_say_that_they_are_partial(place: Place) -> None:
    answer = place.ask("callers", "helper")
    assert answer["count"] == 1  # from the file that the server is right about
    assert answer["completeness"]["level"] == "partial"
    assert answer["completeness"]["failed"] > 0
    assert any("far" in reason for reason in answer["completeness"]["reasons"])


def test_a_single_run_ends_with_exit_1_and_says_what_failed(place: Place, root: Path) -> None:
    behave(place, fail_with=REQUEST_FAILED, only="bad.py")
    place.configure(more=server(place))
    said = place.run("index", root)
    assert said.code == 1
    assert "the graph is not complete" in said.out
    assert "`enrichd retry --all` tries again" in said.out
    behave(place)
    assert place.run("index", root).code == 1  # what was given up is not tried unasked
    again = place.run("retry", "--all")
    assert "by the next `enrichd run` or `enrichd index`" in again.err
    assert place.run("index", root).code == 0
    place.verify()


def test_a_server_that_refuses_everything_leaves_no_none_behind(place: Place, root: Path) -> None:
    behave(place, fail_with=REQUEST_FAILED)
    # Time enough to start on a busy machine: who does not start refuses nothing.
    place.configure(more=server(place, keys="ready_timeout_s = 5.0", outline=False))
    assert place.run("index", root).code == 1
    [workspace] = place.ask("status")["workspaces"]
    assert workspace["outcomes"]["error"] == workspace["skipped"] > 0
    for name in ("far", "other", "near"):
        [one] = place.ask("explain", name)["symbols"]
        assert [each["outcome"] for each in one["operations"]] != ["none"], name
    place.verify()


def test_a_server_that_answers_nothing_at_first_costs_no_edge(place: Place, root: Path) -> None:
    place.configure(more=pygls_server(empty_for_s=1.5))
    said = place.run("index", root)
    assert said.code == 0, said
    assert place.ask("callers", "helper")["count"] == 2


@pytest.mark.fault(6, "a server that is not installed: status and doctor say how to install it")
def test_a_server_that_is_not_installed_is_named_with_how_to_install_it(
    place: Place, root: Path
) -> None:
    place.configure(more='[[server]]\nname = "ty"\ncommand = ["no-such-program", "server"]')
    said = place.run("index", root)
    assert said.code == 1
    assert "ty is not installed; install it: pip install ty" in said.out
    problems = place.ask("status")["problems"]
    assert any("pip install ty" in problem for problem in problems), problems
    doctor = place.run("doctor")
    assert doctor.code == 1
    [line] = [line for line in doctor.out.splitlines() if line.split()[:2] == ["missing", "ty"]]
    assert "not installed" in line
    assert "pip install ty" in line
    answer = place.ask("callers", "helper")
    assert answer["completeness"]["level"] == "unknown"
    assert any("pip install ty" in reason for reason in answer["completeness"]["reasons"])
    assert place.ask("symbols", "near")["count"] == 1
    assert place.run("export", "-o", place.folder / "graph").code == 0
    place.verify()


def test_the_daemon_serves_what_it_can_without_the_server(place: Place, root: Path) -> None:
    place.configure(root, more='[[server]]\nname = "ty"\ncommand = ["no-such-program", "server"]')
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until(
            "it says so",
            lambda: any("pip install ty" in each for each in daemon.status()["problems"]),
        )
        # The problem is known from the orphans, before the server is looked for.
        daemon.wait_until("the server was looked for", lambda: daemon.status()["servers"])
        [server] = daemon.status()["servers"]
        assert (server["state"], server["install_hint"]) == ("unavailable", "pip install ty")
        assert place.ask("failures")["failures"] == []
        assert daemon.get("/healthz")[0] == 200
        assert daemon.terminate()[0] == 0


def test_a_server_that_is_killed_is_started_again_and_nobody_is_charged(
    place: Place, root: Path
) -> None:
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        [before] = daemon.status()["servers"]
        os.kill(before["pid"], signal.SIGKILL)
        daemon.wait_until(
            "another one is ready",
            lambda: any(
                each["state"] == "ready" and each["pid"] != before["pid"]
                for each in daemon.status()["servers"]
            ),
        )
        assert daemon.status()["servers"][0]["restarts"] == 1
        assert daemon.metric('enrichd_lsp_restarts_total{server="ty"}') == 1
        assert place.ask("failures")["failures"] == []
        assert daemon.terminate()[0] == 0


def test_a_server_that_never_stays_up_does_not_hold_a_single_run_for_ever(
    place: Place, root: Path
) -> None:
    place.configure(more='[[server]]\nname = "ty"\ncommand = ["/bin/false"]')
    said = place.run("index", root)
    assert said.code == 1
    assert "ty does not stay up: it exited with status 1" in said.out
    assert place.ask("failures")["failures"] == []
