"""The routes that ask the graph: what the query commands give, each answer with how whole it is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Protocol

from aiohttp import web
from msgspec import Struct

from enrichd.api.answers import answer
from enrichd.api.daemon import Daemon
from enrichd.api.parameters import Limit, Text, from_query
from enrichd.query.answers import Advice, UnindexedOf
from enrichd.query.edges import callees, callers, references
from enrichd.query.explain import ExplainAnswer, explain
from enrichd.query.select import Selected, select
from enrichd.query.symbols import symbols
from enrichd.query.types import implementations, subtypes, supertypes
from enrichd.query.unused import unused
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.store.port import Reader


class SymbolQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """A name, a part of one, or a glob, and where to look."""

    q: Text
    kind: Text | None = None
    path: Text | None = None
    workspace: Text | None = None
    limit: Limit = 100


class UnusedQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to look for what nothing points at."""

    kind: Text | None = None
    path: Text | None = None
    workspace: Text | None = None
    sure: bool = False
    limit: Limit = 100


class AboutSymbol(Struct, frozen=True, forbid_unknown_fields=True):
    """The symbol that a question is about: a uid, a qualified name, or a place."""

    symbol: Text
    workspace: Text | None = None


class Question(Protocol):
    """One of the functions of ``enrichd.query`` that are asked about a symbol."""

    def __call__(
        self,
        reader: Reader,
        selected: Selected,
        *,
        now: float,
        advice: Advice,
        unindexed: UnindexedOf,
    ) -> object: ...


class GraphRoutes:
    """The handlers, around the daemon whose store they read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Iterable[web.RouteDef]:
        """Method, path and handler of each."""
        return (
            web.get("/api/v1/symbols", self._symbols),
            web.get("/api/v1/graph/callers", self._about(callers)),
            web.get("/api/v1/graph/callees", self._about(callees)),
            web.get("/api/v1/graph/references", self._about(references)),
            web.get("/api/v1/graph/supertypes", self._about(supertypes)),
            web.get("/api/v1/graph/subtypes", self._about(subtypes)),
            web.get("/api/v1/graph/implementations", self._about(implementations)),
            web.get("/api/v1/graph/unused", self._unused),
            web.get("/api/v1/graph/explain", self._about(self._explain)),
        )

    async def _symbols(self, request: web.Request) -> web.Response:
        wanted = from_query(request, SymbolQuery)
        now, unindexed = self._daemon.clock.time(), self._daemon.unindexed()
        found = await self._daemon.store.read(
            lambda reader: symbols(
                reader,
                wanted.q,
                now=now,
                kind=wanted.kind,
                path=wanted.path,
                workspace=wanted.workspace,
                limit=wanted.limit,
                unindexed=unindexed,
            )
        )
        return answer(found)

    async def _unused(self, request: web.Request) -> web.Response:
        wanted = from_query(request, UnusedQuery)
        now, unindexed = self._daemon.clock.time(), self._daemon.unindexed()
        found = await self._daemon.store.read(
            lambda reader: unused(
                reader,
                now=now,
                workspace=wanted.workspace,
                kind=wanted.kind,
                path=wanted.path,
                sure=wanted.sure,
                limit=wanted.limit,
                advice=self._daemon.advice,
                unindexed=unindexed,
            )
        )
        return answer(found)

    def _explain(
        self,
        reader: Reader,
        selected: Selected,
        *,
        now: float,
        advice: Advice,
        unindexed: UnindexedOf,
    ) -> ExplainAnswer:
        del unindexed  # it is about one symbol, whose file is looked at
        most = self._daemon.max_attempts
        return explain(reader, selected, now=now, max_attempts=most, advice=advice)

    def _about(self, question: Question) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            wanted = from_query(request, AboutSymbol)
            now, unindexed = self._daemon.clock.time(), self._daemon.unindexed()

            waited_for: list[int] = []

            def ask(reader: Reader) -> object:
                selected = select(reader, wanted.symbol, workspace=wanted.workspace)
                waited_for.extend(_unsettled(reader, selected))
                return question(
                    reader,
                    selected,
                    now=now,
                    advice=self._daemon.advice,
                    unindexed=unindexed,
                )

            found = await self._daemon.store.read(ask)
            if waited_for:
                with suppress(StoreUnavailable):
                    await self._daemon.store.prefer(waited_for)
            return answer(found)

        return handler


def _unsettled(reader: Reader, selected: Selected) -> list[int]:
    """Whose outcomes an answer about the symbol still lacks: they are served next."""
    names = {symbol.name for symbol in selected.symbols}
    mentioning = reader.unsettled_mentions(names, selected.workspace.id)
    about = [symbol for symbol in selected.symbols if symbol.pending]
    return [symbol.id for symbol in (*about, *mentioning) if symbol.pending]
