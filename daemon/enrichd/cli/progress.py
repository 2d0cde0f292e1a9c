"""How far an indexing run is, on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from enrichd.clock import Clock, SystemClock
from enrichd.report import NoProgress, Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

_LEAST_PAUSE_S = 2.0


def progress_for(*, quiet: bool, as_json: bool) -> Progress:
    """What suits stderr and what was asked for."""
    if quiet:
        return NoProgress()
    if sys.stderr.isatty():
        return Bar()
    return NoProgress() if as_json else Lines(SystemClock())


class Lines:
    """Plain lines: one when a stage begins, then at most one each 2 s or each tenth."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stage = ""
        self._told_at = 0.0
        self._told_tenth = 0

    def stage(self, name: str, total: int | None) -> None:
        self._stage = name
        self._told_at, self._told_tenth = self._clock.monotonic(), 0
        self.message(f"{name}: {total:,} to do" if total else name)

    def advance(self, done: int, total: int | None, current: str = "") -> None:
        tenth = done * 10 // total if total else 0
        rested = self._clock.monotonic() - self._told_at >= _LEAST_PAUSE_S
        if not rested and tenth <= self._told_tenth:
            return
        self._told_at, self._told_tenth = self._clock.monotonic(), tenth
        amount = f"{done:,} of {total:,} ({done / total:.0%})" if total else f"{done:,}"
        self.message(f"{self._stage}: {amount}" + (f", {current}" if current else ""))

    def message(self, text: str) -> None:
        click.echo(text, err=True)

    def close(self) -> None:
        """Nothing is left open."""


class Bar:
    """A bar on the terminal; it is gone when the run is over."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import (  # noqa: PLC0415
            BarColumn,
            MofNCompleteColumn,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )
        from rich.progress import Progress as RichProgress  # noqa: PLC0415

        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[current]}", markup=False, style="dim"),
            console=Console(stderr=True),
            transient=True,
        )
        self._task: TaskID | None = None

    def stage(self, name: str, total: int | None) -> None:
        self._bar.start()
        if self._task is not None:
            self._bar.remove_task(self._task)
        self._task = self._bar.add_task(name, total=total, current="")

    def advance(self, done: int, total: int | None, current: str = "") -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=done, total=total, current=current)

    def message(self, text: str) -> None:
        self._bar.console.print(text, markup=False, highlight=False)

    def close(self) -> None:
        self._bar.stop()
