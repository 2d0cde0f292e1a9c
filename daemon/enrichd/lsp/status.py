"""What is shown of a server: the values that ``status``, ``doctor`` and the metrics are made of."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum

import msgspec
from msgspec import Struct

from enrichd.lsp.client import Client
from enrichd.lsp.life import Life
from enrichd.lsp.profiles import Profile
from enrichd.lsp.states import Event, ServerState


class RestartReason(StrEnum):
    """Why a life was not the last one."""

    DIED = "died"
    HUNG = "hung"
    MEMORY = "memory"  # it took more than its profile allows
    ASKED = "asked"  # a person wanted it


_REASONS = {
    Event.DIED: RestartReason.DIED,
    Event.SILENT: RestartReason.HUNG,
    Event.TOO_BIG: RestartReason.MEMORY,
    Event.TOO_BIG_AGAIN: RestartReason.MEMORY,
    Event.ASKED: RestartReason.ASKED,
}


class ServerStatus(Struct, frozen=True, kw_only=True):
    """What ``status`` and ``doctor`` show of a server."""

    name: str
    languages: list[str]
    version: str
    state: ServerState
    pid: int | None
    restarts: int
    """Starts after the first."""
    restart_reasons: dict[str, int]
    """The same by RestartReason."""
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
    """What was counted on connections."""

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


class History:
    """What stays of a server's lives when they are over."""

    def __init__(self) -> None:
        self._reasons: Counter[str] = Counter()
        self._starts = 0
        self._reason = RestartReason.DIED
        self._counts = Counts()
        self._stderr: list[str] = []

    def happened(self, event: Event) -> None:
        """Something that may be the reason for the next start."""
        self._reason = _REASONS.get(event, self._reason)

    def started(self) -> None:
        """Another life begins."""
        self._starts += 1
        if self._starts > 1:
            self._reasons[self._reason] += 1

    def ended(self, life: Life) -> None:
        """Its counts and its last words are all that stays of it."""
        self._counts.add(life.client)
        self._stderr = life.process.stderr_tail()

    def show(
        self,
        profile: Profile,
        state: ServerState,
        life: Life | None,
        *,
        version: str,
        breaker_open: bool,
        next_start_in_s: float | None,
        last_error: str,
    ) -> ServerStatus:
        """What is known of a server, over all its lives; ``life`` is the present one."""
        counts = msgspec.structs.replace(self._counts)
        if life is not None:
            counts.add(life.client)
        return ServerStatus(
            name=profile.name,
            languages=profile.languages,
            version=version,
            state=state,
            pid=None if life is None else life.process.pid or None,
            restarts=max(self._starts - 1, 0),
            restart_reasons=dict(self._reasons),
            requests=counts.requests,
            failures=counts.failures,
            time_outs=counts.time_outs,
            late_answers=counts.late_answers,
            in_flight=0 if life is None else life.client.in_flight,
            oldest_in_flight_s=0.0 if life is None else life.client.oldest_in_flight_s,
            breaker_open=breaker_open,
            next_start_in_s=next_start_in_s,
            last_error=last_error,
            stderr=self._stderr if life is None else life.process.stderr_tail(),
            install_hint=profile.install_hint,
        )
