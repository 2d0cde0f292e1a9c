"""The daemon's live streams, from outside: what happens to jobs, over restarts of the daemon."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from enrichd.cli.client import require_peer
from enrichd.cli.invocation import Invocation
from enrichd.clock import Clock
from enrichd.errors import AnswerIsNo, DaemonUnreachable
from enrichd.query.jobs import EventView, JobsSnapshot, JobView, Snapshot

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse

    from enrichd.report import Progress

PATIENCE_S = 60.0
"""With a daemon that was there and is not."""
_AGAIN_S = 0.5
_HEARTBEAT_S = 30.0
_OVER, _TRY_AGAIN = 1000, 1013  # RFC 6455, 7.4.1, and IANA's list of close codes


class _Kind(msgspec.Struct):
    """What all messages have in common."""

    seq: int
    event: str


class _Lost(Exception):
    """The stream broke off; ``at_once``: it can be taken up again without a pause."""

    def __init__(self, why: str, *, at_once: bool = False) -> None:
        super().__init__(why)
        self.at_once = at_once


class Message(msgspec.Struct, frozen=True):
    """One message: as it came, and what it says."""

    text: str
    told: Snapshot | JobsSnapshot | EventView


class Live:
    """One stream. Where it breaks off, it goes on with what came after the last message."""

    def __init__(
        self, invocation: Invocation, clock: Clock, *, job: str = "", workspace: str | None = None
    ) -> None:
        """Of one job, by its whole id, or of all of them, or those of a workspace."""
        self._invocation = invocation
        self._clock = clock
        self._path = f"/api/v1/index/status/{job}/stream" if job else "/api/v1/index/status/stream"
        self._query = {"workspace": workspace} if workspace is not None else {}
        self._snapshot: type[Snapshot | JobsSnapshot] = Snapshot if job else JobsSnapshot
        self._since: int | None = None

    async def messages(self) -> AsyncGenerator[Message]:
        """Until the stream is over. Raises DaemonUnreachable when it can't be taken up again."""
        lost_at: float | None = None
        while True:
            try:
                async with aclosing(self._connected()) as connected:
                    async for message in connected:
                        lost_at = None
                        yield message
                return
            except _Lost as lost:
                now = self._clock.monotonic()
                if lost_at is None:
                    if self._since is None:
                        raise DaemonUnreachable(str(lost)) from lost
                    lost_at = now
                    self._invocation.tell(f"{lost}; trying again")
                if now - lost_at >= PATIENCE_S:
                    why = f"{lost}, for {PATIENCE_S:g} s"
                    raise DaemonUnreachable(why, hint="is the daemon running?") from lost
                if not lost.at_once:
                    await self._clock.sleep(_AGAIN_S)

    async def _connected(self) -> AsyncGenerator[Message]:
        import aiohttp  # noqa: PLC0415 (it takes a while, and few commands need it)

        pid = self._invocation.owner
        if pid is None:
            raise _Lost("no daemon has the database")
        path = self._invocation.config.daemon.socket
        since = {} if self._since is None else {"since": str(self._since)}
        url = f"http://enrichd{self._path}?{urlencode(self._query | since)}"
        try:
            async with (
                aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(path))) as session,
                session.ws_connect(url, heartbeat=_HEARTBEAT_S, max_msg_size=0) as socket,
            ):
                require_peer(socket.get_extra_info("socket"), path, pid)
                async with aclosing(self._told(socket)) as messages:
                    async for message in messages:
                        yield message
        except aiohttp.WSServerHandshakeError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                raise AnswerIsNo("the job, or its workspace, is not there any more") from error
            raise _Lost(f"the daemon does not tell: {error.status} {error.message}") from error
        except DaemonUnreachable as error:
            if self._since is None:
                raise
            raise _Lost(error.message) from error  # one has gone, and another has come
        except (aiohttp.ClientError, OSError) as error:
            raise _Lost(f"the daemon can't be reached on {path}: {error}") from error

    async def _told(self, socket: ClientWebSocketResponse) -> AsyncGenerator[Message]:
        async for each in socket:
            if not isinstance(each.data, str):
                break
            kind = msgspec.json.decode(each.data, type=_Kind)
            told: Snapshot | JobsSnapshot | EventView
            if kind.event == "snapshot":
                told = msgspec.json.decode(each.data, type=self._snapshot)
            else:
                told = msgspec.json.decode(each.data, type=EventView)
            self._since = kind.seq
            yield Message(each.data, told)
        if socket.close_code != _OVER:
            too_slow = socket.close_code == _TRY_AGAIN
            raise _Lost("the daemon broke the stream off", at_once=too_slow)


class Shown:
    """Shows of a job what a run of one's own would show, wherever one joins."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage: tuple[str, str] | None = None

    def stands(self, job: JobView) -> None:
        """How far it is."""
        if job.status == "queued":
            self._progress.message("waits for its turn")
        for each in job.stages:
            if each.completed_at is None:
                self._show(job.job_id, each.stage, each.processed, each.total, each.current_item)

    def happened(self, told: EventView) -> None:
        """One thing more."""
        if told.event in {"stage", "progress"} and told.stage is not None:
            self._show(told.job_id, told.stage, told.processed, told.total, told.current_item)

    def _show(self, job_id: str, stage: str, done: int, total: int, current: str) -> None:
        if self._stage != (job_id, stage):
            self._stage = job_id, stage
            self._progress.stage(stage, total if total > 1 else None)
        if done:
            self._progress.advance(done, total or None, current)
