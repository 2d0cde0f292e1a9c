"""A small graph written by hand into a real store, for tests of what is asked of graphs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from enrichd.clock import FakeClock
from enrichd.query.answers import Circumstances
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import (
    Binding,
    External,
    FileStat,
    FoundSymbol,
    Lane,
    Operation,
    Origin,
    Outcome,
    ParsedFile,
    ParseStatus,
    Relation,
    ResolvedEdge,
    Role,
    Site,
    SymbolKind,
    Workspace,
)
from enrichd_tracker.store.port import Batch, Charge, StoredSymbol
from enrichd_tracker.store.reader import SqliteReader
from enrichd_tracker.store.reading import reading
from enrichd_tracker.store.sqlite import SqliteStore

T = TypeVar("T")

START = 1_700_000_000.0
TY = Origin("ty", "0.0.104")
_ENDS = {
    SymbolKind.CLASS: "#",
    SymbolKind.FUNCTION: "().",
    SymbolKind.METHOD: "().",
    SymbolKind.PROPERTY: "().",
}


def defined(
    descriptors: str,
    kind: SymbolKind = SymbolKind.FUNCTION,
    *,
    line: int,
    end: int | None = None,
    uses: tuple[str, ...] = (),
    parent: int = 0,
    overload: bool = False,
) -> FoundSymbol:
    """A definition from ``line`` to ``end`` (1-based) that uses names; ``parent`` as in a file."""
    dotted = descriptors.replace("#", ".").replace("()", "").replace("(+1)", "").rstrip(".")
    inner = dotted.rpartition(".")[2]
    column = 4 * dotted.count(".") + 4
    return FoundSymbol(
        descriptors=descriptors,
        name=inner,
        qualified_name=dotted,
        kind=kind,
        parent=parent,
        line=line - 1,
        column=column,
        start_line=line - 1,
        start_column=column - 4,
        end_line=(end or line) - 1,
        end_column=80,
        digest=descriptors.encode(),
        overload=overload,
        sites=[
            Site(use, (end or line) - 1, 8 + place, Role.CALL, Binding.PLAIN)
            for place, use in enumerate(uses)
        ],
    )


class WrittenGraph:
    """A database and the folder that it is about."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "tree"
        self.database = folder / "graph.db"
        self.clock = FakeClock(START)
        self.root.mkdir()
        self.workspace = self.add_workspace("tree", self.root)

    # Writing

    def add_workspace(self, name: str, root: Path) -> Workspace:
        root.mkdir(exist_ok=True)
        return self._do(lambda store: store.add_workspace(name, str(root)))

    def file(
        self,
        path: str,
        *symbols: FoundSymbol,
        module: str | None = None,
        uses: tuple[str, ...] = (),
        status: ParseStatus = ParseStatus.OK,
        aliases: tuple[tuple[str, str], ...] = (),
        language: str = "python",
        workspace: Workspace | None = None,
    ) -> None:
        """Write the file and store what it defines."""
        workspace = workspace or self.workspace
        place = Path(workspace.root) / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n" * 100)
        stat = place.stat()
        dotted = module or path.rpartition(".")[0].replace("/", ".")
        owner = FoundSymbol(
            "", dotted.rpartition(".")[2], dotted, SymbolKind.MODULE, -1, 0, 0, 0, 0, 99, 0, b"m",
            sites=[Site(use, 0, 0, Role.REFERENCE, Binding.PLAIN) for use in uses],
        )  # fmt: skip
        parsed = ParsedFile(
            path=path,
            language=language,
            stat=FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ino),
            digest=b"d",
            status=status,
            symbols=[owner, *symbols],
            aliases=list(aliases),
        )
        self._do(lambda store: store.store_files(workspace.id, [parsed], []))

    def finish(self) -> None:
        """The first run has ended."""
        self._do(lambda store: store.finish_run(self.workspace.id))

    def serve(
        self,
        version: str = "0.0.104",
        language: str = "python",
        operations: tuple[Operation, ...] = (Operation.DEFINITION,),
    ) -> None:
        """A server has started for the language; without a version it never has."""
        lane = Lane(self.workspace.id, language)
        self._do(lambda store: store.require(lane, "ty", operations, version=version))

    def answer(
        self, uid: str, *edges: ResolvedEdge, failed: bool = False, reason: str = ""
    ) -> None:
        """The server's answer to what a symbol uses."""
        work = self.symbol(uid)
        outcome = Outcome(
            symbol_id=work.id,
            revision=0,
            operation=Operation.DEFINITION,
            origin=TY,
            edges=list(edges),
            failed=failed,
            reason=reason,
        )
        self._do(lambda store: store.commit(Batch([outcome], [], [])))

    def fail(
        self, uid: str, *, attempts: int, retry_in_s: float | None, reason: str = "timed out"
    ) -> None:
        """A failed attempt; without a next one the symbol is skipped and the error is written."""
        symbol = self.symbol(uid)
        now = self.clock.time()
        record = FailureRecord(
            symbol_id=symbol.id,
            uid=uid,
            lane=Lane(symbol.workspace_id, symbol.language),
            file=symbol.path or "",
            line=symbol.line,
            name=symbol.name,
            kind=symbol.kind,
            attempts=attempts,
            last_attempt_at=now,
            next_retry_at=None if retry_in_s is None else now + retry_in_s,
            operations=(Operation.DEFINITION,),
            reason=reason,
            server="ty",
        )
        outcomes = []
        if retry_in_s is None:
            outcomes = [
                Outcome(symbol.id, 0, Operation.DEFINITION, TY, [], failed=True, reason=reason)
            ]
        self._do(lambda store: store.commit(Batch(outcomes, [Charge(record, 0)], [])))

    def to(
        self,
        target: str | External,
        line: int,
        relation: Relation = Relation.CALLS,
        *,
        column: int = 8,
        by_syntax: bool = False,
        unparsed: bool = False,
    ) -> ResolvedEdge:
        """An edge to a symbol of the graph, seen at a 1-based line."""
        end = self.symbol(target).id if isinstance(target, str) else target
        return ResolvedEdge(relation, end, line - 1, column, by_syntax, unparsed)

    # Reading

    @contextmanager
    def reading(self) -> Iterator[SqliteReader]:
        with reading(self.database) as reader:
            yield reader

    def ask(self, question: Callable[[SqliteReader], T]) -> T:
        with self.reading() as reader:
            return question(reader)

    def symbol(self, uid: str) -> StoredSymbol:
        return self.ask(lambda reader: reader.symbol_by_uid(uid)[0])

    @property
    def given(self) -> Circumstances:
        """What its answers depend on beside it."""
        return Circumstances(self.now)

    @property
    def now(self) -> float:
        return self.clock.time()

    def _do(self, write: Callable[[SqliteStore], Awaitable[T]]) -> T:
        async def session() -> T:
            store = await SqliteStore.open(self.database, self.clock)
            try:
                return await write(store)
            finally:
                await store.close()

        return asyncio.run(session())


