"""The unit under the real systemd, with the whole sandbox, on a machine of the test's own."""

from __future__ import annotations

import fcntl
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.machine import TREE, Machine, NoMachine
from tests.figures import Reached
from tests.running import wait_until

STARTS = 3
WATCHDOG_S = 3.0
RESTART_S = 1.0
START_S = 5.0
FEEDINGS = 4
FOLDERS = ("/var/lib/enrichd", "/var/cache/enrichd", "/run/enrichd")
GOOD = {"one.py": "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"}
CONFIG = f'[[workspace]]\nname = "tree"\nroot = "{TREE}"\n'
# A signal's handler runs between two steps of the loop, which then stands still while all the
# daemon's other threads go on.
BLOCKER = """
import signal, time
signal.signal(signal.SIGUSR1, lambda *_: time.sleep(3600))
"""
DROP_IN = f"""
[Service]
StandardOutput=append:/run/enrichd.log
StandardError=append:/run/enrichd.log
WatchdogSec={WATCHDOG_S}
RestartSec={RESTART_S}
Environment=PYTHONPATH=/opt/blocker
"""


@pytest.fixture(scope="module")
def booted() -> Iterator[Machine]:
    try:
        machine = Machine()
    except NoMachine as reason:
        pytest.skip(f"systemd can't be booted here: {reason}")
    try:
        machine.path("/opt/blocker").mkdir()
        machine.path("/opt/blocker/sitecustomize.py").write_text(BLOCKER)
        machine.write_tree(GOOD)
        machine.drop_in(DROP_IN)
        yield machine
    finally:
        machine.close()


@pytest.fixture
def machine(booted: Machine) -> Iterator[Machine]:
    booted.configure(CONFIG)
    yield booted
    booted.run("systemctl", "stop", "enrichd")
    booted.systemctl("reset-failed")
    assert booted.processes() == []


def serves(machine: Machine) -> bool:
    try:
        return machine.get("/readyz")[0] == 200
    except OSError:
        return False


def is_whole(machine: Machine) -> bool:
    status = json.loads(machine.get("/api/v1/status")[1])
    return bool(status["workspaces"]) and all(
        each["indexed_at"] and each["orphans"] == 0 and each["edges"].get("calls") == 1
        for each in status["workspaces"]
    )


@pytest.mark.fault(17, "started and looked at, again and again: is it READY before it serves?")
def test_ready_means_serving(machine: Machine, reached: Reached) -> None:
    states, looks, too_early = set(), 0, 0
    for _ in range(STARTS):
        machine.systemctl("start", "--no-block", "enrichd")
        state, until = "", time.monotonic() + 30.0
        while state != "active":
            assert time.monotonic() < until, machine.log()
            state = machine.show("ActiveState")["ActiveState"]
            states.add(state)
            looks += 1
            too_early += state == "active" and not serves(machine)
            assert state in {"inactive", "activating", "active"}, machine.log()
        machine.systemctl("stop", "enrichd")
    assert "activating" in states
    reached("READY and not serving", too_early, 0, times=looks)


@pytest.mark.fault(17, "the event loop stands still, and all other threads go on")
def test_a_blocked_loop_is_restarted_by_the_watchdog(machine: Machine, reached: Reached) -> None:
    machine.systemctl("start", "enrichd")
    wait_until("the graph is whole", lambda: is_whole(machine), more=machine.log)
    fed: set[str] = set()
    while len(fed) < FEEDINGS:
        shown = machine.show("WatchdogTimestampMonotonic", "ActiveState", "NRestarts")
        fed.add(shown["WatchdogTimestampMonotonic"])
        assert (shown["ActiveState"], shown["NRestarts"]) == ("active", "0")
    before = machine.processes()
    assert len(before) > 1, "there is no language server"
    began = time.monotonic()
    machine.systemctl("kill", "--kill-who=main", "--signal=USR1", "enrichd")
    wait_until(
        "the watchdog bites", lambda: machine.show("Result")["Result"] == "watchdog", WATCHDOG_S + 2
    )
    reached("from standing still to being killed", time.monotonic() - began, WATCHDOG_S + 1, "s")
    wait_until("it serves again", lambda: serves(machine), more=machine.log)
    again_s = time.monotonic() - began
    assert machine.show("NRestarts", "ActiveState") == {"NRestarts": "1", "ActiveState": "active"}
    assert set(before).isdisjoint(machine.processes())
    wait_until("the graph is whole", lambda: is_whole(machine), more=machine.log)
    bound_s = WATCHDOG_S + RESTART_S + START_S
    reached("from standing still to serving again", again_s, bound_s, "s")


