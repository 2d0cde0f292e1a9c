"""Keeps one server alive for one workspace and language: starts it, proves it, restarts it.

The shell around ``states.step``: each effect is carried out here and gives the next event.
Nothing that a server does escapes from ``run``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import assert_never

import msgspec
import structlog

from enrichd.clock import Clock, within
from enrichd.lsp.client import Client, Observe
from enrichd.lsp.documents import ChangeKind, Documents
from enrichd.lsp.errors import LanguageServerError, RequestTimedOut
from enrichd.lsp.hello import Declared
from enrichd.lsp.life import Life, Spawn, first_event
from enrichd.lsp.positions import Encoding
from enrichd.lsp.process import ServerProcess
from enrichd.lsp.profiles import DocumentPolicy, Profile, find_command
from enrichd.lsp.python_environment import adapt
from enrichd.lsp.readiness import CanarySource, Prover, event_of
from enrichd.lsp.restarts import Restarts
from enrichd.lsp.states import TABLE, Effect, Event, ServerState, step
from enrichd.lsp.status import Counts, ServerStatus
from enrichd_tracker.model import Operation, Origin

LOOK_AGAIN_S = 60.0

_log = structlog.get_logger()


class Supervisor:
    """One server of one workspace and language. Owned by the event loop's thread."""

    def __init__(
        self,
        profile: Profile,
        root: Path,
        *,
        clock: Clock,
        jitter: Callable[[], float],
        request_timeout_s: float,
        canary: CanarySource,
        on_change: Callable[[Supervisor], None],
        observe: Observe | None = None,
        documents: Callable[[], Awaitable[list[str]]] | None = None,
        spawn: Spawn = ServerProcess,
    ) -> None:
        self.profile = profile
        self.root = root
        self.state = ServerState.STOPPED
        self.identity: Origin | None = None
        self.epoch = 0
        self.last_error = ""
        self._clock = clock
        self._request_timeout_s = request_timeout_s
        self._canary = canary
        self._on_change = on_change
        self._observe = observe
        self._all_documents = documents
        self._restarts = Restarts(jitter)
        self._documents = Documents(root, profile.languages[0], profile.documents)
        self._dropped: set[Operation] = set()
        self._declared: Declared | None = None
        self._command: list[str] = []
        self._spawn_process = spawn
        self._life: Life | None = None
        self._prover: Prover | None = None
        self._past = Counts()
        self._stderr: list[str] = []
        self._starts = 0
        self._ready_since: float | None = None
        self._answered_while_ready = 0
        self._next_start_at: float | None = None
        self._poked = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    # What the workers see.

    @property
    def client(self) -> Client | None:
        """The connection, while the server may be asked."""
        if self._life is None or self._life.client.death is not None or not self.state.servable:
            return None
        return self._life.client

    @property
    def servable(self) -> bool:
        """Whether the server may be asked now."""
        return self.client is not None

    @property
    def proved(self) -> bool:
        """Whether its empty answers may be believed."""
        return self.state is ServerState.READY and self.servable

    @property
    def encoding(self) -> str:
        """What the server's columns count."""
        return Encoding.UTF16 if self._declared is None else self._declared.encoding

    def offers(self, operation: Operation) -> bool:
        """Whether this server can be asked for it; before its first start the profile decides."""
        if operation in self._dropped or operation not in self.profile.operations:
            return False
        return self._declared is None or operation in self._declared.operations

    def drop(self, operation: Operation) -> None:
        """Treat as never declared what the server answered with MethodNotFound."""
        if operation not in self._dropped:
            self._dropped.add(operation)
            self._note("operation dropped", "operation_dropped", operation=operation)
            self._tell()

    def poke(self) -> None:
        """Look for a missing command, or ask a degraded server's canary, again now."""
        self._poked.set()

    async def open_document(self, path: str) -> None:
        """Hold the document open while it is asked about; nothing where the policy is none."""
        self._documents.hold(path, self._told)

    async def close_document(self, path: str) -> None:
        """Let go of a document that ``open_document`` held."""
        self._documents.release(path, self._told)

    async def files_changed(self, changes: list[tuple[str, ChangeKind]]) -> None:
        """Tell the server what changed on disk; paths are relative to the root."""
        if self._told is not None and changes:
            self._documents.changed(changes, self._told)

    @property
    def _told(self) -> Client | None:
        """The connection once it is initialized: only then may it be told of documents."""
        life = self._life
        return None if life is None or life.declared is None else life.client

    def snapshot(self) -> ServerStatus:
        """What is known now."""
        now = self._clock.monotonic()
        process = None if self._life is None else self._life.process
        connection = None if self._life is None else self._life.client
        counts = msgspec.structs.replace(self._past)
        if connection is not None:
            counts.add(connection)
        waits = None if self._next_start_at is None else max(self._next_start_at - now, 0.0)
        return ServerStatus(
            name=self.profile.name,
            languages=self.profile.languages,
            version="" if self.identity is None else self.identity.version,
            state=self.state,
            pid=None if process is None else process.pid or None,
            restarts=max(self._starts - 1, 0),
            requests=counts.requests,
            failures=counts.failures,
            time_outs=counts.time_outs,
            late_answers=counts.late_answers,
            in_flight=0 if connection is None else connection.in_flight,
            oldest_in_flight_s=0.0 if connection is None else connection.oldest_in_flight_s,
            breaker_open=self._restarts.breaker_open,
            next_start_in_s=waits,
            last_error=self.last_error,
            stderr=self._stderr if process is None else process.stderr_tail(),
            install_hint=self.profile.install_hint,
        )

    # Its life.

    async def run(self) -> None:
        """Keep the server alive until ``stop``, or until cancelled."""
        running = self._running = asyncio.get_running_loop().create_task(
            self._live(), name=f"language server {self.profile.name} of {self.root}"
        )
        try:
            await asyncio.wait({running})
        finally:
            running.cancel()
            (end,) = await asyncio.gather(running, return_exceptions=True)
            if not isinstance(end, asyncio.CancelledError):
                self._note("supervision ended by a bug", "supervision_ended", error=repr(end))

    async def stop(self) -> None:
        """End the server politely, then firmly; returns when it is gone."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.wait({self._running})

    async def _live(self) -> None:
        event = Event.WANTED
        try:
            while True:
                event = await self._follow(event)
        finally:
            await self._follow(Event.STOPPED)

    async def _follow(self, event: Event) -> Event:
        """Make the transition and carry out its effects; the last one gives the next event."""
        transition = step(self.state, event)
        self._enter(transition.state, event)
        following = event
        for effect in transition.effects:
            try:
                following = await self._carry_out(effect) or following
            except Exception as error:
                _log.exception("the supervisor failed", action="supervisor_failed", effect=effect)
                self.last_error = f"{type(error).__name__}: {error}"
                following = Event.DIED if Event.DIED in TABLE[self.state] else Event.WANTED
        return following

    async def _carry_out(self, effect: Effect) -> Event | None:
        event: Event | None = None
        match effect:
            case Effect.LOOK:
                event = self._look()
            case Effect.SPAWN:
                event = await self._spawn()
            case Effect.PROVE:
                event = await self._prove()
            case Effect.SERVE:
                event = await self._serve()
            case Effect.BACK_OFF:
                event = await self._back_off()
            case Effect.LOOK_LATER:
                event = await self._look_later()
            case Effect.END_POLITELY:
                await self._end(politely=True)
            case Effect.KILL:
                await self._end(politely=False)
            case Effect.REST:
                pass
            case _:
                assert_never(effect)
        return event

    def _look(self) -> Event:
        command = find_command(self.profile, self.root)
        if command is None:
            self.last_error = f"{self.profile.command[0]} is not installed"
            return Event.MISSING
        self._command = command
        return Event.FOUND

    async def _spawn(self) -> Event:
        self._starts += 1
        self._ready_since = None
        self._answered_while_ready = 0
        life = self._life = Life(
            self._command,
            adapt(self.profile, self.root),  # each time: an environment may have appeared
            self.root,
            clock=self._clock,
            request_timeout_s=self._request_timeout_s,
            observe=self._observe,
            spawn=self._spawn_process,
        )
        try:
            declared = await life.begin()
        except RequestTimedOut as error:
            self.last_error = error.message
            return Event.SILENT
        except (LanguageServerError, msgspec.DecodeError) as error:
            self.last_error = str(error)
            return Event.DIED
        self._declare(declared, life.client)
        self._documents.reopen(life.client)
        return Event.INITIALIZED

    def _declare(self, declared: Declared, connection: Client) -> None:
        identity = Origin(self.profile.name, declared.version or "unknown")
        if identity != self.identity:
            self._dropped.clear()
        self.identity = identity
        self._declared = declared
        self._prover = Prover(
            connection,
            declared,
            self.profile,
            root=self.root,
            documents=self._documents,
            source=self._canary,
            offers=self.offers,
            request_timeout_s=self._request_timeout_s,
            clock=self._clock,
        )

    async def _prove(self) -> Event:
        assert self._prover is not None
        if self.profile.documents is DocumentPolicy.ALL and self._all_documents is not None:
            paths = await self._all_documents()
            if self._told is not None:
                self._documents.hold_all(paths, self._told)
        event = await self._prover.prove()
        if event is not Event.PROVED:
            self.last_error = self._why()
        return event

    async def _serve(self) -> Event:
        assert self._life is not None
        life, connection = self._life, self._life.client
        answers_before = connection.answers
        if self.state is ServerState.READY:
            self._ready_since = self._clock.monotonic()
        watches = [life.until_ended()]
        if self.state is ServerState.DEGRADED and self._prover is not None:
            watches.append(self._prover.prove_late(self._when_poked))
        if self.profile.max_rss_bytes is not None:
            watches.append(life.until_too_big(self.profile.max_rss_bytes))
        event = await first_event(watches, f"watch over language server {self.profile.name}")
        if connection.death is not None:
            event = event_of(connection.death)
            self.last_error = self._why()
        if self.state is ServerState.READY:
            self._answered_while_ready = connection.answers - answers_before
        return event

    async def _end(self, politely: bool) -> None:
        """Nothing of a life stays but its counts and its last words."""
        life = self._life
        if life is None:
            return
        # a supervisor that is stopped meanwhile must not leave a process half killed
        name = f"end of language server {self.profile.name}"
        ending = asyncio.get_running_loop().create_task(life.end(politely), name=name)
        try:
            await asyncio.shield(ending)
        finally:
            await asyncio.wait({ending})
            self._life = self._prover = None
            self._past.add(life.client)
            self._stderr = life.process.stderr_tail()

    async def _back_off(self) -> Event:
        now = self._clock.monotonic()
        ready_for_s = None if self._ready_since is None else now - self._ready_since
        delay_s = self._restarts.died(now, ready_for_s, self._answered_while_ready)
        self._ready_since = None
        await self._rest(delay_s, None)
        return Event.WANTED

    async def _look_later(self) -> Event:
        self._poked.clear()
        await self._rest(LOOK_AGAIN_S, self._poked)
        return Event.WANTED

    async def _when_poked(self) -> None:
        await self._poked.wait()
        self._poked.clear()

    async def _rest(self, delay_s: float, until: asyncio.Event | None) -> None:
        self._next_start_at = self._clock.monotonic() + delay_s
        self._tell()
        try:
            if until is None:
                await self._clock.sleep(delay_s)
            else:
                with suppress(TimeoutError):
                    await within(self._clock, delay_s, until.wait())
        finally:
            self._next_start_at = None

    def _why(self) -> str:
        """The reason for the server's end, or why its canary is not right."""
        death = None if self._life is None else self._life.client.death
        if death is not None:
            return death.reason
        return "" if self._prover is None else self._prover.reason

    def _enter(self, state: ServerState, event: Event) -> None:
        before, self.state = self.state, state
        if state is before:
            return
        if state.servable and not before.servable:
            self.epoch += 1
        detail = {} if state is ServerState.READY else {"reason": self.last_error}
        self._note("server state", "server_state", state=state, event_name=event, **detail)
        self._tell()

    def _tell(self) -> None:
        try:
            self._on_change(self)
        except Exception:
            _log.exception("a listener failed", action="server_listener_failed")

    def _note(self, message: str, action: str, **detail: object) -> None:
        _log.info(message, action=action, server=self.profile.name, root=str(self.root), **detail)
