"""`enrichd servers`: what a person sees of the servers, and what has one started afresh."""

from __future__ import annotations

import shlex
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.running import PYGLS_SERVER, Daemon, Place, pygls_server, running, toml_list, write_tree

FILES = {
    "helpers.py": "def helper():\n    return 1\n\n\ndef near():\n    return helper()\n",
    "far.py": "import helpers\n\n\ndef far():\n    return helpers.helper() + helpers.near()\n",
}
GOOD = f"#!/bin/sh\nexec {shlex.join([sys.executable, str(PYGLS_SERVER), '{}'])}\n"
BAD = "#!/bin/sh\necho something is missing >&2\nexit 3\n"


@pytest.fixture
def root(place: Place) -> Path:
    return write_tree(place.folder / "tree", FILES)


def server(place: Place) -> Any:
    [one] = place.ask("servers")["servers"]
    return one


def install(program: Path, text: str) -> None:
    draft = program.with_suffix(".draft")
    draft.write_text(text)
    draft.chmod(0o755)
    draft.replace(program)


def tries(daemon: Daemon) -> int:
    restarts: int = daemon.status()["servers"][0]["restarts"]
    return restarts


def test_a_person_sees_the_server_and_starts_it_afresh(place: Place, root: Path) -> None:
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        graph = place.export()
        before = server(place)
        assert (before["name"], before["language"], before["workspace"]) == ("ty", "python", "tree")
        assert (before["state"], before["restarts"]) == ("ready", 0)
        assert before["requests"] > 0
        assert before["memory_bytes"] > 5_000_000
        assert "ty" in place.processes()[before["pid"]]
        [line] = place.run("servers").out.splitlines()
        assert line.split()[:5] == ["ty", before["version"], "python", "of", "tree"]
        assert f"pid {before['pid']}" in line
        said = place.run("servers", "restart", "ty")
        assert (said.code, said.err) == (0, "ty is started afresh for python of tree\n")
        daemon.wait_until(
            "another one is ready",
            lambda: server(place)["state"] == "ready" and server(place)["pid"] != before["pid"],
        )
        assert before["pid"] not in place.processes()
        assert server(place)["restart_reasons"] == {"asked": 1}
        assert daemon.metric('enrichd_lsp_restarts_total{server="ty"}') == 1
        assert place.run("wait").code == 0
        assert place.ask("failures")["failures"] == []
        assert place.export() == graph
        wrong = place.run("servers", "restart", "tie")
        assert (wrong.code, "hint: there are: ty" in wrong.err) == (1, True)
    none = place.run("servers")
    assert (none.code, none.out) == (69, "")
    assert "start one with `enrichd run`" in none.err


def test_a_reload_and_another_program_end_the_rest_of_a_server_that_never_worked(
    place: Place, root: Path
) -> None:
    program = place.folder / "server"
    install(program, BAD)
    keys = f'[[server]]\nname = "ty"\ncommand = {toml_list([program])}'
    place.configure(root, more=keys)
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until(
            "its breaker is open", lambda: any(s["breaker_open"] for s in servers(place))
        )
        resting = server(place)
        assert (resting["state"], resting["restart_reasons"]) == ("backing off", {"died": 4})
        assert resting["next_start_in_s"] > 280
        assert resting["stderr"] == ["something is missing"]
        assert place.run("servers").out.splitlines()[1:] == ["    something is missing"]
        before = tries(daemon)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_until("it was tried once more", lambda: tries(daemon) == before + 1)
        daemon.wait_until("it rests again", lambda: server(place)["next_start_in_s"] is not None)
        assert server(place)["breaker_open"]
        install(program, GOOD)
        daemon.wait_until_settled()
        healed = server(place)
        assert (healed["state"], healed["breaker_open"]) == ("ready", False)
        assert place.ask("failures")["failures"] == []
        install(program, BAD)  # a server that works is left alone
        assert place.run("wait").code == 0
        assert server(place)["pid"] == healed["pid"]
    place.verify()


def servers(place: Place) -> list[Any]:
    found = place.ask("servers")["servers"]
    assert isinstance(found, list)
    return found


def test_a_server_over_its_memory_limit_is_started_afresh_at_nobodys_charge(
    place: Place, root: Path
) -> None:
    keys = "max_rss_bytes = 150_000_000"
    place.configure(root, more=pygls_server(keys=keys, grow_by=60_000_000))
    with running(place) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until(
            "another one is ready",
            lambda: server(place)["restarts"] == 1 and server(place)["state"] == "ready",
        )
        fresh = server(place)
        assert fresh["restart_reasons"] == {"memory": 1}
        assert fresh["memory_bytes"] < 150_000_000
        assert "of memory, 143 are allowed" in fresh["last_error"]
        living = [pid for pid, line in place.processes().items() if PYGLS_SERVER.name in line]
        assert living == [fresh["pid"]]
        events = [each for each in daemon.lines() if each.get("action") == "server_state"]
        assert "backing off" not in {each["state"] for each in events}
        assert [each["reason"] for each in events if each["event_name"] == "too big"] == [
            fresh["last_error"]
        ]
        assert place.ask("failures")["failures"] == []
    place.verify()
