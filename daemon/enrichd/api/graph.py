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
from enrichd.query.answers import Circumstances
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

    def __call__(self, reader: Reader, selected: Selected, given: Circumstances, /) -> object: ...


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
        wanted, given = from_query(request, SymbolQuery), self._circumstances()
        found = await self._daemon.store.read(
            lambda reader: symbols(
                reader,
                wanted.q,
                given,
                kind=wanted.kind,
                path=wanted.path,
                workspace=wanted.workspace,
                limit=wanted.limit,
            )
        )
        return answer(found)

    async def _unused(self, request: web.Request) -> web.Response:
        wanted, given = from_query(request, UnusedQuery), self._circumstances()
        found = await self._daemon.store.read(
            lambda reader: unused(
                reader,
                given,
                workspace=wanted.workspace,
                kind=wanted.kind,
                path=wanted.path,
                sure=wanted.sure,
                limit=wanted.limit,
            )
        )
        return answer(found)

    def _circumstances(self) -> Circumstances:
        daemon = self._daemon
        return Circumstances(daemon.clock.time(), daemon.advice, daemon.unindexed())

    def _explain(self, reader: Reader, selected: Selected, given: Circumstances) -> ExplainAnswer:
        return explain(reader, selected, given, max_attempts=self._daemon.max_attempts)

    def _about(self, question: Question) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def handler(request: web.Request) -> web.Response:
            wanted, given = from_query(request, AboutSymbol), self._circumstances()
            waited_for: list[int] = []

            def ask(reader: Reader) -> object:
                selected = select(reader, wanted.symbol, workspace=wanted.workspace)
                waited_for.extend(_unsettled(reader, selected))
                return question(reader, selected, given)

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