APP = "src/shop/app.py"
CLI = "src/shop/cli.py"
RUN = f"{APP}/Shop#run()."
MAIN = f"{CLI}/main()."
SETUP = f"{CLI}/setup()."


def shop(folder: Path) -> WrittenGraph:
    """Two files: a class whose method one function calls, and another that was not asked yet.

    ``shop.app``: class Shop (3 to 20) with run (5 to 9), an overloaded price (10 to 15) and the
    constant LIMIT; function close (22 to 24). ``shop.cli``: main (3 to 8) calls Shop() and
    Shop.run; setup (10 to 14) mentions run. Nothing is answered yet.
    """
    graph = WrittenGraph(folder)
    graph.file(
        APP,
        defined("Shop#", SymbolKind.CLASS, line=3, end=20),
        defined("Shop#run().", SymbolKind.METHOD, line=5, end=9, uses=("close",), parent=1),
        defined("Shop#price().", SymbolKind.METHOD, line=10, end=11, parent=1, overload=True),
        defined("Shop#price(+1).", SymbolKind.METHOD, line=12, end=15, parent=1),
        defined("Shop#LIMIT.", SymbolKind.CONSTANT, line=17, parent=1),
        defined("close().", line=22, end=24),
        module="shop.app",
    )
    graph.file(
        CLI,
        defined("main().", line=3, end=8, uses=("Shop", "run", "join")),
        defined("setup().", line=10, end=14, uses=("run",)),
        module="shop.cli",
    )
    graph.finish()
    graph.serve()
    return graph


def settled_shop(folder: Path) -> WrittenGraph:
    """The shop with every question answered; ``setup`` turned out to call nothing of it."""
    graph = shop(folder)
    graph.answer(RUN, graph.to(f"{APP}/close().", 9, by_syntax=True))
    graph.answer(
        MAIN,
        graph.to(f"{APP}/Shop#", 8, Relation.INSTANTIATES),
        graph.to(RUN, 8, column=9),
        graph.to(External("python-stdlib", "posixpath.join", "function"), 8, column=10),
    )
    graph.answer(SETUP)
    return graph
