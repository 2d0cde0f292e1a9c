"""What the daemon tells systemd, on a socket that is the test's: sd_notify(3)."""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.running import Daemon, Place, running, write_tree

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"
Message = dict[str, str]


class Manager:
    """Listens as systemd would."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.heard: list[Message] = []

    def next(self, timeout_s: float = 20.0) -> Message:
        """The next datagram."""
        self._socket.settimeout(timeout_s)
        text = self._socket.recv(65536).decode()
        message = dict(line.split("=", 1) for line in text.splitlines())
        self.heard.append(message)
        return message

    def until(self, wanted: Callable[[Message], bool]) -> Message:
        """The next datagram of this kind."""
        while not wanted(message := self.next()):
            pass
        return message

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    own = Manager(tmp_path / "n")
    yield own
    own.close()


@pytest.fixture
def daemon(place: Place, manager: Manager) -> Iterator[Daemon]:
    place.configure(write_tree(place.folder / "one", {"one.py": GOOD}))
    with running(
        place, {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "1000000"}
    ) as started:
        yield started


def test_ready_is_told_only_when_the_socket_answers(daemon: Daemon, manager: Manager) -> None:
    first = manager.next()
    assert first.get("READY") == "1", first
    assert daemon.answers()
    assert daemon.get("/readyz")[0] == 200


def test_the_status_line_says_how_far_it_is(daemon: Daemon, manager: Manager) -> None:
    manager.until(lambda each: "READY" in each)
    text = manager.until(lambda each: "STATUS" in each)["STATUS"]
    assert "workspaces" in text
    assert "symbols" in text


def test_the_watchdog_is_fed_twice_in_its_time(daemon: Daemon, manager: Manager) -> None:
    manager.until(lambda each: each.get("WATCHDOG") == "1")
    began = time.monotonic()
    for _ in range(4):
        manager.until(lambda each: each.get("WATCHDOG") == "1")
    assert time.monotonic() - began < 4.0  # 2 s, with room for a loaded machine


def test_a_reload_is_told_with_the_time_it_began_and_ends_with_ready(
    daemon: Daemon, manager: Manager
) -> None:
    manager.until(lambda each: "READY" in each)
    before_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    daemon.process.send_signal(signal.SIGHUP)
    told = manager.until(lambda each: each.get("RELOADING") == "1")
    after_us = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert before_us <= int(told["MONOTONIC_USEC"]) <= after_us
    assert "STATUS" not in manager.until(lambda each: each.get("READY") == "1")


def test_a_refused_reload_ends_with_ready_and_the_reason(
    daemon: Daemon, place: Place, manager: Manager
) -> None:
    manager.until(lambda each: "READY" in each)
    place.config.write_text("[monitor]\nintervall_s = 5\n")
    daemon.process.send_signal(signal.SIGHUP)
    manager.until(lambda each: each.get("RELOADING") == "1")
    told = manager.until(lambda each: each.get("READY") == "1")
    assert "monitor.intervall_s" in told["STATUS"]


def test_stopping_is_told_before_it_ends(daemon: Daemon, manager: Manager) -> None:
    manager.until(lambda each: "READY" in each)
    daemon.process.send_signal(signal.SIGTERM)
    manager.until(lambda each: each.get("STOPPING") == "1")
    assert daemon.process.wait(10) == 0


def test_no_server_can_speak_for_the_daemon(daemon: Daemon, place: Place, manager: Manager) -> None:
    daemon.wait_until_settled()
    others = [pid for pid in place.processes() if pid != daemon.pid]
    assert others
    for pid in others:
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert b"NOTIFY_SOCKET" not in environment
        assert b"WATCHDOG" not in environment


def test_a_daemon_that_can_not_start_never_says_that_it_is_ready(
    place: Place, manager: Manager
) -> None:
    place.config.write_text("[monitor]\nintervall_s = 5\n")
    with running(place, {"NOTIFY_SOCKET": str(manager.path)}) as daemon:
        assert daemon.process.wait(10) == 78
        with pytest.raises(TimeoutError):
            manager.next(timeout_s=0.2)
