"""One workspace that is kept indexed: what changed in it, and how far the looks at it are."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from enrichd.clock import Clock
from enrichd.errors import EnrichdError
from enrichd.index.job import JobRecord
from enrichd.index.languages import suffixes
from enrichd.index.run import IndexOptions
from enrichd.index.survey import Tree
from enrichd.index.walk import patterns
from enrichd.watch.changes import Changes, Watching
from enrichd.watch.filter import Filter
from enrichd.watch.repository import Repository
from enrichd.watch.vigil import Vigil
from enrichd.watch.watcher import Events, Watcher
from enrichd_tracker.model import Workspace


class Kept:
    """Also the one who listens to the workspace's watcher."""

    def __init__(
        self,
        workspace: Workspace,
        clock: Clock,
        options: Callable[[Workspace], IndexOptions],
        *,
        vigil: Vigil,
        on_news: Callable[[], None],
    ) -> None:
        self.workspace = workspace
        self.changes = Changes()
        self.lock = asyncio.Lock()
        """Held by the run that is under way."""
        self.tree: Tree | None = None
        self.seen = False
        """Whether its files have been looked at since it was taken up."""
        self.watcher: Watcher | None = None
        self.watch_problem = ""
        self.vigil = vigil
        self.ended = 0
        """The number of the last look that came to its end."""
        self.failed: tuple[int, EnrichdError] | None = None
        """The number of the last look that did not, and why."""
        self.paths_to_look_at: frozenset[str] | None = None
        self.record: JobRecord | None = None
        """Of the run that is under way."""
        self.task: asyncio.Task[Any] | None = None
        """In which it is."""
        self._begun = 0
        self._clock = clock
        self._options = options
        self._on_news = on_news
        self._repository = Repository(Path(workspace.root))

    @contextmanager
    def turn(self, record: JobRecord) -> Iterator[None]:
        """This record's run is under way in this task; a run inside another is a part of it."""
        if self.record is not None:
            yield
            return
        self.record, self.task = record, asyncio.current_task()
        try:
            yield
        finally:
            self.record = self.task = None

    # Looks.

    def ask(self) -> int:
        """Look at everything at once; returns the number that this look will have."""
        self.changes.ask(self._clock.monotonic())
        self._on_news()
        return self._begun + 1

    def due(self, now: float, wall: float, lock_every_s: float) -> tuple[float | None, float]:
        """When the next look is due, and in how many seconds to ask again."""
        due_at = self.changes.due_at()
        if due_at is None or due_at > now:
            return due_at, max(0.0, (due_at or now) - now)
        repository = self.watcher.repository if self.watcher is not None else self._repository
        if not repository.is_locked(wall):
            return due_at, 0.0
        due_at = self.changes.due_at(locked=True)
        return due_at, lock_every_s

    def begin(self, now: float) -> None:
        """The look begins."""
        self._begun += 1
        self.paths_to_look_at = self.changes.begin(now).paths

    def end(self, *, found: bool) -> None:
        """It has come to its end; ``found``: something was not as it had been."""
        self.ended = self._begun
        self.changes.end(self._clock.monotonic(), found=found)

    def fail(self, error: EnrichdError, again_s: float | None) -> None:
        """It broke off; it is tried again after so many seconds, or when something changes."""
        self.failed = (self._begun, error)
        self.changes.fail(self._clock.monotonic(), again_s=again_s)

    # What the watcher tells.

    def events(self, events: Events) -> None:
        """These paths, absolute, were touched."""
        found = self._filter().judge(events, self.tree.folders if self.tree else frozenset())
        if found is None:
            return
        now = self._clock.monotonic()
        self.changes.touch(found.paths, now, whole=found.whole, folders=found.folders)
        if found.folders and self.watcher is not None:
            self.watcher.folders_appeared()
        self._on_news()

    def everything(self) -> None:
        """Anything may have changed."""
        self.changes.touch((), self._clock.monotonic(), whole=True, folders=False)
        self._on_news()

    def watched(self, how: Watching, problem: str) -> None:
        """From now on changes come to be known this way."""
        self.changes.watching = how
        self.watch_problem = problem
        self._on_news()

    def _filter(self) -> Filter:
        options = self._options(self.workspace)
        excluded = patterns(options.exclude)
        return Filter(self.workspace.root, suffixes(), excluded, options.papers)
