"""The daemon is killed while its language server and a parser are at work: nobody is left behind.

ENRICHD_FAULT_ROUNDS   how many times (20)
ENRICHD_FAULT_SEED     to draw the same instants again; a failure tells it
"""

from __future__ import annotations

import os
import random
import time

import pytest
from tests.faults.connection import SEED
from tests.figures import Reached
from tests.running import Place, pygls_server, running, wait_until, write_tree

ROUNDS = int(os.environ.get("ENRICHD_FAULT_ROUNDS", "20"))
END_BUDGET_S = 1.0
PATIENCE_S = 20.0
LONG_CHAIN = 16_000
"""The parser is at such a file for seconds: its time grows with the square of the depth."""


def is_server(command: str) -> bool:
    return command.endswith("/ty server") or "pygls_server.py" in command


def is_parser(command: str) -> bool:
    return command.endswith("-m enrichd.index.worker")


def both_work(place: Place) -> bool:
    commands = place.processes().values()
    return any(map(is_server, commands)) and any(map(is_parser, commands))


@pytest.mark.parametrize(
    "server",
    [
        pytest.param(name, marks=pytest.mark.fault(8, f"killed with {name} and a parser at work"))
        for name in ("ty", "pygls")
    ],
)
def test_a_killed_daemon_leaves_no_process_behind(
    place: Place, server: str, reached: Reached
) -> None:
    chance = random.Random(SEED)
    files = {f"m{n}.py": f"def f{n}():\n    return f{n}()\n" for n in range(5)}
    root = write_tree(place.folder / "root", files)
    place.configure(root, more="" if server == "ty" else pygls_server(delay_s=0.05))
    took: list[float] = []
    for number in range(ROUNDS // 2):
        later_s = chance.uniform(0.0, 0.3)
        with running(place) as daemon:
            daemon.wait_until(
                "a language server runs", lambda: any(map(is_server, place.processes().values()))
            )
            long = root / "long.py"
            long.write_text("x = a" + ".b" * (LONG_CHAIN + number) + "\n")
            daemon.wait_until("a parser works, too", lambda: both_work(place))
            time.sleep(later_s)
            assert both_work(place), f"round {number} of seed {SEED}"
            killed_at = time.monotonic()
            daemon.kill()
            wait_until("nobody is left", lambda: not place.processes(), PATIENCE_S)
            took.append(time.monotonic() - killed_at)
            long.unlink()
    what = f"until the last process is gone (seed {SEED})"
    reached(what, max(took), END_BUDGET_S, "s", times=len(took))
