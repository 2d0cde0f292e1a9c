"""The language servers as users see them: the documents of `enrichd servers` and of its routes."""

from __future__ import annotations

from msgspec import Struct, field

from enrichd.query.answers import SCHEMA_VERSION
from enrichd.query.status import ServerInfo


class ServerDetail(ServerInfo, frozen=True):
    """One language server of one workspace, with all that is known of it."""

    memory_bytes: int | None = None
    """Resident, of its process and of what that started; None while it has none."""
    late_answers: int = 0
    oldest_in_flight_s: float = 0.0
    breaker_open: bool = False
    """It died again and again: single tries at long intervals until one goes well."""
    restart_reasons: dict[str, int] = field(default_factory=dict)
    """How often it died, hung, took too much memory, or was asked for by a person."""
    stderr: list[str] = field(default_factory=list)
    """The last lines, of its life before where it does not live."""


class ServerList(Struct, frozen=True):
    """The servers of a daemon."""

    schema_version: int = SCHEMA_VERSION
    servers: list[ServerDetail] = []


class RestartedServer(Struct, frozen=True):
    """A server that is started afresh."""

    name: str
    language: str
    workspace: str


class Restarted(Struct, frozen=True):
    """All that were meant."""

    schema_version: int = SCHEMA_VERSION
    restarted: list[RestartedServer] = []
