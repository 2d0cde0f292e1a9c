"""The graph follows the files without being told, and says how far it is behind."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Indexed
from tests.running import Daemon, Place, pygls_server, running, write_tree

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"
NEW = "from good import helper\n\n\ndef late():\n    return helper()\n"
LIMITED = (
    *("unshare", "--user", "--map-root-user", "sh", "-c"),
    'echo 3 > /proc/sys/user/max_inotify_watches && exec "$@"',
    "sh",
)
"""A namespace of its own, in which nearly no folder can be watched."""


def jobs(daemon: Daemon) -> int:
    return sum(line["action"] == "indexed" for line in daemon.lines())


def git(folder: Path, *words: str) -> None:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *words]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def copy_of(flask: Indexed, place: Place) -> Path:
    root = place.folder / flask.root.name
    shutil.copytree(flask.root, root)
    place.configure(root, name="flask")
    return root


def test_an_edit_shows_in_callers_when_wait_has_returned(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        for number in range(3):
            write_tree(root, {f"m{number}.py": NEW})
            said = place.run("wait")
            assert (said.code, said.out) == (0, ""), said
            found = place.ask("callers", "helper")
            assert found["count"] == 2 + number
            assert found["completeness"]["level"] == "complete"
        assert daemon.terminate()[0] == 0


def test_an_edit_shows_by_itself(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        write_tree(root, {"deep/new.py": NEW})
        daemon.wait_until("it shows", lambda: place.ask("callers", "helper")["count"] == 2)
        (root / "deep" / "new.py").unlink()
        daemon.wait_until("it is gone", lambda: place.ask("callers", "helper")["count"] == 1)
        assert daemon.terminate()[0] == 0


def test_while_a_touched_file_waits_status_metrics_and_answers_say_so(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    git(root, "init", "-q")
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        place.run("wait")
        fresh = daemon.status()["workspaces"][0]["freshness"]
        assert (fresh["pending_changes"], fresh["lag_s"], fresh["watching"]) == (0, 0, "events")
        assert daemon.metric("enrichd_pending_changes") == 0
        assert daemon.metric("enrichd_freshness_lag_seconds") == 0

        lock = root / ".git" / "index.lock"
        lock.touch()  # as in a rebase: what is touched waits
        write_tree(root, {"new.py": NEW})

        def pending() -> Any:
            return daemon.status()["workspaces"][0]["freshness"]["pending_changes"]

        daemon.wait_until("it is noticed", lambda: pending() == 1)
        time.sleep(0.3)
        assert daemon.metric("enrichd_pending_changes") == 1
        assert daemon.metric("enrichd_freshness_lag_seconds") >= 0.3
        assert "1 change not indexed yet" in place.run("status").out
        for path in ("graph/callers?symbol=helper", "symbols?q=helper"):
            answer = json.loads(daemon.get(f"/api/v1/{path}")[1])
            assert answer["completeness"]["level"] == "stale", answer
            reason = "1 touched file waits to be indexed (new.py)"
            assert reason in answer["completeness"]["reasons"]
        told = place.ask("callers", "helper")["completeness"]
        assert told["level"] == "stale", told

        lock.unlink()
        assert place.run("wait").code == 0
        assert daemon.metric("enrichd_pending_changes") == 0
        assert place.ask("callers", "helper")["completeness"]["level"] == "complete"
        assert daemon.terminate()[0] == 0


def test_a_branch_switch_is_one_job_and_going_back_gives_the_same_graph(
    flask: Indexed, place: Place
) -> None:
    root = copy_of(flask, place)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "-m", "one")
    git(root, "checkout", "-q", "-b", "side")
    shutil.rmtree(root / "src" / "flask" / "json")
    (root / "src" / "flask" / "views.py").rename(root / "src" / "flask" / "sights.py")
    for file in (root / "tests").glob("test_*.py"):
        file.write_text("import flask\n\n" + file.read_text())
    git(root, "add", "-A", "-f")
    git(root, "commit", "-q", "-m", "two")
    git(root, "checkout", "-q", "main")
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert place.run("wait").code == 0
        before, first = jobs(daemon), place.export()
        git(root, "checkout", "-q", "side")
        daemon.wait_until("it has indexed", lambda: jobs(daemon) > before)
        assert place.run("wait").code == 0
        assert jobs(daemon) == before + 1
        assert place.export() != first
        git(root, "checkout", "-q", "main")
        daemon.wait_until("it has indexed", lambda: jobs(daemon) > before + 1)
        assert place.run("wait").code == 0
        assert jobs(daemon) == before + 2
        assert place.export() == first
        assert daemon.terminate()[0] == 0
    place.verify()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no unshare here")
def test_where_the_limit_of_watches_is_reached_files_are_looked_at_and_status_says_so(
    place: Place,
) -> None:
    if subprocess.run([*LIMITED, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a namespace with a limit of its own can't be made here")
    root = write_tree(place.folder / "root", {f"d{n}/e/m{n}.py": GOOD for n in range(10)})
    place.configure(root)
    with running(place, under=LIMITED) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until(
            "the limit is noticed",
            lambda: daemon.status()["workspaces"][0]["freshness"]["watching"] == "polling",
        )
        assert any("fs.inotify.max_user_watches" in each for each in daemon.status()["problems"])
        write_tree(root, {"d9/e/late.py": NEW})
        daemon.wait_until("it is found", lambda: place.run("symbols", "late").code == 0)
        told = [line for line in daemon.lines() if line["action"] == "watch_failed"]
        assert len(told) == 1
        assert daemon.terminate()[0] == 0


# enrichd wait


def test_wait_without_a_daemon_says_what_to_do(place: Place) -> None:
    place.configure(write_tree(place.folder / "root", {"good.py": GOOD}))
    said = place.run("wait")
    assert (said.code, said.out) == (69, "")
    assert "hint: start one with `enrichd run`" in said.err


def test_wait_ends_in_time_and_says_what_it_still_waited_for(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD.replace("helper()", "z.helper()")})
    place.configure(root, more=pygls_server(delay_s=30.0))
    with running(place) as daemon:
        daemon.wait_until_up()
        began = time.monotonic()
        said = place.run("wait", "--timeout", "2", "--json")
        assert time.monotonic() - began < 10
        assert said.code == 1
        assert said.json["timed_out"]
        assert said.json["problems"], said.json
        assert "--timeout" in said.json["problems"][0]
        assert daemon.terminate()[0] == 0


def test_wait_for_what_no_server_speaks_for_returns_at_once_and_says_so(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD.replace("helper()", "z.helper()")})
    missing = '[enrich.servers]\npython = "none"\n[[server]]\nname = "none"\n'
    missing += 'languages = ["python"]\ncommand = ["no-such-server"]'
    place.configure(root, more=missing)
    with running(place) as daemon:
        daemon.wait_until_up()
        said = place.run("wait", "--json")
        assert said.code == 1
        assert (said.json["timed_out"], said.json["current"]) == (False, True)
        assert any("is not installed" in each for each in said.json["problems"]), said.json
        assert "not complete" in place.run("wait").out
        assert daemon.terminate()[0] == 0


def test_wait_for_an_unknown_workspace_is_refused(place: Place) -> None:
    place.configure(write_tree(place.folder / "root", {"good.py": GOOD}))
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert place.run("wait", "--workspace", "nope").code == 1
        assert place.run("wait", "--workspace", "root").code == 0
        assert daemon.terminate()[0] == 0


def test_many_may_wait_at_once_and_a_stop_lets_them_go(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD.replace("helper()", "z.helper()")})
    place.configure(root, more=pygls_server(delay_s=30.0))
    with running(place) as daemon:
        daemon.wait_until_up()
        with ThreadPoolExecutor(4) as pool:
            waits = [pool.submit(place.run, "wait") for _ in range(4)]
            time.sleep(1.5)
            code, took_s = daemon.terminate()
            assert (code, took_s < 5.0) == (0, True)
            assert {each.result().code for each in waits} == {69}


# enrichd index --changed-only


def test_changed_only_makes_no_first_index(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure()
    said = place.run("index", root, "--changed-only")
    assert (said.code, said.out) == (1, "")
    assert f"hint: make its first index with `enrichd index {root}`" in said.err
    assert not place.database.exists()
    assert place.run("index", root).code == 0
    write_tree(root, {"new.py": NEW})
    said = place.run("index", root, "--changed-only", "--json")
    assert (said.code, said.json["files_changed"]) == (0, 1)


def test_changed_only_asks_the_daemon_that_has_the_database(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    other = write_tree(place.folder / "other", {"good.py": GOOD})
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert "nothing to do" in place.run("index", root).out
        write_tree(root, {"new.py": NEW})
        said = place.run("index", root, "--changed-only")
        assert (said.code, said.out) == (0, ""), said
        assert place.ask("callers", "helper")["count"] == 2
        said = place.run("index", other, "--changed-only")
        assert said.code == 1
        assert "enrichd workspaces add" in said.err
        assert daemon.terminate()[0] == 0


def test_edits_while_the_daemon_is_down_are_found_at_its_start(place: Place) -> None:
    root = write_tree(place.folder / "root", {"good.py": GOOD})
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    write_tree(root, {"new.py": NEW})
    with running(place) as daemon:
        daemon.wait_until_up()
        assert place.run("wait").code == 0
        assert place.ask("callers", "helper")["count"] == 2
        assert daemon.terminate()[0] == 0


def test_a_root_that_a_paper_names_shows_by_itself(place: Place) -> None:
    """The server takes its roots from the papers when it starts: it is started afresh."""
    more = {"lib/tool.py": GOOD, "app.py": NEW.replace("good", "tool")}
    root = write_tree(place.folder / "root", more)
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert place.ask("callers", "helper")["count"] == 1
        write_tree(root, {"pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["lib"]\n'})
        daemon.wait_until(
            "it is found through the new root", lambda: place.ask("callers", "helper")["count"] == 2
        )
        assert daemon.terminate()[0] == 0
