"""What the API asks of the daemon: the one door between HTTP and the composition root."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from enrichd.clock import Clock
from enrichd.metrics import Metrics
from enrichd.query.answers import UnindexedOf
from enrichd.query.servers import RestartedServer, ServerList
from enrichd.query.status import Status
from enrichd.report import WaitReport
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Store


class Daemon(Protocol):
    """A daemon that can be asked and told; errors that a person may meet are EnrichdErrors."""

    @property
    def store(self) -> Store: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def max_attempts(self) -> int:
        """After so many failures a symbol is skipped; what the tracker is set to."""
        ...

    def advice(self, language: str) -> str:
        """What a person can do about a language whose server is missing, or nothing."""
        ...

    def unindexed(self) -> UnindexedOf:
        """What was touched and is not indexed yet, as of now; to be asked from any thread."""
        ...

    async def wait(self, workspace: str | None, timeout_s: float) -> WaitReport:
        """Return when the graph is current, or the time is up; raises AnswerIsNo for a bad name."""
        ...

    def health(self) -> list[str]:
        """What is wrong; empty: healthy. Must not wait for anything."""
        ...

    def readiness(self) -> list[str]:
        """Why nothing can be served yet; empty: ready. Must not wait for anything."""
        ...

    async def refresh_metrics(self) -> None:
        """Make the gauges true; called before they are read."""
        ...

    async def status(self) -> Status:
        """The document of `enrichd status --json`."""
        ...

    def server_list(self) -> ServerList:
        """The document of `enrichd servers --json`."""
        ...

    def restart_servers(self, name: str, workspace: str | None) -> list[RestartedServer]:
        """Start the servers of this name afresh; raises AnswerIsNo where there is none."""
        ...

    async def retry(self, symbol_ids: list[int]) -> int:
        """Give up the memory of their failures; returns how many are asked again."""
        ...

    async def add_workspace(self, root: Path, name: str | None) -> Workspace:
        """Index a folder from now on; without a name it gets its folder's."""
        ...

    async def remove_workspace(self, name: str) -> None:
        """Forget a workspace whole; raises AnswerIsNo where there is none of this name."""
        ...
