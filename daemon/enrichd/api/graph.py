"""The routes that ask the graph: what the query commands give, each answer with how whole it is."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Annotated, Protocol, TypeVar

from msgspec import Meta, Struct

from enrichd.api.daemon import Daemon, circumstances
from enrichd.api.parameters import GlobOrFolder, Limit, SymbolPattern, SymbolText, Text, about
from enrichd.api.routing import AMBIGUOUS, NOT_FOUND, Route, get
from enrichd.query.answers import Circumstances
from enrichd.query.edges import EdgeAnswer, callees, callers, references
from enrichd.query.explain import ExplainAnswer, explain
from enrichd.query.select import Selected, select
from enrichd.query.symbols import SymbolList, symbols
from enrichd.query.types import implementations, subtypes, supertypes
from enrichd.query.unused import UnusedList, unused
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import SymbolKind
from enrichd_tracker.store.port import Reader

R = TypeVar("R", bound=Struct)
R_co = TypeVar("R_co", bound=Struct, covariant=True)

Sure = Annotated[bool, Meta(description="Only what no use that led nowhere may mean.")]


class SymbolQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """A name, a part of one, or a glob, and where to look."""

    q: SymbolPattern
    kind: SymbolKind | None = None
    path: GlobOrFolder | None = None
    workspace: Text | None = None
    limit: Limit = 100


class UnusedQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Where to look for what nothing points at."""

    kind: SymbolKind | None = None
    path: GlobOrFolder | None = None
    workspace: Text | None = None
    sure: Sure = False
    limit: Limit = 100


class AboutSymbol(Struct, frozen=True, forbid_unknown_fields=True):
    """The symbol that a question is about."""

    symbol: SymbolText
    workspace: Text | None = None


class Question(Protocol[R_co]):
    """One of the functions of ``enrichd.query`` that are asked about a symbol."""

    def __call__(self, reader: Reader, selected: Selected, given: Circumstances, /) -> R_co: ...


class GraphRoutes:
    """The handlers, around the daemon whose store they read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Iterable[Route]:
        """What each asks and gives."""
        return (
            get(
                "/api/v1/symbols",
                "Find symbols by a name, a part of one, or a glob",
                self._symbols,
                asks=SymbolQuery,
                gives=SymbolList,
                refuses=(NOT_FOUND,),
            ),
            self._about("callers", "Who calls it", callers, EdgeAnswer),
            self._about("callees", "What its code calls", callees, EdgeAnswer),
            self._about("references", "Who mentions it", references, EdgeAnswer),
            self._about("supertypes", "From what it inherits", supertypes, EdgeAnswer),
            self._about("subtypes", "What inherits from it", subtypes, EdgeAnswer),
            self._about("implementations", "What overrides it", implementations, EdgeAnswer),
            get(
                "/api/v1/graph/unused",
                "What nothing points at, and how sure that is",
                self._unused,
                asks=UnusedQuery,
                gives=UnusedList,
                refuses=(NOT_FOUND,),
            ),
            self._about(
                "explain",
                "What was asked about it, what came of it, what comes next",
                self._explain,
                ExplainAnswer,
            ),
        )

    async def _symbols(self, asked: SymbolQuery) -> SymbolList:
        given = circumstances(self._daemon)
        return await self._daemon.store.read(
            lambda reader: symbols(
                reader,
                asked.q,
                given,
                kind=asked.kind,
                path=asked.path,
                workspace=asked.workspace,
                limit=asked.limit,
            )
        )

    async def _unused(self, asked: UnusedQuery) -> UnusedList:
        given = circumstances(self._daemon)
        return await self._daemon.store.read(
            lambda reader: unused(
                reader,
                given,
                workspace=asked.workspace,
                kind=asked.kind,
                path=asked.path,
                sure=asked.sure,
                limit=asked.limit,
            )
        )

    def _explain(self, reader: Reader, selected: Selected, given: Circumstances) -> ExplainAnswer:
        return explain(reader, selected, given, max_attempts=self._daemon.max_attempts)

    def _about(self, name: str, summary: str, question: Question[R], gives: type[R]) -> Route:
        async def ask(asked: AboutSymbol) -> R:
            given = circumstances(self._daemon)
            waited_for: list[int] = []

            def read(reader: Reader) -> R:
                with about("symbol"):
                    selected = select(reader, asked.symbol, workspace=asked.workspace)
                waited_for.extend(_unsettled(reader, selected))
                return question(reader, selected, given)

            found = await self._daemon.store.read(read)
            if waited_for:
                with suppress(StoreUnavailable):
                    await self._daemon.store.prefer(waited_for)
            return found

        return get(
            f"/api/v1/graph/{name}",
            summary,
            ask,
            asks=AboutSymbol,
            gives=gives,
            refuses=(NOT_FOUND, AMBIGUOUS),
        )


def _unsettled(reader: Reader, selected: Selected) -> list[int]:
    """Whose outcomes an answer about the symbol still lacks: they are served next."""
    names = {symbol.name for symbol in selected.symbols}
    mentioning = reader.mentions(names, selected.workspace.id).unsettled
    about = [symbol for symbol in selected.symbols if symbol.pending]
    return [symbol.id for symbol in (*about, *mentioning) if symbol.pending]
