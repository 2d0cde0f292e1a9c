"""What is shown of a server: the values that ``status``, ``doctor`` and the metrics are made of."""

from __future__ import annotations

from msgspec import Struct

from enrichd.lsp.client import Client
from enrichd.lsp.states import ServerState


class ServerStatus(Struct, frozen=True):
    """What ``status`` and ``doctor`` show of a server."""

    name: str
    languages: list[str]
    version: str
    state: ServerState
    pid: int | None
    restarts: int
    """Starts after the first."""
    requests: int
    failures: int
    time_outs: int
    late_answers: int
    in_flight: int
    oldest_in_flight_s: float
    breaker_open: bool
    next_start_in_s: float | None
    """While it is backing off or unavailable."""
    last_error: str
    stderr: list[str]
    """The last lines of its stderr."""
    install_hint: str


class Counts(Struct):
    """Sums over the lives that are over."""

    requests: int = 0
    failures: int = 0
    time_outs: int = 0
    late_answers: int = 0

    def add(self, client: Client) -> None:
        """Take in what one connection counted."""
        self.requests += client.requests
        self.failures += client.failures
        self.time_outs += client.time_outs
        self.late_answers += client.late_answers
