"""The daemon: from its start, through its work, to its end."""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Indexed
from tests.figures import Reached
from tests.running import (
    ENRICHD,
    Daemon,
    Place,
    free_port,
    is_settled,
    pygls_server,
    running,
    wait_until,
    write_tree,
)

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"

METRICS = {
    "enrichd_symbols": "gauge",
    "enrichd_orphans": "gauge",
    "enrichd_enriched_total": "counter",
    "enrichd_outcomes_total": "counter",
    "enrichd_attempts_total": "counter",
    "enrichd_failures_total": "counter",
    "enrichd_backing_off": "gauge",
    "enrichd_skipped": "gauge",
    "enrichd_queue_depth": "gauge",
    "enrichd_lsp_request_duration_seconds": "histogram",
    "enrichd_lsp_server_state": "gauge",
    "enrichd_lsp_restarts_total": "counter",
    "enrichd_monitor_tick_duration_seconds": "histogram",
    "enrichd_monitor_last_tick_timestamp_seconds": "gauge",
    "enrichd_jobs_total": "counter",
    "enrichd_jobs_completed_zero_files_total": "counter",
    "enrichd_indexing_errors_total": "counter",
    "enrichd_parse_files": "gauge",
}

STATUS = {"schema_version", "daemon", "workspaces", "servers", "jobs"}
WORKSPACE = {
    "name",
    "root",
    "files",
    "symbols",
    "orphans",
    "enriched",
    "backing_off",
    "skipped",
    "edges",
    "outcomes",
    "parse",
}
JOB = {
    "job_id",
    "workspace",
    "kind",
    "status",
    "stage",
    "progress",
    "error_message",
    "files_total",
    "files_indexed",
    "files_failed",
    "symbols_found",
    "languages",
    "created_at",
    "started_at",
    "completed_at",
    "stages",
}


def over_tcp(port: int, path: str, method: str = "GET", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def small(place: Place) -> Path:
    return write_tree(place.folder / "small", {"good.py": GOOD})


# The whole of it


@pytest.mark.fault(16, "SIGTERM when all is done")
def test_a_daemon_makes_the_graph_that_a_single_run_makes_and_tells_how_it_stands(
    flask: Indexed, place: Place, reached: Reached
) -> None:
    port = free_port()
    place.configure(flask.root, listen=f"127.0.0.1:{port}", name="flask")
    with running(place) as daemon:
        daemon.wait_until_up()
        seen: list[Any] = []
        daemon.wait_until("the graph is whole", lambda: settled_meanwhile(daemon, seen))
        assert any(each["workspaces"][0]["orphans"] for each in seen), "it was never seen at work"
        assert_status_holds_what_is_promised(place.ask("status"), daemon)
        for path in ("/healthz", "/readyz"):
            assert over_tcp(port, path)[0] == 200
        assert json.loads(over_tcp(port, "/api/v1/status")[1])["daemon"]["pid"] == daemon.pid
        assert_metrics_are_true(over_tcp(port, "/metrics")[1], place.ask("status"))
        code, took_s = daemon.terminate()
        assert code == 0
        reached("idle, it ends after", took_s, 1.0, "s")
        assert place.processes() == {}
        assert not place.socket.exists()
    assert place.export() == flask.export
    place.verify()


def settled_meanwhile(daemon: Daemon, seen: list[Any]) -> bool:
    status = daemon.status()
    if status["workspaces"]:
        seen.append(status)
    return is_settled(status)


def assert_status_holds_what_is_promised(status: Any, daemon: Daemon) -> None:
    assert status.keys() >= STATUS
    assert (status["schema_version"], status["problems"]) == (1, [])
    assert status["daemon"]["running"] is True
    assert status["daemon"]["pid"] == daemon.pid
    assert 0 < status["daemon"]["uptime_s"] < daemon.age_s
    [workspace] = status["workspaces"]
    assert workspace.keys() >= WORKSPACE
    assert workspace["outcomes"].keys() >= {"edges", "none", "error"}
    assert workspace["enriched"] == workspace["symbols"] > 1800
    [server] = status["servers"]
    assert (server["name"], server["state"], server["restarts"]) == ("ty", "ready", 0)
    assert server["version"]
    assert status["jobs"][0].keys() >= JOB
    assert status["jobs"][0]["status"] == "completed"


def assert_metrics_are_true(text: str, status: Any) -> None:
    kinds = dict(
        line.removeprefix("# TYPE ").split(" ")
        for line in text.splitlines()
        if line.startswith("# TYPE ")
    )
    assert METRICS.items() <= kinds.items()
    assert all(name.startswith("enrichd_") for name in kinds)
    [workspace] = status["workspaces"]
    values = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line and not line.startswith("#")
    }
    assert values["enrichd_symbols"] == workspace["symbols"]
    assert values["enrichd_orphans"] == 0
    assert values['enrichd_parse_files{status="ok"}'] == workspace["files"]
    assert values["enrichd_parse_clean_ratio"] == 1
    assert values['enrichd_stage_duration_seconds_count{stage="parsing"}'] == 1
    assert values['enrichd_jobs_total{status="completed"}'] == 1
    assert values['enrichd_lsp_server_state{server="ty",state="ready"}'] == 1
    for outcome, number in workspace["outcomes"].items():
        name = f'enrichd_outcomes_total{{operation="definition",outcome="{outcome}"}}'
        assert values.get(name, 0) <= number, outcome  # what the text proves is not asked
    assert ".py" not in text
    assert "Flask" not in text


