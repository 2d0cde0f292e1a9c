"""Keeps one server alive for one workspace and language: starts it, proves it, restarts it.

The shell around ``states.step``: each effect is carried out here and gives the next event.
Nothing that a server does escapes from ``run``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import assert_never

import msgspec
import structlog

from enrichd.clock import Clock
from enrichd.lsp.client import Client, Observe
from enrichd.lsp.declared import Declared
from enrichd.lsp.documents import ChangeKind, Documents
from enrichd.lsp.errors import LanguageServerError, RequestTimedOut
from enrichd.lsp.life import Life, Spawn, first_event
from enrichd.lsp.positions import Encoding
from enrichd.lsp.process import ServerProcess
from enrichd.lsp.profiles import DocumentPolicy, Profile
from enrichd.lsp.python_environment import adapt
from enrichd.lsp.readiness import CanarySource, Prover, event_of
from enrichd.lsp.restarts import Restarts
from enrichd.lsp.resting import Program, Resting
from enrichd.lsp.states import TABLE, Effect, Event, ServerState, step
from enrichd.lsp.status import History, ServerStatus
from enrichd_tracker.model import Operation, Origin

LOOK_AGAIN_S = 60.0
_NO_TROUBLE = {Event.PROVED, Event.REPLACED, Event.ASKED}

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
        self.restarts = Restarts(jitter)
        self._documents = Documents(root, profile.languages[0], profile.documents)
        self._dropped: set[Operation] = set()
        self._declared: Declared | None = None
        self._program: Program | None = None
        self._spawn_process = spawn
        self._life: Life | None = None
        self._prover: Prover | None = None
        self._history = History()
        self._ready_since: float | None = None
        self._answered_while_ready = 0
        self._resting = Resting(profile, root, clock)
        self._poked = asyncio.Event()
        self._asked = asyncio.Event()
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
        if self.state is ServerState.UNAVAILABLE:
            self._resting.cut_short()

    def hurry(self) -> None:
        """The same, and a server that backs off is tried now; its deaths are remembered."""
        self._poked.set()
        self._resting.cut_short()

    def restart(self) -> None:
        """End it politely and start it at once, whatever it does: a person asked for it."""
        self._asked.set()

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
        return self._history.show(
            self.profile,
            self.state,
            self._life,
            version="" if self.identity is None else self.identity.version,
            breaker_open=self.restarts.breaker_open,
            next_start_in_s=self._resting.left_s,
            last_error=self.last_error,
        )

    def rss_bytes(self) -> int | None:
        """Memory that its process and the children of that take now; None without one."""
        return None if self._life is None else self._life.process.rss_bytes()

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
        if event is Event.ASKED:
            self._asked.clear()
        self._history.happened(event)
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
                event = await self._unless_asked(self._spawn())
            case Effect.PROVE:
                event = await self._unless_asked(self._prove())
            case Effect.SERVE:
                event = await self._unless_asked(self._serve())
            case Effect.BACK_OFF:
                event = await self._unless_asked(self._back_off())
            case Effect.LOOK_LATER:
                event = await self._unless_asked(self._rest(LOOK_AGAIN_S))
            case Effect.FORGIVE:
                self.restarts.forgive()
            case Effect.END_POLITELY:
                await self._end(politely=True)
            case Effect.KILL:
                await self._end(politely=False)
            case Effect.REST:
                pass
            case _:
                assert_never(effect)
        return event

    async def _unless_asked(self, work: Coroutine[None, None, Event]) -> Event:
        """What comes of the work, or ASKED if a person wants the server started afresh first."""
        name = f"work on language server {self.profile.name}"
        return await first_event([work, self._until_asked()], name)

    async def _until_asked(self) -> Event:
        await self._asked.wait()
        return Event.ASKED

    def _look(self) -> Event:
        self._program = Program.find(self.profile, self.root)
        if self._program is None:
            self.last_error = f"{self.profile.command[0]} is not installed"
            return Event.MISSING
        return Event.FOUND

    async def _spawn(self) -> Event:
        assert self._program is not None
        self._history.started()
        self._ready_since = None
        self._answered_while_ready = 0
        life = self._life = Life(
            self._program.command,
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
        answers_before, since = connection.answers, self._clock.monotonic()
        ready = self.state is ServerState.READY
        if ready:
            self._ready_since = since
        watches = [life.until_ended()]
        if self.state is ServerState.DEGRADED and self._prover is not None:
            watches.append(self._prover.prove_late(self._when_poked))
        if self.profile.max_rss_bytes is not None:
            watches.append(life.until_too_big(self.profile.max_rss_bytes))
        event = await first_event(watches, f"watch over language server {self.profile.name}")
        if connection.death is not None:
            event = event_of(connection.death)
            self.last_error = self._why()
        answers = connection.answers - answers_before
        if ready:
            self._answered_while_ready = answers
        if event is Event.TOO_BIG:
            self.last_error = life.excess
            served_for_s = self._clock.monotonic() - since
            if not self.restarts.outgrew(served_for_s, answers, ready=ready):
                event = Event.TOO_BIG_AGAIN
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
            self._history.ended(life)

    async def _back_off(self) -> Event:
        now = self._clock.monotonic()
        ready_for_s = None if self._ready_since is None else now - self._ready_since
        delay_s = self.restarts.died(now, ready_for_s, self._answered_while_ready)
        self._ready_since = None
        return await self._rest(delay_s)

    async def _rest(self, delay_s: float) -> Event:
        return await self._resting.rest(delay_s, self._program, begun=self._tell)

    async def _when_poked(self) -> None:
        await self._poked.wait()
        self._poked.clear()

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
        detail = {} if event in _NO_TROUBLE else {"reason": self.last_error}
        names = {"state": state.value, "event_name": event.value}
        self._note("server state", "server_state", **names, **detail)
        self._tell()

    def _tell(self) -> None:
        try:
            self._on_change(self)
        except Exception:
            _log.exception("a listener failed", action="server_listener_failed")

    def _note(self, message: str, action: str, **detail: object) -> None:
        _log.info(message, action=action, server=self.profile.name, root=str(self.root), **detail)
