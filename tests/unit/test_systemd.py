"""The units: systemd understands every line, the sandbox is tight, restarts make sense."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest
from tests.figures import Reached

from enrichd.errors import ExitCode
from enrichd.settings import MonitorSettings

FOLDER = Path(__file__).parents[2] / "systemd"
SYSTEM, USER = FOLDER / "enrichd.service", FOLDER / "user" / "enrichd.service"
MAX_EXPOSURE = 15  # tenths
STOPS_WITHIN_S = 5

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not on this machine: the units are not checked by systemd itself",
)
both = pytest.mark.parametrize("unit", [SYSTEM, USER], ids=["system", "user"])


def settings(unit: Path) -> dict[str, list[str]]:
    found = defaultdict(list)
    for line in unit.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found[key].append(value)
    return found


def analyze(*arguments: str, runtime: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
    )


@pytest.mark.fault(17, "systemd-analyze verify: what it says about a unit")
@needs_systemd
@both
def test_systemd_understands_every_line(unit: Path, tmp_path: Path, reached: Reached) -> None:
    # It exits 0 on an unknown key, so silence is what tells; the program needn't be installed.
    copy = tmp_path / unit.name
    lines = unit.read_text().splitlines()
    copy.write_text(
        "\n".join(
            "ExecStart=/bin/true" if line.startswith("ExecStart=") else line for line in lines
        )
    )
    scope = "--user" if unit == USER else "--system"
    done = analyze(scope, "verify", "--recursive-errors=no", str(copy), runtime=tmp_path)
    assert (done.stdout, done.stderr) == ("", "")
    reached(f"words about the unit of the {scope.removeprefix('--')}", len(done.stdout), 0)


@pytest.mark.fault(17, "systemd-analyze security: how exposed the service is")
@needs_systemd
def test_the_service_is_exposed_at_most_1_5(tmp_path: Path, reached: Reached) -> None:
    done = analyze(
        "security", "--offline=true", f"--threshold={MAX_EXPOSURE}", str(SYSTEM), runtime=tmp_path
    )
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    level = re.search(r"exposure level for enrichd.service: ([\d.]+)", done.stdout)
    assert level is not None, done.stdout
    reached("exposure", float(level[1]), MAX_EXPOSURE / 10)


@both
def test_a_configuration_that_can_not_work_is_not_restarted(unit: Path) -> None:
    (codes,) = settings(unit)["RestartPreventExitStatus"]
    prevented = {int(code) for code in codes.split()}
    assert prevented == {ExitCode.USAGE, ExitCode.PERMISSION, ExitCode.CONFIG}
    assert settings(unit)["Restart"] == ["on-failure"]


@both
def test_a_lock_or_a_full_disk_is_tried_again_for_ever(unit: Path) -> None:
    assert settings(unit)["StartLimitIntervalSec"] == ["0"]
    assert float(settings(unit)["RestartSec"][0]) >= 1


@both
def test_the_watchdog_waits_for_several_ticks_of_the_monitor(unit: Path) -> None:
    (allowed_s,) = settings(unit)["WatchdogSec"]
    assert float(allowed_s) >= 4 * MonitorSettings().interval_s


@both
def test_the_daemon_ends_its_language_servers_itself_and_what_is_left_is_killed(unit: Path) -> None:
    assert settings(unit)["KillMode"] == ["mixed"]
    assert float(settings(unit)["TimeoutStopSec"][0]) >= 2 * STOPS_WITHIN_S


@both
def test_only_the_daemon_may_say_that_it_is_ready(unit: Path) -> None:
    assert settings(unit)["Type"] == ["notify"]
    assert settings(unit)["NotifyAccess"] == ["main"]
    assert settings(unit)["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


@both
def test_language_servers_made_of_node_can_start(unit: Path) -> None:
    assert "MemoryDenyWriteExecute" not in settings(unit)
    assert "ProcSubset" not in settings(unit)


def test_the_units_are_explained_and_can_be_installed() -> None:
    readme = (FOLDER / "README.md").read_text()
    for unit in (SYSTEM, USER):
        assert f"systemd/{unit.relative_to(FOLDER)}" in readme
        assert settings(unit)["WantedBy"]