def test_the_metrics_pass_promtool(place: Place) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    place.configure(small(place))
    with running(place) as daemon:
        daemon.wait_until_settled()
        text = daemon.get("/metrics")[1]
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=text, capture_output=True, check=False
    )
    assert checked.returncode == 0, checked
    assert checked.stderr == b""


def test_over_tcp_nothing_is_changed_without_the_token_and_no_foreign_page_reads(
    place: Place,
) -> None:
    port = free_port()
    place.configure(small(place), listen=f"127.0.0.1:{port}")
    with running(place) as daemon:
        daemon.wait_until_up()
        assert over_tcp(port, "/api/v1/workspaces/small", "DELETE")[0] == 401
        assert over_tcp(port, "/api/v1/status", Host="evil.example")[0] in {400, 403, 421}
        assert over_tcp(port, "/api/v1/status", Origin="http://evil.example")[0] == 403
        assert [each["name"] for each in daemon.status()["workspaces"]] == ["small"]


# Its end


@pytest.mark.fault(16, "SIGTERM while a real server is asked")
def test_sigterm_under_load_ends_it_within_five_seconds_with_everything_committed(
    flask: Indexed, place: Place, reached: Reached
) -> None:
    place.configure(flask.root, name="flask")
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("it enriches", lambda: 0 < enriched(daemon) < 1200)
        before = enriched(daemon)
        code, took_s = daemon.terminate()
        assert code == 0
        reached("under load, it ends after", took_s, 5.0, "s")
        assert place.processes() == {}
    assert not place.database.with_name("enrichd.db-wal").exists()
    [workspace] = place.ask("status")["workspaces"]
    assert before <= workspace["outcomes"]["edges"]
    assert workspace["orphans"] > 0
    place.verify()
    assert place.run("index", flask.root, "-q").code == 0  # what was left is done by the next
    assert place.export() == flask.export


def enriched(daemon: Daemon) -> int:
    """Outcomes that a server gave; a symbol without sites is enriched from the start."""
    found = daemon.status()["workspaces"]
    return int(found[0]["outcomes"]["edges"]) if found else 0


@pytest.mark.fault(16, "SIGTERM while a server answers nothing")
def test_sigterm_while_a_server_answers_nothing_is_no_slower(
    place: Place, reached: Reached
) -> None:
    place.configure(
        write_tree(
            place.folder / "big",
            {f"m{n}.py": f"import z\n\n\ndef f():\n    z.g{n}()\n" for n in range(20)},
        ),
        more=pygls_server(delay_s=30),
    )
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("a server was started", lambda: daemon.status()["servers"])
        code, took_s = daemon.terminate()
        assert code == 0
        reached("it ends after", took_s, 5.0, "s")
        assert place.processes() == {}