@pytest.mark.fault(17, "a configuration that can't work (exit 78), and a lock held (exit 75)")
def test_exit_78_is_not_restarted_and_exit_75_is(machine: Machine, reached: Reached) -> None:
    machine.configure("[monitor]\nintervall_s = 5\n")
    assert machine.run("systemctl", "start", "enrichd").returncode != 0
    seen = ("ActiveState", "SubState", "Result", "ExecMainStatus", "NRestarts")
    wanted = dict(zip(seen, ("failed", "failed", "exit-code", "78", "0"), strict=True))
    time.sleep(2 * RESTART_S)  # what must not happen can't be awaited
    assert machine.show(*seen) == wanted
    assert machine.log().count("intervall_s") == 1
    reached("restarts after exit 78", int(machine.show("NRestarts")["NRestarts"]), 0)
    machine.configure(CONFIG)
    machine.systemctl("start", "enrichd")  # the database is made
    machine.systemctl("stop", "enrichd")
    with machine.path("/var/lib/enrichd/enrichd.db.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert machine.run("systemctl", "start", "enrichd").returncode != 0
        assert machine.show("ExecMainStatus", "SubState") == {
            "ExecMainStatus": "75",
            "SubState": "auto-restart",
        }
        began = time.monotonic()
    wait_until("it is started again", lambda: serves(machine), more=machine.log)
    reached("from exit 75 to serving", time.monotonic() - began, RESTART_S + START_S, "s")


@pytest.mark.fault(17, "each promise of the sandbox, looked for in the kernel")
def test_the_whole_sandbox_is_in_force(machine: Machine, reached: Reached) -> None:
    """All but TasksMax and LimitNOFILE, which a container may have to leave lower."""
    machine.systemctl("start", "enrichd")
    wait_until("a language server runs", lambda: len(machine.processes()) > 1, more=machine.log)
    processes = machine.processes()
    broken = [
        f"{promise} of {pid}"
        for pid in processes
        for promise, kept in sandbox(machine, pid).items()
        if not kept
    ]
    assert broken == []
    reached("promises not kept", len(broken), 0, times=len(processes))


def sandbox(machine: Machine, pid: int) -> dict[str, bool]:
    """What the kernel says of one process, language servers too."""
    folder = machine.path(f"/proc/{pid}")
    status = dict(
        line.split(":\t", 1)
        for line in (folder / "status").read_text().splitlines()
        if ":\t" in line
    )
    mounts = {
        line.split()[4]: line.split()[5].split(",")
        for line in (folder / "mountinfo").read_text().splitlines()
    }
    limits = (folder / "limits").read_text().splitlines()
    (core_limits,) = (each.split()[4:6] for each in limits if each.startswith("Max core file size"))
    first = machine.path("/proc/1/ns")

    def may_write(path: str) -> bool:
        over = [each for each in (path, *map(str, Path(path).parents)) if each in mounts]
        return "rw" in mounts[over[0]]

    def own(kind: str) -> bool:
        return (folder / "ns" / kind).readlink() != (first / kind).readlink()

    return {
        "User": int(status["Uid"].split()[0]) == machine.uid("enrichd"),
        "NoNewPrivileges": status["NoNewPrivs"] == "1",
        "SystemCallFilter": status["Seccomp"] == "2",
        "CapabilityBoundingSet": int(status["CapBnd"], 16) == 0,
        "AmbientCapabilities": int(status["CapAmb"], 16) == 0,
        "PrivateUsers": own("user"),
        "ProtectHostname": own("uts"),
        "PrivateTmp": "/tmp" in mounts and "/var/tmp" in mounts,
        "PrivateDevices": "/dev" in mounts,
        "ProtectSystem": not any(map(may_write, ("/", "/etc", "/opt", "/var/lib"))),
        "StateDirectory, CacheDirectory": all(map(may_write, FOLDERS)),
        "ProtectHome": not may_write("/home") and not may_write("/root"),
        "ProtectControlGroups": not may_write("/sys/fs/cgroup"),
        "ProtectKernelTunables": not (may_write("/proc/sys") or may_write("/sys")),
        "LimitCORE": core_limits == ["0", "0"],
        "UMask": status["Umask"] == "0077",
        "Nice": (folder / "stat").read_text().rpartition(")")[2].split()[16] == "10",
    }
