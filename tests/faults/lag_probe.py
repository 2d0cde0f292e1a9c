"""Becomes enrichd with an event loop that notes how late it is: ``lag_probe.py FILE enrichd ...``.

What it noted is in FILE when it ends: the milliseconds of every sample, as a JSON array.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from enrichd.cli.main import main

EVERY_S = 0.005
_late_ms: list[float] = []


class _Loop(asyncio.SelectorEventLoop):
    """Wakes up again and again, and compares with when it wanted to."""

    def __init__(self) -> None:
        super().__init__()
        self.call_later(EVERY_S, self._note, self.time() + EVERY_S)

    def _note(self, due: float) -> None:
        now = self.time()
        _late_ms.append((now - due) * 1e3)
        self.call_at(now + EVERY_S, self._note, now + EVERY_S)


class _Policy(asyncio.DefaultEventLoopPolicy):
    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return _Loop()


if __name__ == "__main__":
    file = sys.argv.pop(1)
    sys.argv.pop(1)  # the command that this stands for
    asyncio.set_event_loop_policy(_Policy())
    try:
        main()
    finally:
        Path(file).write_text(json.dumps(_late_ms))
