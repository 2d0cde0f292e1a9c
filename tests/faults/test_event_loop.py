"""While very much is indexed, the event loop goes on: answers, signals, watchdogs wait for it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from tests.figures import Reached
from tests.running import Place, running, write_tree

PROBE = Path(__file__).with_name("lag_probe.py")
FILES = 1_700
SYMBOLS = 100_000
BOUND_MS = 20.0


def text(number: int) -> str:
    """A module of sixty symbols that use each other and others."""
    parts = [f"import os\nfrom m{(number + 1) % FILES} import f1 as other\n"]
    for each in range(50):
        if each % 10 == 0:
            parts.append(
                f"class C{each}:\n    size = {each}\n\n"
                f"    def m(self):\n        return self.size + f{each + 1}(1, 2)\n"
            )
        else:
            parts.append(
                f"def f{each}(a, b):\n    x = os.path.join(a, b)\n"
                f"    if x:\n        return f{each}(x, b)\n    return other(a)\n"
            )
    return "\n\n".join(parts)


@pytest.mark.fault(23, "100,000 symbols are indexed")
def test_the_event_loop_goes_on_while_very_much_is_indexed(place: Place, reached: Reached) -> None:
    root = write_tree(place.folder / "root", {f"m{n}.py": text(n) for n in range(FILES)})
    place.configure(
        root,
        more='[enrich.servers]\npython = "none"\n[[server]]\nname = "none"\n'
        'languages = ["python"]\ncommand = ["no-such-language-server"]',
    )
    notes = place.folder / "late.json"
    with running(place, under=[sys.executable, str(PROBE), str(notes)]) as daemon:
        daemon.wait_until_up()
        place.run("wait", "--timeout", "110", timeout_s=120)
        assert daemon.status()["workspaces"][0]["files"] == FILES
        symbols = daemon.status()["workspaces"][0]["symbols"]
        assert daemon.terminate()[0] == 0
    assert symbols >= SYMBOLS
    late_ms = sorted(json.loads(notes.read_text()))
    assert len(late_ms) > 500
    reached("late at p99", late_ms[len(late_ms) * 99 // 100], BOUND_MS, "ms", times=len(late_ms))
