"""What a program costs: wall and processor time, and memory with all that it starts."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import proc

from bench.reasons import reason

_LOOK_EVERY_S = 0.1


class Failed(Exception):
    """A program that was to be measured did not end well."""


@dataclass(frozen=True)
class Cost:
    """What a program that has ended came to."""

    wall_s: float
    cpu_s: float
    """With that of all that it started."""
    peak_bytes: int
    """Of it and all that it started, added up as resident."""
    own_peak_bytes: int
    out: bytes

    def __str__(self) -> str:
        mib = self.peak_bytes / 2**20
        return f"{self.wall_s:.1f} s wall, {self.cpu_s:.1f} s CPU, {mib:,.0f} MiB"


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path,
    environment: Mapping[str, str] | None = None,
    timeout_s: float,
    may_end_with: Sequence[int] = (0,),
) -> Cost:
    """Run it to its end; raises Failed, also when that does not come in time."""
    name = Path(command[0]).name
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [*map(str, command)],
            cwd=cwd,
            env=None if environment is None else dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        peak = own_peak = 0
        while True:
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            if time.perf_counter() - started > timeout_s:
                _kill_all(process.pid)
                process.wait()
                raise Failed(f"{name} did not end within {timeout_s:g} s")
            memory = {pid: _resident(pid) for pid in (process.pid, *descendants(process.pid))}
            peak = max(peak, sum(memory.values()))
            own_peak = max(own_peak, memory[process.pid])
            time.sleep(_LOOK_EVERY_S)
        wall_s = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode not in may_end_with:
            raise Failed(
                f"{name} ended with {process.returncode}: {reason(err.read(), out.read())}"
            )
        return Cost(wall_s, usage.ru_utime + usage.ru_stime, peak, own_peak, out.read())


def descendants(pid: int) -> list[int]:
    """All that came of a process and still lives, whatever session it is in."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            parents.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found: list[int] = []
    fresh = [pid]
    while fresh:
        fresh = [child for each in fresh for child in parents.get(each, ())]
        found += fresh
    return found


def _kill_all(pid: int) -> None:
    for each in (pid, *descendants(pid)):
        try:
            os.kill(each, 9)
        except ProcessLookupError:
            continue


def _resident(pid: int) -> int:
    try:
        return proc.memory_bytes(pid)
    except OSError:  # it has ended since it was found
        return 0
