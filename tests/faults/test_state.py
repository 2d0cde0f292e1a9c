"""Two daemons, orders to end, wrong configurations, clocks that were set: the state stays right."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.figures import Reached
from tests.running import Daemon, Place, pygls_server, running, write_tree

SEED = int(os.environ.get("ENRICHD_FAULT_SEED", "0")) or random.SystemRandom().getrandbits(32)
DAY_S = 86_400.0
HELPERS = "def helper():\n    return 1\n\n\ndef near():\n    return helper()\n"
RELOADED = "enrichd_config_last_reload_successful"


def small(place: Place) -> Path:
    return write_tree(place.folder / "root", {"helpers.py": HELPERS})


def large(place: Place, files: int = 60) -> Path:
    """Modules that use one another."""
    return write_tree(
        place.folder / "root",
        {
            f"m{each}.py": f"import m{(each + 1) % files}\n"
            + "".join(
                f"\n\ndef f{n}():\n    return m{(each + 1) % files}.f{(n + 1) % 12}()\n"
                for n in range(12)
            )
            for each in range(files)
        },
    )


# Two daemons


@pytest.mark.fault(15, "a second daemon, again and again")
def test_second_daemons_end_at_once_and_the_first_is_unharmed(
    place: Place, reached: Reached
) -> None:
    place.configure(small(place))
    took_s = []
    with running(place) as first:
        first.wait_until_settled()
        server = first.status()["servers"][0]["pid"]
        for _ in range(5):
            began = time.monotonic()
            said = place.run("run")
            took_s.append(time.monotonic() - began)
            assert said.code == 75, said
            assert f"is in use by process {first.pid}" in said.err
        assert first.answers()
        assert first.status()["servers"][0]["pid"] == server
        assert set(place.processes()) == {first.pid, server}
        assert place.ask("callers", "helper")["count"] == 1
        assert first.terminate()[0] == 0
    place.verify()
    reached("ends with 75, the slowest", max(took_s), 1.0, "s", times=len(took_s))


# The order to end


@pytest.mark.fault(16, "SIGTERM at any instant")
def test_sigterm_at_any_instant_commits_everything_and_leaves_nobody(
    place: Place, other: Place, reached: Reached
) -> None:
    chance = random.Random(SEED)
    root = large(place)
    place.configure(root)
    took_s, edges = [], 0
    for number in range(4):
        why = f"round {number} of seed {SEED}"
        with running(place) as daemon:
            daemon.wait_until_up()
            time.sleep(chance.uniform(0.0, 0.6))
            known = known_edges(daemon)
            code, seconds = daemon.terminate()
            assert code == 0, why
            took_s.append(seconds)
            assert place.processes() == {}, why
            assert not place.database.with_name("enrichd.db-wal").exists(), why
            assert not place.socket.exists(), why
        place.verify()
        stored = sum(each["outcomes"]["edges"] for each in place.ask("status")["workspaces"])
        assert stored >= max(known, edges), why
        edges = stored
        (root / f"m{number}.py").write_text((root / f"m{number}.py").read_text() + "\nf1()\n")
    reached("ends, the slowest", max(took_s), 5.0, "s", times=len(took_s))
    with running(place) as daemon:
        daemon.wait_until_settled()
        code, seconds = daemon.terminate()
        assert code == 0
        assert place.processes() == {}
        reached("ends when it is idle", seconds, 1.0, "s")
    place.verify()
    other.configure()
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export()


def known_edges(daemon: Daemon) -> int:
    return sum(each["outcomes"]["edges"] for each in daemon.status()["workspaces"])


# Wrong configurations

WRONG = {
    b"[monitor]\nintervall_s = 5\n": "monitor.intervall_s: unknown key",
    b"[monitr]\ninterval_s = 5\n": "monitr: unknown",
    b'[tracker]\nmax_attempts = "many"\n': "tracker.max_attempts: ",
    b"[tracker]\nmax_attempts = 0\n": "tracker.max_attempts: ",
    b"[monitor]\ninterval_s = -1.0\n": "monitor.interval_s: ",
    b"[monitor]\ninterval_s = = 5\n": "line 2, column ",
    b"[monitor\n": "line 1, column ",
    b'[daemon]\nlog_level = "loud"\n': "daemon.log_level: ",
    b'[daemon]\nlisten = "0.0.0.0:9911"\n': "daemon.listen: ",
    b'[daemon]\ndatabase = "\xff"\n': "not UTF-8",
    b'[[workspace]]\nname = "a"\n': "workspace[0].root: ",
    b'[[workspace]]\nname = "a b"\nroot = "x"\n': "workspace[0].name: ",
    b'[[workspace]]\nname = "a"\nroot = "x"\n' * 2: "workspace[1]",
    b'[enrich]\nexternal = "some"\n': "enrich.external: ",
}
"""What stands in the file, and what has to be said of it."""


@pytest.mark.fault(18, "every kind of wrong configuration at the start")
def test_a_wrong_configuration_ends_the_start_with_one_line_and_78(
    place: Place, reached: Reached
) -> None:
    lines = []
    for content, reason in WRONG.items():
        place.config.write_bytes(content)
        said = place.run("run")
        assert (said.code, said.out) == (78, ""), (content, said)
        assert str(place.config) in said.err, (content, said)
        assert reason in said.err, (content, said)
        lines.append(len(said.err.splitlines()))
    place.config.unlink()
    said = place.run("run", "--config", place.config)
    assert (said.code, said.out) == (78, "")
    assert f"{place.config}: can't be read" in said.err
    lines.append(len(said.err.splitlines()))
    assert not place.database.exists()
    reached("what is said of it", max(lines), 1, "lines", times=len(lines))


@pytest.mark.fault(18, "every kind of wrong configuration at a SIGHUP")
def test_a_wrong_configuration_at_a_sighup_changes_nothing_and_is_told(
    place: Place, reached: Reached
) -> None:
    place.configure(small(place))
    good = place.config.read_bytes()
    with running(place) as daemon:
        daemon.wait_until_settled()
        before = in_force(daemon)
        changed = 0
        for content, reason in WRONG.items():
            place.config.write_bytes(content)
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_until("it says what is wrong", partial(told, daemon, reason))
            assert daemon.metric(RELOADED) == 0, content
            assert daemon.get("/healthz")[0] == 200, content
            changed += in_force(daemon) != before
        place.config.write_bytes(good)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_until("it is used again", lambda: not daemon.status()["problems"])
        assert daemon.metric(RELOADED) == 1
        assert in_force(daemon) == before
        assert daemon.terminate()[0] == 0
    reached("of them changed anything", changed, 0, times=len(WRONG))


def told(daemon: Daemon, reason: str) -> bool:
    return any(
        "the configuration in force is an older one" in each and reason in each
        for each in daemon.status()["problems"]
    )


def in_force(daemon: Daemon) -> tuple[Any, ...]:
    """What another configuration would make another."""
    status = daemon.status()
    return (
        [(each["name"], each["root"]) for each in status["workspaces"]],
        [(each["name"], each["pid"], each["state"]) for each in status["servers"]],
        [line["action"] for line in daemon.lines() if line["action"] != "reload"],
    )


# Clocks

DELAY_S = 4.0
TICK_S = 5.0
FAILING = 20
BAD = "import helpers\n" + "".join(
    f"\n\ndef f{n}():\n    return helpers.helper()\n" for n in range(FAILING)
)
REQUEST_FAILED = -32803


def failing(place: Place, *, delay_s: float) -> None:
    """Everything in bad.py fails, and is tried again after the same time, often enough."""
    root = write_tree(place.folder / "root", {"helpers.py": HELPERS, "bad.py": BAD})
    more = pygls_server(fail_with=REQUEST_FAILED, only="bad.py", keys="ready_timeout_s = 20.0")
    more += f"\n[tracker]\ninitial_s = {delay_s}\nfactor = 1.0\nmax_attempts = 40\n"
    more += f"[monitor]\ninterval_s = {TICK_S}\n"
    place.configure(root, more=more)


@contextmanager
def stored(place: Place) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(place.database, timeout=10.0)) as connection, connection:
        yield connection


def attempts(place: Place) -> dict[int, int]:
    """Of every symbol that has failed."""
    with stored(place) as connection:
        return dict(connection.execute("SELECT symbol_id, attempts FROM failure").fetchall())


def last_attempts(place: Place) -> list[float]:
    with stored(place) as connection:
        return [row[0] for row in connection.execute("SELECT last_attempt_at FROM failure")]


@pytest.mark.fault(19, "the clock was set by a day while the daemon was down")
@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S], ids=["forward", "back"])
def test_a_clock_that_was_set_meanwhile_neither_releases_nor_freezes(
    place: Place, reached: Reached, jump_s: float
) -> None:
    """A clock that was set forward is one before which everything is stored earlier."""
    failing(place, delay_s=DELAY_S)
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("all have failed", lambda: len(attempts(place)) > FAILING)
        assert daemon.terminate()[0] == 0
    with stored(place) as connection:
        connection.execute(
            "UPDATE failure SET last_attempt_at = last_attempt_at - ?,"
            " next_retry_at = next_retry_at - ?",
            (jump_s, jump_s),
        )
    before = attempts(place)
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until(
            "everybody was tried again",
            lambda: all(now > before[each] for each, now in attempts(place).items()),
        )
        [serving] = [line for line in daemon.lines() if line["action"] == "serving"]
        began = datetime.fromisoformat(serving["timestamp"]).timestamp()
        first_s = max(last_attempts(place)) - began
        again = attempts(place)
        assert again.keys() == before.keys()
        ahead = max(again[each] - before[each] for each in again) - 1
        until = time.monotonic() + DELAY_S / 2
        while time.monotonic() < until:
            now = attempts(place)
            ahead = max(ahead, *(now[each] - before[each] - 1 for each in now))
            time.sleep(0.1)
        assert daemon.terminate()[0] == 0
    way = "set forward" if jump_s > 0 else "set back"
    reached(
        f"{way}: the last is tried again after", first_s, DELAY_S + TICK_S, "s", times=len(again)
    )
    reached(f"{way}: attempts before their time", ahead, 0, times=len(again))
    place.verify()


@pytest.mark.fault(19, "the machine sleeps, and its monotonic clock does not")
def test_after_a_sleep_everybody_is_tried_once_and_goes_on_by_the_schedule(
    place: Place, reached: Reached
) -> None:
    failing(place, delay_s=1.5)
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("all have failed", lambda: len(attempts(place)) > FAILING)
        [server] = daemon.status()["servers"]
        asleep = [daemon.pid, server["pid"]]
        for pid in asleep:
            os.kill(pid, signal.SIGSTOP)
        before, asleep_at = attempts(place), time.time()
        time.sleep(6.0)  # the time of four attempts
        woken_at = time.time()
        for pid in asleep:
            os.kill(pid, signal.SIGCONT)
        woken = time.monotonic()
        daemon.wait_until(
            "everybody was tried again",
            lambda: all(each > asleep_at for each in last_attempts(place)),
        )
        first_s = time.monotonic() - woken
        ahead = max(now - before[each] for each, now in attempts(place).items())
        assert all(each > woken_at for each in last_attempts(place))
        daemon.wait_until(
            "they go on",
            lambda: all(now > before[each] + 1 for each, now in attempts(place).items()),
        )
        most = (time.monotonic() - woken) / 1.5 + 1
        assert max(now - before[each] for each, now in attempts(place).items()) <= most
        [now] = daemon.status()["servers"]
        assert (now["pid"], now["restarts"]) == (server["pid"], 0)
        assert daemon.get("/healthz")[0] == 200
        assert daemon.terminate()[0] == 0
    reached("the last is tried again after", first_s, TICK_S, "s", times=len(before))
    reached("attempts at once", ahead, 1, times=len(before))
    place.verify()
