"""What changes while the daemon runs: its configuration and the files under it."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Indexed
from tests.figures import Reached
from tests.running import Daemon, Place, pygls_server, running, write_tree

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"
RELOADED = "enrichd_config_last_reload_successful"


def reload(daemon: Daemon) -> None:
    """SIGHUP, and wait until it was heard."""
    before = len(reloads(daemon))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_until("it has reloaded", lambda: len(reloads(daemon)) > before)


def reloads(daemon: Daemon) -> list[dict[str, Any]]:
    return [line for line in daemon.lines() if line["action"] == "reload"]


# SIGHUP


def test_sighup_takes_up_a_new_workspace_and_leaves_the_old_one_alone(place: Place) -> None:
    one = write_tree(place.folder / "one", {"one.py": GOOD})
    two = write_tree(place.folder / "two", {"two.py": GOOD})
    place.configure(one)
    with running(place) as daemon:
        daemon.wait_until_settled()
        servers = {each["workspace"]: each["pid"] for each in daemon.status()["servers"]}
        place.configure(one, two)
        reload(daemon)
        daemon.wait_until_settled(workspaces=2)
        found = daemon.status()
        assert [each["name"] for each in found["workspaces"]] == ["one", "two"]
        assert found["servers"][0]["pid"] == servers["one"]
        assert daemon.metric(RELOADED) == 1
        assert place.ask("callers", "helper", "-w", "two")["count"] == 1
        assert daemon.terminate()[0] == 0


@pytest.mark.fault(18, "a wrong file at a SIGHUP, then a right one")
def test_sighup_with_a_bad_file_keeps_the_old_one_running_and_says_why(
    place: Place, reached: Reached
) -> None:
    one = write_tree(place.folder / "one", {"one.py": GOOD})
    place.configure(one)
    good = place.config.read_text()
    with running(place) as daemon:
        daemon.wait_until_settled()
        place.config.write_text(good + "\n[monitor]\nintervall_s = 5\n")
        reload(daemon)
        reached("the metric says that it was used", daemon.metric(RELOADED), 0)
        told = reloads(daemon)[-1]
        assert told["level"] == "error"
        assert f"{place.config}: monitor.intervall_s: unknown key" in told["error"]
        assert daemon.get("/healthz")[0] == 200
        assert [each["name"] for each in daemon.status()["workspaces"]] == ["one"]
        place.config.write_text(good)
        reload(daemon)
        assert daemon.metric(RELOADED) == 1
        assert daemon.terminate()[0] == 0


def test_a_refused_configuration_is_told_by_status(place: Place) -> None:
    place.configure(write_tree(place.folder / "one", {"one.py": GOOD}))
    good = place.config.read_text()
    with running(place) as daemon:
        daemon.wait_until_settled()
        place.config.write_text("[monitor\n")
        reload(daemon)
        place.config.write_text(good)  # for the command that asks
        problems = place.ask("status")["problems"]
        assert any("configuration" in problem for problem in problems), problems
        reload(daemon)
        assert place.ask("status")["problems"] == []


# Edits


def edit(root: Path) -> None:
    """A little of everything that people do to files."""
    helpers = root / "src" / "flask" / "helpers.py"
    text = helpers.read_text()
    helpers.write_text(
        "def brand_new() -> bool:\n    return get_debug_flag()\n\n\n"
        + text.replace("def get_debug_flag()", "def get_debug_flag(once=None)")
    )
    app = root / "src" / "flask" / "app.py"
    app.write_text(
        app.read_text().replace("rv = self.dispatch_request()", "rv = self.dispatch_it()", 1)
    )
    (root / "src" / "flask" / "views.py").rename(root / "src" / "flask" / "sights.py")
    (root / "src" / "flask" / "logging.py").unlink()
    write_tree(
        root,
        {
            "src/flask/fresh.py": "from flask.app import Flask\n\n\n"
            "def make():\n    return Flask('x')\n"
        },
    )


def fresh_export(other: Place, root: Path) -> bytes:
    other.configure()
    assert other.run("index", root, "-q").code == 0
    return other.export()


def test_edits_are_picked_up_at_sighup_and_the_graph_is_that_of_a_fresh_index(
    flask: Indexed, place: Place, other: Place
) -> None:
    root = place.folder / flask.root.name
    shutil.copytree(flask.root, root)
    place.configure(root, name="flask")
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert place.export() == flask.export
        edit(root)
        before = daemon.status()["workspaces"][0]["indexed_at"]
        reload(daemon)
        daemon.wait_until(
            "it has indexed again",
            lambda: daemon.status()["workspaces"][0]["indexed_at"] != before,
        )
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    changed = place.export()
    assert changed != flask.export
    assert changed == fresh_export(other, root)
    place.verify()


def test_edits_between_two_single_runs_give_the_graph_of_a_fresh_index(
    flask: Indexed, place: Place, other: Place
) -> None:
    root = place.folder / flask.root.name
    shutil.copytree(flask.root, root)
    place.configure()
    assert place.run("index", root, "-q").code == 0
    edit(root)
    said = place.run("index", root, "--json")
    assert (said.code, said.json["files_removed"]) == (0, 2)
    assert place.export() == fresh_export(other, root)
    place.verify()


def test_an_answer_says_that_it_is_stale_until_an_edit_was_picked_up(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure()
    assert place.run("index", root).code == 0
    (root / "good.py").write_text(GOOD + "\n\ndef another():\n    return helper()\n")
    stale = place.ask("callers", "helper")
    assert (stale["count"], stale["completeness"]["level"]) == (1, "stale")
    assert "good.py changed on disk since it was indexed" in stale["completeness"]["reasons"]
    assert place.run("index", root).code == 0
    current = place.ask("callers", "helper")
    assert (current["count"], current["completeness"]["level"]) == (2, "complete")


def test_an_edit_that_nobody_told_of_is_found_by_the_worker_who_meets_it(
    place: Place, other: Place
) -> None:
    names = [f"m{number}" for number in range(5)]
    calls = "\n".join(f"    z.helper_{name}()" for name in names)
    root = write_tree(
        place.folder / "root",
        {f"{name}.py": f"def helper_{name}(): ...\n\n\ndef f(z):\n{calls}\n" for name in names},
    )
    trace = place.folder / "trace"
    server = pygls_server(keys="window = 1", delay_s=0.02, trace=str(trace))
    place.configure(root, more=server)

    def asked() -> set[str]:
        lines = trace.read_text().splitlines() if trace.exists() else []
        return {line.split()[1].rpartition("/")[2] for line in lines if "definition " in line}

    with running(place) as daemon:
        daemon.wait_until("two files were asked about", lambda: len(asked()) >= 2)
        untouched = sorted({f"{name}.py" for name in names} - asked())
        assert untouched, "it was too fast to be met"
        file = root / untouched[-1]
        file.write_text(file.read_text() + "\n\ndef late(z):\n    z.helper_m0()\n")
        daemon.wait_until(
            "the new function is known", lambda: place.run("symbols", "late").code == 0, 20
        )
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    other.configure(more=server)
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export()
    place.verify()


def test_an_edit_costs_what_it_concerns_and_not_everything(flask: Indexed, place: Place) -> None:
    root = place.folder / flask.root.name
    shutil.copytree(flask.root, root)
    place.configure()
    assert place.run("index", root, "-q").code == 0
    leaf = root / "tests" / "test_logging.py"
    leaf.write_text(leaf.read_text() + "\n\ndef test_more(app):\n    assert app.logger\n")
    said = place.run("index", root, "--json")
    assert (said.code, said.json["files_changed"]) == (0, 1)
    assert 0 < said.json["requests"] < flask.report["requests"] / 20
