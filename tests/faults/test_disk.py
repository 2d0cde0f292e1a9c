"""The disk is full or fails, or another program locks the database: nothing is lost meanwhile.

A small file system in memory stands for the disk. It needs root to be mounted, and strace to fail.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.figures import Reached
from tests.running import Daemon, Place, end_all, running, wait_until, write_tree

BACK_S = 5.0
LOCKED_S = 30.0
LAG_MS = 50.0
WATCHDOG_S = 10.0
SAMPLE_S = 0.015
KIB = 1024

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def module(number: int, others: int) -> str:
    """A module that uses its neighbours."""
    near, far = (number + 1) % others, (number * 7 + 3) % others
    lines = [f"import m{far}", f"from m{near} import Base{near}, make{near}", "", ""]
    lines += [f"class Base{number}:", "    def run(self):", "        return self.step()", ""]
    lines += ["    def step(self):", f"        return m{far}.make{far}()", "", ""]
    lines += [f"def make{number}():", f"    return Base{number}()", ""]
    for each in range(12):
        lines += ["", f"def use{each}(thing: Base{near}):", f"    other = make{near}()"]
        lines += [f"    return thing.run(), other.step(), m{far}.make{far}().run()", ""]
    return "\n".join(lines)


def write_modules(root: Path, first: int, last: int) -> Path:
    return write_tree(root, {f"m{each}.py": module(each, last) for each in range(first, last)})


@dataclass(frozen=True)
class SmallDisk(Place):
    """A place whose database is on a disk of its own."""

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    @property
    def database(self) -> Path:
        return self.disk / "enrichd.db"

    def resize(self, kib: int) -> None:
        command = ["mount", "-o", f"remount,size={kib}k", os.fspath(self.disk)]
        subprocess.run(command, check=True, capture_output=True)

    def fill(self) -> None:
        """Leave no room at all."""
        with (self.disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4 * KIB)):
                pass
        assert shutil.disk_usage(self.disk).free == 0

    def make_room(self) -> None:
        (self.disk / "filler").unlink()


@pytest.fixture
def small(tmp_path: Path) -> Iterator[SmallDisk]:
    """One mebibyte."""
    own = SmallDisk(tmp_path)
    own.disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1024k,mode=700", "tmpfs", os.fspath(own.disk)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if mounted.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        yield own
    finally:
        end_all(own)
        subprocess.run(["umount", own.disk], check=True)


def health(daemon: Daemon) -> tuple[int, str]:
    """What /healthz answers, and the problems that it names."""
    code, body = daemon.get("/healthz")
    return code, "; ".join(json.loads(body)["problems"])


def wait_until_degraded(daemon: Daemon, reason: str) -> None:
    daemon.wait_until(
        "it is degraded",
        lambda: daemon.place.socket.exists() and reason in health(daemon)[1],
    )


def assert_stays_degraded(daemon: Daemon, reason: str, for_s: float) -> None:
    """It answers all the time, goes on living, and does not fill the log."""
    lines = len(daemon.lines())
    until = time.monotonic() + for_s
    while time.monotonic() < until:
        code, why = health(daemon)
        assert code == 503, why
        assert reason in why
        assert daemon.get("/readyz")[0] == 503
        assert any(reason in each for each in daemon.status()["problems"])
        assert daemon.process.poll() is None, daemon.tail()
        time.sleep(0.1)
    assert len(daemon.lines()) - lines <= 2 * for_s, daemon.tail()


def goes_on(daemon: Daemon) -> float:
    """Seconds from now until it is well and has written."""
    began = time.monotonic()
    connection = sqlite3.connect(f"file:{daemon.place.database}?mode=ro", uri=True)
    before = connection.execute("PRAGMA data_version").fetchone()
    daemon.wait_until("it is well again", lambda: health(daemon)[0] == 200)
    daemon.wait_until(
        "it has written", lambda: connection.execute("PRAGMA data_version").fetchone() != before
    )
    connection.close()
    return time.monotonic() - began


def assert_nothing_was_lost(place: Place, other: Place, root: Path) -> None:
    place.verify()
    assert all(each["status"] != "running" for each in place.ask("status")["jobs"])
    other.configure()
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export()


@pytest.mark.fault(11, "the disk is full: at the first index, at a change, at the start")
def test_a_full_disk_is_waited_out_and_nothing_is_lost(
    small: SmallDisk, other: Place, reached: Reached
) -> None:
    root = write_modules(small.folder / "root", 0, 50)
    small.configure(root)
    with running(small) as daemon:
        wait_until_degraded(daemon, "full")
        assert_stays_degraded(daemon, "full", for_s=5.0)
        small.resize(64 * KIB)
        reached("first index: goes on after there is space", goes_on(daemon), BACK_S, "s")
        daemon.wait_until_settled()
        small.fill()
        write_modules(root, 40, 120)
        wait_until_degraded(daemon, "full")
        assert_stays_degraded(daemon, "full", for_s=2.0)
        small.make_room()
        reached("changes: goes on after there is space", goes_on(daemon), BACK_S, "s")
        daemon.wait_until("it knows them", lambda: daemon.status()["workspaces"][0]["files"] == 120)
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    small.fill()
    write_modules(root, 100, 130)
    with running(small) as daemon:
        daemon.wait_until("it says why it waits", daemon.lines)
        time.sleep(2.0)  # nothing else happens
        assert daemon.process.poll() is None
        assert ["No space left" in each["error"] for each in daemon.lines()] == [True]
        began = time.monotonic()
        small.make_room()
        daemon.wait_until_up()
        reached("start: serves after there is space", time.monotonic() - began, BACK_S, "s")
        daemon.wait_until("it knows them", lambda: daemon.status()["workspaces"][0]["files"] == 130)
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    assert_nothing_was_lost(small, other, root)


@pytest.mark.fault(11, "the disk is full and the daemon is told to end")
def test_sigterm_on_a_full_disk_is_heard(small: SmallDisk, other: Place, reached: Reached) -> None:
    root = write_modules(small.folder / "root", 0, 50)
    small.configure(root)
    with running(small) as daemon:
        wait_until_degraded(daemon, "full")
        code, took_s = daemon.terminate()
        assert code == 0
        reached("ends while it can't write", took_s, 5.0, "s")
    small.fill()
    with running(small) as daemon:
        daemon.wait_until("it says why it waits", daemon.lines)
        code, took_s = daemon.terminate()
        assert code == 0
        reached("ends while it waits for space to start", took_s, 1.0, "s")
        assert small.processes() == {}
    small.resize(64 * KIB)
    with running(small) as daemon:
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    assert_nothing_was_lost(small, other, root)


@contextmanager
def failing_writes(daemon: Daemon) -> Iterator[None]:
    """Every write to the database fails with EIO, for as long as this lasts."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    calls = "pwrite64,fdatasync,fsync"
    chosen = ["-e", f"trace={calls}", "-e", f"inject={calls}:error=EIO"]
    strace = subprocess.Popen(
        ["strace", "-f", "-q", *chosen, "-o", "/dev/null", "-p", str(daemon.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_until("strace is there", lambda: strace.poll() is not None or is_traced(daemon), 10.0)
        if strace.poll() is not None:
            assert strace.stderr is not None
            pytest.skip(f"strace can't be used here: {strace.stderr.read().strip()}")
        yield
    finally:
        strace.send_signal(signal.SIGINT)
        strace.communicate(timeout=10)


def is_traced(daemon: Daemon) -> bool:
    """Whether another process follows every thread."""
    return all(
        "TracerPid:\t0\n" not in (task / "status").read_text()
        for task in Path(f"/proc/{daemon.pid}/task").iterdir()
    )


@pytest.mark.fault(11, "every write fails with EIO")
def test_a_failing_disk_is_waited_out_and_nothing_is_lost(
    place: Place, other: Place, reached: Reached
) -> None:
    root = write_modules(place.folder / "root", 0, 30)
    place.configure(root)
    with running(place) as daemon:
        daemon.wait_until(
            "it enriches",
            lambda: (
                daemon.answers()
                and any(each["requests"] > 50 for each in daemon.status()["servers"])
            ),
        )
        with failing_writes(daemon):
            write_modules(root, 20, 50)
            wait_until_degraded(daemon, "I/O error")
            assert_stays_degraded(daemon, "I/O error", for_s=5.0)
        reached("goes on after the disk does", goes_on(daemon), BACK_S, "s")
        daemon.wait_until("it knows them", lambda: daemon.status()["workspaces"][0]["files"] == 50)
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    assert_nothing_was_lost(place, other, root)


@contextmanager
def locked(place: Place) -> Iterator[None]:
    """Another process has the database to itself."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, place.database],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        yield
    finally:
        holder.communicate("\n", timeout=10)


class Manager:
    """Hears the watchdog, as systemd would."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(os.fspath(path))
        self._socket.setblocking(False)
        self.path = path
        self.heard_at = time.monotonic()
        self.longest_s = 0.0

    def listen(self) -> None:
        """Take what has come, and know the longest silence."""
        with suppress(BlockingIOError):
            while message := self._socket.recv(4096):
                if b"WATCHDOG=1" in message:
                    self.heard_at = time.monotonic()
        self.longest_s = max(self.longest_s, time.monotonic() - self.heard_at)

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    own = Manager(tmp_path / "n")
    yield own
    own.close()


def at_p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


@pytest.mark.fault(12, "locked for 30 s while it indexes and enriches")
def test_a_locked_database_is_waited_out_and_nothing_is_lost(
    place: Place, other: Place, manager: Manager, reached: Reached
) -> None:
    root = write_modules(place.folder / "root", 0, 60)
    place.configure(root)
    watched = {
        "NOTIFY_SOCKET": os.fspath(manager.path),
        "WATCHDOG_USEC": str(int(WATCHDOG_S * 1e6)),
    }
    took_ms: list[float] = []
    with running(place, watched) as daemon:
        daemon.wait_until_up()
        daemon.wait_until(
            "it enriches",
            lambda: any(each["requests"] > 50 for each in daemon.status()["servers"]),
        )
        manager.listen()
        manager.longest_s = 0.0
        with locked(place):
            until = time.monotonic() + LOCKED_S
            write_modules(root, 50, 80)
            wait_until_degraded(daemon, "locked")
            asked = 0
            while time.monotonic() < until:
                began = time.monotonic()
                code, body = daemon.get("/healthz")
                took_ms.append((time.monotonic() - began) * 1e3)
                assert (code, b"locked" in body) == (503, True), body
                manager.listen()
                if len(took_ms) % 100 == 0:
                    asked += 1
                    assert any("locked" in each for each in daemon.status()["problems"])
                    assert daemon.get("/metrics")[0] == 200
                    (root / "m70.py").write_text(module(70, 80 + asked))
                time.sleep(SAMPLE_S)
        reached("goes on after it is free", goes_on(daemon), BACK_S, "s")
        reached("GET /healthz meanwhile, p99", at_p99(took_ms), LAG_MS, "ms", times=len(took_ms))
        reached("longest silence of the watchdog", manager.longest_s, WATCHDOG_S, "s")
        assert asked > 10
        (root / "m70.py").write_text(module(70, 80))
        assert place.run("wait", "--timeout", "60").code == 0
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    assert_nothing_was_lost(place, other, root)
