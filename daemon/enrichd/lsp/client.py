"""Asks a language server: JSON-RPC with neither a task nor a future for a hot request.

Every request ends in exactly one Reply, whatever becomes of the server: an answer, an error, a
time-out or the connection's end. What is written within one turn of the event loop goes out in
one piece.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias, TypeVar, overload

import msgspec
import structlog
from msgspec import Raw

from enrichd.clock import Clock, within
from enrichd.lsp import protocol as lsp
from enrichd.lsp.errors import (
    FramingError,
    RequestRefused,
    RequestTimedOut,
    ServerEnded,
)
from enrichd.lsp.framing import Framer, encode
from enrichd.lsp.in_flight import InFlight, Waiting
from enrichd.lsp.manners import Manners
from enrichd.lsp.process import Transport
from enrichd.lsp.wire import (
    UNREADABLE,
    Answered,
    Died,
    Ending,
    ErrorObject,
    Message,
    Refused,
    Reply,
    Target,
    TimedOut,
    decode_message,
    read_targets,
)

T = TypeVar("T")
OnReply: TypeAlias = Callable[[Reply[T]], None]
Observe: TypeAlias = Callable[[str, float], None]

MAX_UNSENT_BYTES = 64 * 1024 * 1024
MESSAGE_CHARACTERS = 500
"""As much of an error's message is kept: it stands in the record of every symbol that failed."""

_NULL = Raw(b"null")
_encode_json = msgspec.json.encode
_log = structlog.get_logger()


