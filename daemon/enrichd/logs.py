"""Logs: structured lines on stderr, JSON for machines, readable for people; none floods them."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from typing import Literal

import structlog
from structlog.typing import EventDict, WrappedLogger

MOST_ALIKE = 100
WINDOW_S = 60.0
"""Of lines with the same action, so many at most are written in that time."""

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}


def configure(
    level: Literal["debug", "info", "warning", "error"],
    format_: Literal["auto", "json", "console"],
    monotonic: Callable[[], float],
) -> None:
    """Set up the whole process; `auto` is console on a terminal, JSON elsewhere."""
    console = format_ == "console" or (format_ == "auto" and sys.stderr.isatty())
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if console
        else structlog.processors.JSONRenderer()
    )
    exceptions = [] if console else [structlog.processors.format_exc_info]
    structlog.configure(
        processors=[
            Repeats(monotonic),
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *exceptions,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Libraries log through the standard library; only what is wrong with them is of interest.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s: %(message)s")


class Repeats:
    """Leaves out lines when too many are alike, and says how many with the next one.

    ``monotonic`` gives seconds.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._windows: dict[object, tuple[float, int]] = {}
        """When it began, and how many there were since; actions are few."""

    def __call__(self, _: WrappedLogger, __: str, event: EventDict) -> EventDict:
        kind = event.get("action")
        if kind is None:
            return event
        now = self._monotonic()
        began, number = self._windows.get(kind, (now, 0))
        if now - began >= WINDOW_S:
            if number > MOST_ALIKE:
                event["left_out"] = number - MOST_ALIKE
            began, number = now, 0
        self._windows[kind] = began, number + 1
        if number >= MOST_ALIKE:
            raise structlog.DropEvent
        return event
