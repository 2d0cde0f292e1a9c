"""Live streams of jobs, over WebSockets: what stands, then what happens, each with its number."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections import Counter
from collections.abc import Iterable
from http import HTTPStatus
from typing import Annotated

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from msgspec import Meta, Struct

from enrichd.api.answers import Refused
from enrichd.api.daemon import Daemon
from enrichd.api.doors import door_of, too_much
from enrichd.api.parameters import Text
from enrichd.api.routing import NOT_FOUND, Route, raw
from enrichd.job_feed import Dismissed, FellBehind, Following, FollowingEnded, JobIsGone
from enrichd.query.jobs import EventView, JobsSnapshot, Snapshot

MAX_STREAMS = 224
"""At one door; what is left of its connections is for questions."""
HEARTBEAT_S = 15.0
"""Who does not answer a ping within half of it is gone."""
MAX_MESSAGE_BYTES = 4096
"""Of what a client says; nothing of it matters."""

_SOCKET = {HTTPStatus.SWITCHING_PROTOCOLS: None}

_log = structlog.get_logger()

Sequence = Annotated[
    int,
    Meta(
        ge=0,
        le=2**63 - 1,
        description="The number of the last message that was received: go on after it.",
    ),
]


class OneStream(Struct, frozen=True, forbid_unknown_fields=True):
    """Which job, by its id or by how that begins, and where to go on."""

    job: Text
    since: Sequence | None = None


class StreamOfAll(Struct, frozen=True, forbid_unknown_fields=True):
    """Whose jobs, and where to go on."""

    workspace: Text | None = None
    since: Sequence | None = None


class StreamRoutes:
    """The handlers, around the feed that they hand on."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._there: Counter[sockets.AddressFamily] = Counter()
        self._followings: set[Following] = set()
        self._stopping = False

    async def stop(self) -> None:
        """Every stream ends at once; nobody is waited for."""
        self._stopping = True
        for following in self._followings:
            following.end(Dismissed)

    def table(self) -> Iterable[Route]:
        """What each asks and gives."""
        return (
            raw(
                "/api/v1/index/status/stream",
                "What happens to all jobs, live",
                self._all,
                asks=StreamOfAll,
                answers=_SOCKET,
                refuses=(NOT_FOUND,),
                messages=(JobsSnapshot, EventView),
            ),
            raw(
                "/api/v1/index/status/{job}/stream",
                "What happens to one job, live, until its end",
                self._one,
                asks=OneStream,
                answers=_SOCKET,
                refuses=(NOT_FOUND,),
                messages=(Snapshot, EventView),
            ),
        )

    async def _all(self, request: web.Request, asked: StreamOfAll) -> web.StreamResponse:
        return await self._stream(request, None, asked.workspace, asked.since)

    async def _one(self, request: web.Request, asked: OneStream) -> web.StreamResponse:
        return await self._stream(request, asked.job, None, asked.since)

    async def _stream(
        self, request: web.Request, job: str | None, workspace: str | None, since: int | None
    ) -> web.StreamResponse:
        socket = web.WebSocketResponse(
            heartbeat=HEARTBEAT_S,
            compress=False,  # it would keep a window for each client
            max_msg_size=MAX_MESSAGE_BYTES,
            writer_limit=0,  # nothing is written while something waits to be taken
        )
        _require_websocket(request, socket)
        door = door_of(request)
        if self._stopping:
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "the daemon is stopping")
        if self._there[door] >= MAX_STREAMS:
            raise too_much(f"{MAX_STREAMS} streams are open")
        self._there[door] += 1
        try:
            following = await self._daemon.job_feed.follow(job, workspace=workspace, since=since)
            self._followings.add(following)
            try:
                await socket.prepare(request)
                await self._talk(socket, following)
            finally:
                self._followings.discard(following)
                following.leave()
        finally:
            self._there[door] -= 1
        return socket

    async def _talk(self, socket: web.WebSocketResponse, following: Following) -> None:
        telling = asyncio.create_task(self._tell(socket, following), name="a stream of jobs")
        try:
            while not socket.closed:
                await socket.receive()  # answers pings and sees the end; the rest is not for us
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    async def _tell(self, socket: web.WebSocketResponse, following: Following) -> None:
        try:
            while told := await following.next():
                for each in told:
                    await socket.send_frame(msgspec.json.encode(each), WSMsgType.TEXT)
                await self._daemon.clock.sleep(0)  # others have their turn
            code, reason = WSCloseCode.OK, "the job is over"
        except FollowingEnded as end:
            code, reason = _said(end)
        except ConnectionError:
            return  # the listener sees it, too
        except Exception:
            _log.exception("a stream failed", action="stream_failed")
            code, reason = WSCloseCode.INTERNAL_ERROR, "the daemon's log has the details"
        await socket.close(code=code, message=reason.encode())


def _said(end: FollowingEnded) -> tuple[WSCloseCode, str]:
    """At most 123 bytes: it is part of a control frame."""
    again = f"go on with since={end.seq}"
    match end:
        case FellBehind():
            return WSCloseCode.TRY_AGAIN_LATER, f"too slow; {again}"
        case Dismissed():
            return WSCloseCode.GOING_AWAY, f"the daemon is stopping; {again}"
        case JobIsGone():
            return WSCloseCode.GOING_AWAY, "the job was forgotten with its workspace"
        case _:
            return WSCloseCode.INTERNAL_ERROR, again


def _require_websocket(request: web.Request, socket: web.WebSocketResponse) -> None:
    """Raises Refused, for subprotocols as well: aiohttp would log that none is spoken."""
    wrong = request.method != hdrs.METH_GET or hdrs.SEC_WEBSOCKET_PROTOCOL in request.headers
    if wrong or not socket.can_prepare(request):
        raise Refused(
            HTTPStatus.BAD_REQUEST,
            "this is a WebSocket without subprotocols",
            hint="connect with ws://; without /stream there is one answer",
        )