def test_sigterm_to_a_single_run_keeps_what_was_found_out(flask: Indexed, place: Place) -> None:
    place.configure()
    process = subprocess.Popen(
        [
            ENRICHD,
            "index",
            flask.root,
            "--db",
            place.database,
        ],
        env=place.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("enriching: ") and " of " in line:
            break
    process.terminate()
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "the next run goes on from there" in errors
    assert "Traceback" not in errors
    assert place.processes() == {}
    place.verify()


# Asking while it works


def test_questions_are_answered_while_it_works_and_say_that_more_may_come(
    flask: Indexed, place: Place
) -> None:
    place.configure(flask.root, more=pygls_server(delay_s=0.05), name="flask")
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("it has indexed", lambda: indexed(daemon))
        answer = place.ask("callers", "Flask.full_dispatch_request")
        assert answer["completeness"]["level"] in {"partial", "unknown"}
        assert answer["completeness"]["pending"] > 0
        assert answer["completeness"]["reasons"]
        said = place.run("callers", "Flask.full_dispatch_request")
        assert "(partial: " in said.out or "(unknown: " in said.out


def indexed(daemon: Daemon) -> bool:
    found = daemon.status()["workspaces"]
    return bool(found and found[0]["indexed_at"])


def test_a_workspace_that_is_added_by_command_is_taken_up_and_one_removed_is_forgotten(
    place: Place,
) -> None:
    place.configure()
    with running(place) as daemon:
        daemon.wait_until_up()
        added = place.run("workspaces", "add", small(place), "--name", "mine")
        assert added.code == 0, added
        daemon.wait_until_settled()
        assert place.ask("callers", "helper")["count"] == 1
        assert place.run("workspaces", "remove", "mine").code == 0
        assert place.ask("workspaces", "list")["workspaces"] == []
        daemon.wait_until("its server is ended", lambda: list(place.processes()) == [daemon.pid])
        assert daemon.terminate()[0] == 0
    place.verify()


# A kill


def test_killed_in_the_middle_of_enrichment_it_goes_on_and_ends_with_the_same_graph(
    flask: Indexed, place: Place
) -> None:
    place.configure(flask.root, name="flask")
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("it enriches", lambda: 100 < enriched(daemon) < 1100)
        kept = enriched(daemon)
        daemon.kill()
        assert_nobody_is_left(place)
    place.verify()
    assert place.ask("status")["workspaces"][0]["outcomes"]["edges"] >= kept
    with running(place) as daemon:
        daemon.wait_until_up()
        assert_work_is_taken_up_soon(daemon)
        assert enriched(daemon) >= kept
        daemon.wait_until_settled()
        assert_not_asked_twice(daemon, kept)
        assert daemon.terminate()[0] == 0
    assert place.export() == flask.export
    place.verify()


def assert_nobody_is_left(place: Place) -> None:
    wait_until(
        "no process is left", lambda: not place.processes(), 1.0, lambda: str(place.processes())
    )


def assert_work_is_taken_up_soon(daemon: Daemon) -> None:
    """Within a second of the start, on a machine that has nothing else to do."""
    up_s = daemon.age_s
    daemon.wait_until(
        "its server is asked",
        lambda: any(each["requests"] for each in daemon.status()["servers"]),
        10.0,
    )
    assert daemon.age_s - up_s < 4.0


def assert_not_asked_twice(daemon: Daemon, kept: int) -> None:
    metrics = daemon.get("/metrics")[1].decode()
    [asked] = [
        float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith('enrichd_outcomes_total{operation="definition",outcome="edges"}')
    ]
    total = daemon.status()["workspaces"][0]["outcomes"]["edges"]
    assert asked <= total - kept + 1


def test_killed_in_the_middle_of_indexing_it_goes_on_and_ends_with_the_same_graph(
    flask: Indexed, place: Place
) -> None:
    place.configure(flask.root, more="[index]\nparse_processes = 1", name="flask")
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("it indexes", lambda: is_indexing(daemon))
        daemon.kill()
        assert_nobody_is_left(place)
    place.verify()
    before = place.ask("status")
    assert before["workspaces"][0]["indexed_at"] is None
    assert any("has not ended" in problem for problem in before["problems"])
    with running(place) as daemon:
        daemon.wait_until_settled()
        jobs = daemon.status()["jobs"]
        assert daemon.terminate()[0] == 0
    assert [job["status"] for job in jobs] == ["completed", "failed"]
    assert "interrupted" in jobs[1]["error_message"]
    assert place.export() == flask.export
    place.verify()


def is_indexing(daemon: Daemon) -> bool:
    return any(
        job["status"] == "running" and job["stage"] == "parsing" for job in daemon.status()["jobs"]
    )


def test_a_failure_is_not_forgotten_over_a_kill(place: Place) -> None:
    root = write_tree(
        place.folder / "root",
        {"good.py": GOOD, "bad.py": "import good\n\n\ndef f():\n    good.helper()\n"},
    )
    place.configure(
        root,
        more=pygls_server(fail_with=-32803, only="bad.py")
        + "\n[tracker]\ninitial_s = 300.0\nmax_attempts = 5",
    )
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("it has failed", lambda: place.ask("failures")["failures"])
        before = place.ask("failures")["failures"]
        daemon.kill()
    assert {each["state"] for each in before} == {"backing-off"}
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("its server is ready", lambda: ready(daemon))
        time.sleep(1.0)
        assert place.ask("failures")["failures"] == before


def ready(daemon: Daemon) -> bool:
    return any(each["state"] == "ready" for each in daemon.status()["servers"])
