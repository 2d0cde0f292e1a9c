"""What the API asks of the daemon: the one door between HTTP and the composition root."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from enrichd.clock import Clock
from enrichd.job_feed import JobFeed
from enrichd.jobs import Asked
from enrichd.metrics import Metrics
from enrichd.query.answers import Circumstances, UnindexedOf
from enrichd.query.search import Meaning
from enrichd.query.servers import RestartedServer, ServerList
from enrichd.query.status import Status
from enrichd.report import WaitReport
from enrichd.sources.url import GitUrl
from enrichd_tracker.jobs import JobRequest
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Store
from enrichd_tracker.store.port_embeddings import EmbeddingModel


class JobDesk(Protocol):
    """Where jobs are asked for."""

    async def ask(self, workspace: Workspace, request: JobRequest) -> Asked:
        """Have it done when its turn comes."""
        ...

    async def count(self, workspace: Workspace, request: JobRequest) -> int:
        """How many files it would go over; raises AnswerIsNo where there is no such folder."""
        ...

    async def cancel(self, job_id: str) -> None:
        """Break it off, or don't let it begin; raises AnswerIsNo where it has ended."""
        ...


class WorkspaceDesk(Protocol):
    """Where workspaces are added and removed."""

    async def add(self, root: Path, name: str | None) -> Workspace:
        """Index a folder from now on; without a name it gets its folder's."""
        ...

    async def source(self, url: GitUrl, branch: str | None, name: str | None) -> Workspace:
        """The workspace that a repository is cloned into; made where it is new."""
        ...

    async def remove(self, name: str) -> None:
        """Forget a workspace whole; raises AnswerIsNo where there is none of this name."""
        ...


class Daemon(Protocol):
    """A daemon that can be asked and told; errors that a person may meet are EnrichdErrors."""

    @property
    def store(self) -> Store: ...

    @property
    def metrics(self) -> Metrics: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def job_feed(self) -> JobFeed: ...

    @property
    def jobs(self) -> JobDesk: ...

    @property
    def workspaces(self) -> WorkspaceDesk: ...

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

    async def meaning_of(self, text: str) -> Meaning | None:
        """What a text means to the configured model; None where none is."""
        ...

    async def embedding_model(self) -> EmbeddingModel | None:
        """The configured model; None where none is."""
        ...


def circumstances(daemon: Daemon) -> Circumstances:
    """What answers depend on beside the graph, as of now."""
    return Circumstances(daemon.clock.time(), daemon.advice, daemon.unindexed())