class Client:
    """One connection. All its state lives on the event loop's thread."""

    def __init__(
        self,
        transport: Transport,
        *,
        manners: Manners,
        clock: Clock,
        request_timeout_s: float,
        observe: Observe | None = None,
        name: str = "server",
    ) -> None:
        self.manners = manners
        self.requests = 0
        self.answers = 0
        """Answers in time, errors included."""
        self.failures = 0
        """Error answers and time-outs."""
        self.time_outs = 0
        self.late_answers = 0
        """Answers to requests that no longer wait: late, or given twice."""
        self.unknown_answers = 0
        """Answers to what was never asked."""
        self.last_answer_at = -math.inf
        """Monotonic."""
        self.death: Died | None = None
        self.ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._transport = transport
        self._clock = clock
        self._timeout_s = request_timeout_s
        self._observe = observe
        self._name = name
        self._framer = Framer()
        self._next_id = 0
        self._in_flight = InFlight(clock, self._time_out, name)
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._deaf = False
        self._reading = False
        self._flush_planned = False
        self._heads: dict[str, bytes] = {}
        transport.attach(self)

    # Asking.

    def request(
        self,
        method: str,
        params: object,
        on_reply: OnReply[Any],
        *,
        decoder: msgspec.json.Decoder[Any] | None = None,
    ) -> int:
        """Ask; ``on_reply`` is called once, later. ``params`` may be ``msgspec.Raw``."""
        read = msgspec.json.decode if decoder is None else decoder.decode
        return self._ask(method, params, on_reply=on_reply, read=read)

    def ask_position(
        self,
        method: str,
        uri_json: bytes,
        line: int,
        character: int,
        on_reply: OnReply[list[Target]],
    ) -> int:
        """Ask a definition-like question; ``uri_json`` is the URI as a JSON string."""
        request_id = self._next_id
        self._next_id = request_id + 1
        if self.death is not None:
            self._loop.call_soon(on_reply, self.death)
            return request_id
        head = self._heads.get(method)
        if head is None:
            quoted = _encode_json(method)
            head = b',"method":%b,"params":{"textDocument":{"uri":' % quoted
            self._heads[method] = head
        self._send(
            b'{"jsonrpc":"2.0","id":%d%b%b},"position":{"line":%d,"character":%d}}}'
            % (request_id, head, uri_json, line, character)
        )
        now = self._clock.monotonic()
        self._in_flight.add_hot(
            request_id, Waiting(on_reply, read_targets, method, now, now + self._timeout_s)
        )
        self.requests += 1
        return request_id

    @overload
    async def call(self, method: str, params: object, *, timeout_s: float) -> object: ...

    @overload
    async def call(
        self, method: str, params: object, *, timeout_s: float, result_type: type[T]
    ) -> T: ...

    async def call(
        self, method: str, params: object, *, timeout_s: float, result_type: Any = object
    ) -> object:
        """Ask and wait. Raises RequestRefused, RequestTimedOut or ServerEnded."""
        done: asyncio.Future[Reply[Any]] = self._loop.create_future()

        def settle(reply: Reply[Any]) -> None:
            if not done.done():
                done.set_result(reply)

        decoder = msgspec.json.Decoder(result_type)
        request_id = self._ask(
            method, params, on_reply=settle, read=decoder.decode, timeout_s=timeout_s
        )
        try:
            reply = await done
        except asyncio.CancelledError:
            self.cancel(request_id)
            raise
        match reply:
            case Answered(result):
                return result
            case Refused(code, message):
                raise RequestRefused(method, code, message)
            case TimedOut():
                raise RequestTimedOut(f"{method} was not answered within {timeout_s:g} s")
            case Died(reason):
                raise ServerEnded(reason)

    def notify(self, method: str, params: object) -> None:
        """Tell the server something; after its end nothing happens."""
        if self.death is None:
            self._send(_encode_json({"jsonrpc": "2.0", "method": method, "params": params}))

    def cancel(self, request_id: int) -> None:
        """Give a request up: it ends as Refused (RequestCancelled), a late answer is dropped."""
        waiting = self._in_flight.take(request_id)
        if waiting is not None:
            self._send_cancel(request_id)
            reply = Refused(lsp.LSPErrorCodes.RequestCancelled, "cancelled by enrichd")
            self._deliver(waiting, reply)

    @property
    def in_flight(self) -> int:
        """How many requests wait for their answer."""
        return len(self._in_flight)

    @property
    def oldest_in_flight_s(self) -> float:
        """How long the oldest of them has waited; 0 when there is none."""
        sent_at = self._in_flight.oldest_sent_at()
        return 0.0 if sent_at is None else self._clock.monotonic() - sent_at

    # The end.

    def end(self, reason: str, ending: Ending) -> None:
        """Every request in flight ends as Died now; nothing is read or written any more."""
        if self.ended.is_set():
            return
        self._deaf = True
        self._unsent.clear()
        self._framer = Framer()  # half a message may be large
        self._in_flight.close()
        self._retire(Died(reason, ending))
        self.ended.set()

    async def goodbye(self, timeout_s: float) -> None:
        """End what is in flight, then send shutdown and exit, as a well-behaved client does."""
        if self.death is not None:
            return
        self._retire(Died("enrichd is ending it", Ending.STOPPED))
        answered = asyncio.Event()
        request_id = self._next_id
        self._next_id = request_id + 1
        self._in_flight.add(
            request_id,
            Waiting(lambda _: answered.set(), msgspec.json.decode, lsp.SHUTDOWN, 0.0, math.inf),
        )
        self._send(_encode_json({"jsonrpc": "2.0", "id": request_id, "method": lsp.SHUTDOWN}))
        with suppress(TimeoutError):
            await within(self._clock, timeout_s, answered.wait())
        self._send(_encode_json({"jsonrpc": "2.0", "method": lsp.EXIT}))
        self._flush()

    async def aclose(self) -> None:
        """End, and leave no task behind."""
        self.end("enrichd ended the connection", Ending.STOPPED)
        await self._in_flight.aclose()

    def _retire(self, death: Died) -> None:
        if self.death is None:
            self.death = death
        for each in self._in_flight.take_all():
            self._deliver(each, death)

    # What the transport tells.

    def data_came(self, data: bytes) -> None:
        """Bytes from the server."""
        if self._deaf:
            return
        broken: FramingError | None = None
        try:
            bodies = self._framer.feed(data)
        except FramingError as error:
            bodies, broken = error.whole, error
        now = self._clock.monotonic()
        self._reading = True
        for body in bodies:
            self._receive(body, now)
            if self.ended.is_set():
                break
        self._reading = False
        if broken is not None:
            self.end(broken.message, Ending.GARBLED)
        self._flush()

    def may_write(self) -> None:
        """The server reads again."""
        self._flush()

    def closed(self, reason: str) -> None:
        """The process or a pipe is gone."""
        if self._framer.in_the_middle:
            reason += ", in the middle of a message"
        self.end(reason, Ending.CRASHED)

    # Inside.

    def _ask(
        self,
        method: str,
        params: object,
        *,
        on_reply: OnReply[Any],
        read: Callable[[Raw], Any],
        timeout_s: float | None = None,
    ) -> int:
        request_id = self._next_id
        self._next_id = request_id + 1
        if self.death is not None:
            self._loop.call_soon(on_reply, self.death)
            return request_id
        self._send(
            _encode_json({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        )
        now = self._clock.monotonic()
        if timeout_s is None:
            waiting = Waiting(on_reply, read, method, now, now + self._timeout_s)
            self._in_flight.add_hot(request_id, waiting)
        else:
            self._in_flight.add(request_id, Waiting(on_reply, read, method, now, now + timeout_s))
        self.requests += 1
        return request_id

    def _deliver(self, waiting: Waiting, reply: Reply[Any]) -> None:
        try:
            waiting.on_reply(reply)
        except Exception:
            _log.exception(
                "a reply was not taken",
                action="reply_not_taken",
                server=self._name,
                method=waiting.method,
            )

    def _receive(self, body: bytes, now: float) -> None:
        try:
            message = decode_message(body)
        except UNREADABLE as error:
            self.end(f"it sent something that is not JSON-RPC: {error}", Ending.GARBLED)
            return
        if message.method is not None:
            self._serve(message.method, message)
            return
        request_id = message.id
        waiting = self._in_flight.take(request_id) if isinstance(request_id, int) else None
        if waiting is None:
            if isinstance(request_id, int) and 0 <= request_id < self._next_id:
                self.late_answers += 1
            else:
                self.unknown_answers += 1
            return
        self.answers += 1
        self.last_answer_at = now
        if self._observe is not None:
            self._observe(waiting.method, now - waiting.sent_at)
        self._deliver(waiting, self._reply(waiting, message))

    def _reply(self, waiting: Waiting, message: Message) -> Reply[Any]:
        if message.error is not None:
            self.failures += 1
            return Refused(message.error.code, message.error.message[:MESSAGE_CHARACTERS])
        try:
            # an answer without a result is null to a server that leaves nulls out
            return Answered(waiting.read(message.result or _NULL))
        except UNREADABLE as error:
            self.failures += 1
            return Refused(lsp.ErrorCodes.ParseError, f"the answer can't be read: {error}")

    def _serve(self, method: str, message: Message) -> None:
        if message.id is None:
            self.manners.notice(method, message.params or _NULL)
            return
        answer = self.manners.answer(method, message.params or _NULL)
        key = "error" if isinstance(answer, ErrorObject) else "result"
        self._send(_encode_json({"jsonrpc": "2.0", "id": message.id, key: answer}))

    def _send(self, body: bytes) -> None:
        frame = encode(body)
        self._unsent.append(frame)
        self._unsent_bytes += len(frame)
        if not (self._reading or self._flush_planned):
            self._flush_planned = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_planned = False
        if not self._unsent:
            return
        if self._transport.writable:
            self._transport.write(b"".join(self._unsent))
            self._unsent.clear()
            self._unsent_bytes = 0
        elif self._unsent_bytes > MAX_UNSENT_BYTES:
            self.end(f"it has not read the last {self._unsent_bytes} bytes", Ending.HUNG)

    def _send_cancel(self, request_id: int) -> None:
        self.notify(lsp.CANCEL_REQUEST, {"id": request_id})

    def _time_out(self, request_id: int, waiting: Waiting) -> None:
        self.time_outs += 1
        self.failures += 1
        self._send_cancel(request_id)
        self._deliver(waiting, TimedOut())
