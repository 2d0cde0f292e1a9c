"""Proof that a server knows the workspace: a question whose answer is known must come back right.

An early empty answer proves nothing: servers answer ``[]`` while they are still loading.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import assert_never

import structlog
from msgspec import Raw, Struct

from enrichd.clock import Clock, within
from enrichd.lsp import protocol as lsp
from enrichd.lsp.client import Client
from enrichd.lsp.declared import Declared
from enrichd.lsp.documents import Documents, read_document
from enrichd.lsp.errors import LanguageServerError
from enrichd.lsp.positions import Encoding, path_to_uri, to_server, uri_to_path
from enrichd.lsp.profiles import Profile, Readiness
from enrichd.lsp.states import Event
from enrichd.lsp.wire import UNREADABLE, Died, Ending, Target, read_targets
from enrichd_tracker.model import Canary, Operation

FIRST_PAUSE_S = 0.1
MAX_PAUSE_S = 2.0
FIRST_DEGRADED_PAUSE_S = 2.0
MAX_DEGRADED_PAUSE_S = 60.0
LEAST_TIMEOUT_S = 1.0
_BOM = b"\xef\xbb\xbf"

_log = structlog.get_logger()


class DocumentProbe(Struct, frozen=True):
    """Stands in where there is no canary: a file with symbols, whose outline must come."""

    path: str


Probe = Canary | DocumentProbe | None
CanarySource = Callable[[], Awaitable[Probe]]


class Verdict(StrEnum):
    """What asking the canary came to."""

    RIGHT = "right"
    WRONG = "wrong"  # an error, a time-out, or another answer than the known one
    NOTHING = "nothing"  # there is nothing that could be asked


class Prover:
    """Asks the canary of one connection."""

    def __init__(
        self,
        client: Client,
        declared: Declared,
        profile: Profile,
        *,
        root: Path,
        documents: Documents,
        source: CanarySource,
        offers: Callable[[Operation], bool],
        request_timeout_s: float,
        clock: Clock,
    ) -> None:
        self._client = client
        self._declared = declared
        self._profile = profile
        self._root = root
        self._documents = documents
        self._source = source
        self._offers = offers
        self._request_timeout_s = request_timeout_s
        self._clock = clock
        self.reason = ""
        """Why the last verdict was not RIGHT."""

    async def prove(self) -> Event:
        """Ask until it is answered rightly or the profile's time is up."""
        client = self._client
        deadline = self._clock.monotonic() + self._profile.ready_timeout_s
        answers_before = client.answers
        pause_s = FIRST_PAUSE_S
        while True:
            verdict = await self.ask(deadline - self._clock.monotonic())
            late = self._clock.monotonic() >= deadline
            if client.death is not None:
                return event_of(client.death)
            if verdict is not Verdict.WRONG:
                if late or self._settled():
                    return Event.PROVED
                self.reason = "its work-done progress has not ended"
            if late:
                return Event.OVERDUE if client.answers > answers_before else Event.SILENT
            await self._pause(min(pause_s, deadline - self._clock.monotonic()))
            pause_s = min(pause_s * 2, MAX_PAUSE_S)

    async def prove_late(self, poked: Callable[[], Awaitable[object]]) -> Event:
        """Of a degraded server: ask again and again, at once when ``poked`` returns."""
        pause_s = FIRST_DEGRADED_PAUSE_S
        while True:
            with suppress(TimeoutError):
                await within(self._clock, pause_s, poked())
            pause_s = min(pause_s * 2, MAX_DEGRADED_PAUSE_S)
            if await self.ask(self._request_timeout_s) is not Verdict.WRONG:
                return Event.PROVED

    async def ask(self, timeout_s: float) -> Verdict:
        """Ask once."""
        try:
            probe = await self._source()
        except Exception as error:
            _log.exception("no canary could be had", action="canary_failed")
            self.reason = f"no canary could be had: {error}"
            return Verdict.WRONG
        if probe is None:
            return Verdict.NOTHING
        timeout_s = max(min(timeout_s, self._request_timeout_s), LEAST_TIMEOUT_S)
        self._documents.hold(probe.path, self._client)
        try:
            return await self._ask_about(probe, timeout_s)
        except LanguageServerError as error:
            self.reason = error.message
        except UNREADABLE as error:
            self.reason = f"the answer to the canary can't be read: {error}"
        finally:
            self._documents.release(probe.path, self._client)
        return Verdict.WRONG

    async def _ask_about(self, probe: Canary | DocumentProbe, timeout_s: float) -> Verdict:
        document = {"textDocument": {"uri": path_to_uri(self._root / probe.path)}}
        if isinstance(probe, Canary) and self._offers(Operation.DEFINITION):
            character = self._character(probe)
            position = {"line": probe.line, "character": character}
            answer = await self._client.call(
                lsp.TEXT_DOCUMENT_DEFINITION,
                {**document, "position": position},
                timeout_s=timeout_s,
                result_type=Raw,
            )
            targets = read_targets(answer)
            if any(self._is_right(target, probe) for target in targets):
                return Verdict.RIGHT
            where = f"{probe.path}:{probe.line + 1}:{probe.column + 1}"
            self.reason = f"{len(targets)} targets for the canary at {where}, none of them right"
            return Verdict.WRONG
        if not self._declared.document_symbols:
            return Verdict.NOTHING
        symbols = await self._client.call(
            lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, document, timeout_s=timeout_s
        )
        if symbols:
            return Verdict.RIGHT
        self.reason = f"an empty outline of {probe.path}"
        return Verdict.WRONG

    def _character(self, canary: Canary) -> int:
        if self._declared.encoding is Encoding.UTF8 and canary.line > 0:
            return canary.column
        text = read_document(self._root / canary.path) or ""
        lines = text.split("\n")
        line = (lines[canary.line] if canary.line < len(lines) else "").encode()
        # a byte order mark is no part of the text to the index, but a character to servers
        mark = len(_BOM) if canary.line == 0 and line.startswith(_BOM) else 0
        return to_server(line, mark + canary.column, self._declared.encoding)

    def _is_right(self, target: Target, canary: Canary) -> bool:
        """The line must be right; within it servers name the name or the whole definition."""
        path = uri_to_path(target.uri)
        if path is None or target.line != canary.target_line:
            return False
        return os.path.realpath(path) == os.path.realpath(self._root / canary.path)

    def _settled(self) -> bool:
        manners = self._client.manners
        match self._profile.ready:
            case Readiness.CANARY:
                return manners.quiet
            case Readiness.PROGRESS:
                return manners.quiet and manners.progress_begun > 0
            case Readiness.STATUS:
                return manners.quiet and manners.quiescent is True
            case _:
                assert_never(self._profile.ready)

    async def _pause(self, delay_s: float) -> None:
        with suppress(TimeoutError):
            await within(self._clock, delay_s, self._client.ended.wait())


def event_of(death: Died) -> Event:
    """What the end of a connection is to the server's state."""
    return Event.SILENT if death.ending is Ending.HUNG else Event.DIED
