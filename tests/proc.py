"""What Linux says of a living process, see proc(5); ``pid`` may be ``"self"``."""

from __future__ import annotations

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def memory_bytes(pid: int | str, key: str = "VmRSS") -> int:
    """What it has resident; ``VmHWM`` is the most since ``reset_peak``, ``RssAnon`` no files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"nothing is said of {key} of process {pid}: it has ended")


def memory_mib(pid: int | str, key: str = "VmRSS") -> float:
    """As ``memory_bytes``."""
    return memory_bytes(pid, key) / 2**20


def reset_peak(pid: int | str) -> None:
    """The most that it ever had is what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def cpu_s(pid: int | str) -> float:
    """Time on a processor so far, that of children left out."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def switches(pid: int | str) -> int:
    """How often it went to sleep of its own accord, over all of its threads."""
    return sum(
        int(line.split()[1])
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text().splitlines()
        if line.startswith("voluntary_ctxt_switches:")
    )


def descriptors(pid: int | str) -> int:
    """How many files it holds open."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int | str) -> int:
    """How many it consists of."""
    return len(list(Path(f"/proc/{pid}/task").iterdir()))
