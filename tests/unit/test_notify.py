"""What systemd is told, and that telling it can never hurt."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from enrichd.clock import FakeClock
from enrichd.notify import Notifier, watchdog_interval_s

Said = Callable[[], list[str]]


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Said]]:
    """The address of a socket, and what has come in on it, one list of lines a datagram."""
    address = str(tmp_path / "notify")
    if request.param == "abstract":
        address = f"@enrichd-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address.replace("@", "\0", 1))
        ear.setblocking(False)
        yield address, lambda: ear.recv(4096).decode().split("\n")


def test_each_message_is_one_datagram(manager: tuple[str, Said]) -> None:
    address, said = manager
    clock = FakeClock()
    clock.advance(12.5)
    notifier = Notifier(address, clock)

    notifier.ready("3 workspaces")
    assert said() == ["READY=1", "STATUS=3 workspaces"]
    notifier.ready()
    assert said() == ["READY=1"]
    notifier.status("120 orphans")
    assert said() == ["STATUS=120 orphans"]
    notifier.watchdog()
    assert said() == ["WATCHDOG=1"]
    notifier.reloading()
    assert said() == ["RELOADING=1", "MONOTONIC_USEC=12500000"]
    notifier.stopping()
    assert said() == ["STOPPING=1"]
    notifier.starting("no space left", 60.0)
    assert said() == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=no space left"]


def test_a_status_can_not_smuggle_in_another_message(manager: tuple[str, Said]) -> None:
    address, said = manager
    Notifier(address, FakeClock()).status("indexing a\nSTOPPING=1")
    assert said() == ["STATUS=indexing a STOPPING=1"]


@pytest.mark.parametrize(
    "address",
    [
        None,  # not under systemd
        "",
        "/nonexistent/notify",  # nobody is there
        "/" + "x" * 200,  # longer than an address can be
        "/nul\0inside",
        "relative",
    ],
)
def test_nothing_is_ever_raised(address: str | None) -> None:
    notifier = Notifier(address, FakeClock())
    notifier.ready("\udcff")
    notifier.status("x")
    notifier.status("")
    notifier.watchdog()
    notifier.reloading()
    notifier.stopping()


def test_a_manager_that_does_not_read_never_blocks(manager: tuple[str, Said]) -> None:
    notifier = Notifier(manager[0], FakeClock())
    for _ in range(2000):
        notifier.watchdog()


def test_children_do_not_inherit_the_socket() -> None:
    environ = {
        "NOTIFY_SOCKET": "/run/notify",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "PATH": "/bin",
    }
    Notifier.take(environ, FakeClock())
    assert environ == {"PATH": "/bin"}


def test_what_was_taken_out_is_where_it_speaks_to(manager: tuple[str, Said]) -> None:
    address, said = manager
    Notifier.take({"NOTIFY_SOCKET": address}, FakeClock()).watchdog()
    assert said() == ["WATCHDOG=1"]


@pytest.mark.parametrize(
    ("environ", "interval_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),  # meant for somebody else
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "me"}, None),
    ],
)
def test_the_watchdog_is_fed_twice_in_the_time_allowed(
    environ: dict[str, str], interval_s: float | None
) -> None:
    assert watchdog_interval_s(environ) == interval_s
