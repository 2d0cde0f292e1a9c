"""What a daemon costs that has nothing to do, with the whole of Django loaded."""

from __future__ import annotations

import time

from tests import proc
from tests.repositories import DJANGO
from tests.running import running

from bench.figures import Figure, Task
from bench.indexed import place_for
from bench.trees import unpacked

_SETTLE_S = 600.0
_WATCH_S = 65.0  # longer than a round of looking at every file
_CALM_S = 125.0  # what was under way comes to its end, and memory is given back


def measure(task: Task) -> list[Figure]:
    """Per cent of one core and wake-ups over a minute; the daemon's own memory."""
    place = place_for(unpacked(DJANGO), served=True)
    with running(place) as daemon:
        task.say("idle: a daemon indexes and enriches django")
        daemon.wait_until_settled(timeout_s=_SETTLE_S)
        busiest = proc.memory_mib(daemon.pid, "VmHWM")
        task.say("idle: calm")
        time.sleep(_CALM_S)
        task.say("idle: watched")
        cpu_s, wakes, started = (
            proc.cpu_s(daemon.pid),
            proc.switches(daemon.pid),
            time.monotonic(),
        )
        time.sleep(_WATCH_S)
        over_s = time.monotonic() - started
        share = 100 * (proc.cpu_s(daemon.pid) - cpu_s) / over_s
        a_minute = (proc.switches(daemon.pid) - wakes) / over_s * 60
        memory = proc.memory_mib(daemon.pid)
        daemon.terminate()
    return [
        Figure("idle", "share of one core", share, "%", budget=0.2, note=f"over {over_s:.0f} s"),
        Figure("idle", "wake-ups", a_minute, "/min"),
        Figure(
            "idle",
            "the daemon's own memory, django loaded",
            memory,
            "MiB",
            budget=150,
            note=f"resident, after it has indexed and enriched django itself; peak {busiest:.0f}",
        ),
    ]
