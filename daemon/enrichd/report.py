"""How work tells of itself: its progress while it goes on, its report at the end."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol

from msgspec import Struct

from enrichd_tracker.jobs import Job


class Progress(Protocol):
    """Whoever shows how far a run is. One who raises, or takes too long, is told nothing more."""

    def stage(self, name: str, total: int | None) -> Awaitable[None] | None:
        """Another stage begins; ``total`` is None while nobody knows how much there is."""
        ...

    def advance(self, done: int, total: int | None, current: str = "") -> Awaitable[None] | None:
        """How much of the stage is done, and what is worked on."""
        ...

    def message(self, text: str) -> None:
        """Something worth a line."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class NoProgress:
    """Shows nothing."""

    def stage(self, name: str, total: int | None) -> None:
        pass

    def advance(self, done: int, total: int | None, current: str = "") -> None:
        pass

    def message(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


class IndexReport(Struct, frozen=True, kw_only=True):
    """What `enrichd index` came to."""

    schema_version: int = 1
    workspace: str
    root: str
    files: int
    files_changed: int
    files_removed: int | None
    """None where a daemon did it, which does not count them."""
    symbols: int
    edges: dict[str, int]
    outcomes: dict[str, int]
    parse: dict[str, int]
    orphans: int
    backing_off: int
    skipped: int
    seconds: float
    parse_seconds: float
    enrich_seconds: float
    requests: int
    server: str | None
    """Name and version of the servers that answered."""
    complete: bool
    """Nothing is left to find out, and nothing failed for good."""
    nothing_to_do: bool
    problems: list[str]
    """Why it is not complete, one sentence each, with what to do about it."""
    job: Job | None


class WorkspaceWait(Struct, frozen=True, kw_only=True):
    """How one workspace stands when the waiting ends."""

    name: str
    current: bool
    """All changes are indexed, and every symbol that can be asked about has its answers."""
    pending_changes: int
    orphans: int
    backing_off: int
    skipped: int


class WaitReport(Struct, frozen=True, kw_only=True):
    """What `enrichd wait` came to."""

    schema_version: int = 1
    current: bool
    """Everything is as far as it can be just now."""
    complete: bool
    """And nothing is left to find out, and nothing failed for good."""
    timed_out: bool
    seconds: float
    workspaces: list[WorkspaceWait]
    problems: list[str]
    """Why it is not complete, one sentence each, with what to do about it."""
