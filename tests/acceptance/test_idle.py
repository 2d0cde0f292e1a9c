"""Nothing changes: nothing is done, written or said."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass

from tests import proc
from tests.acceptance.conftest import Indexed
from tests.running import DATABASE_SUFFIXES, Daemon, Place, running

WATCHED_S = 20.0
MOST_CPU_SHARE = 0.01  # so loose that it can't fail by chance; `make bench` measures
MOST_SWITCHES_PER_S = 20.0


@dataclass(frozen=True)
class Snapshot:
    """What would differ if anything had been done."""

    files: dict[str, tuple[int, int]]
    processes: set[int]
    log: int
    jobs: int


def snapshot(place: Place, daemon: Daemon) -> Snapshot:
    files = {}
    for suffix in DATABASE_SUFFIXES[:2]:
        file = place.database.with_name(place.database.name + suffix)
        if file.exists():
            files[suffix] = (file.stat().st_size, file.stat().st_mtime_ns)
    return Snapshot(
        files, set(place.processes()), len(daemon.lines()), len(daemon.status()["jobs"])
    )


def test_a_settled_daemon_does_nothing_writes_nothing_and_says_nothing(
    flask: Indexed, place: Place
) -> None:
    place.configure(flask.root, name="flask")
    with running(place) as daemon:
        daemon.wait_until_settled()
        time.sleep(2.0)  # what was under way comes to its end
        connection = sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)
        before, version = snapshot(place, daemon), data_version(connection)
        cpu_before, switches_before = proc.cpu_s(daemon.pid), proc.switches(daemon.pid)
        time.sleep(WATCHED_S)
        used_s = proc.cpu_s(daemon.pid) - cpu_before
        slept = proc.switches(daemon.pid) - switches_before
        assert data_version(connection) == version
        connection.close()
        assert snapshot(place, daemon) == before
        assert used_s < WATCHED_S * MOST_CPU_SHARE, used_s
        assert slept < WATCHED_S * MOST_SWITCHES_PER_S, slept
        assert daemon.terminate()[0] == 0


def data_version(connection: sqlite3.Connection) -> int:
    """Changes when another connection has written."""
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version
