"""A graph of as many symbols as wanted, with degrees as real ones have; made once and kept.

Django is the model: 21 symbols a file, four edges a symbol, most of them to places close by, and a
few names that everybody uses. It is written through the store's own port, so that what the store
promises holds of it too; above 100,000 symbols it is so many copies of that, side by side.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bench import copies
from bench.figures import Say
from bench.trees import KEPT
from enrichd.clock import FakeClock, SystemClock
from enrichd_tracker.backoff import BackoffPolicy
from enrichd_tracker.enrichment import EnrichmentTracker
from enrichd_tracker.model import (
    Binding,
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
)
from enrichd_tracker.store.connection import migrations
from enrichd_tracker.store.port import Batch, Charge
from enrichd_tracker.store.sqlite import SqliteStore

MAIN, DUE, FAILED = "main", "due", "failed"
"""Its workspaces: one is settled, in one nothing was asked yet, in one all failed once."""
DUE_SYMBOLS = 1_000
BATCH = 500
"""Outcomes to a transaction, as the recorder writes them."""
_FILES_AT_ONCE = 100
_WRITTEN = 100_000
"""Larger graphs are copies of one of so many symbols."""
_A_FILE = 20
"""Symbols of a file: its module, two classes with seven methods each, functions, a constant."""
_FIRST_ID = 3
"""Before it come the sentinels."""
_ORIGIN = Origin("ty", "0.0.104")
_COMMON = [f"get_{number}" for number in range(2_000)]
_ROLES = {
    Relation.CALLS: Role.CALL,
    Relation.INSTANTIATES: Role.CALL,
    Relation.REFERENCES: Role.REFERENCE,
    Relation.IMPORTS: Role.IMPORT,
    Relation.INHERITS: Role.INHERIT,
}
_KINDS = (
    SymbolKind.MODULE,
    *(SymbolKind.CLASS, *(SymbolKind.METHOD,) * 7) * 2,
    *(SymbolKind.FUNCTION,) * 2,
    SymbolKind.CONSTANT,
)
_OWNERS = (-1, 0, *(1,) * 7, 0, *(9,) * 7, 0, 0, 0)


@dataclass(frozen=True)
class Synthetic:
    """Where a kept graph is."""

    database: Path
    symbols: int


def kept(symbols: int, say: Say) -> Synthetic:
    """The graph with (about) so many symbols in its main workspace; seconds to minutes at first."""
    own = hashlib.blake2b(digest_size=6)
    for text in (*migrations(), *(Path(each).read_text() for each in (__file__, copies.__file__))):
        own.update(text.encode())
    folder = KEPT / f"synthetic-{symbols}" / own.hexdigest()
    database = folder / "graph.db"
    if not (folder / "made").exists():
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        say(f"making a graph of {symbols:,} symbols, once")
        asyncio.run(_make(database, folder, min(symbols, _WRITTEN) // _A_FILE))
        if symbols > _WRITTEN:
            copies.multiply(database, MAIN, symbols // _WRITTEN)
            for number in range(1, symbols // _WRITTEN):
                (folder / MAIN / copies.prefix(number)).symlink_to(folder / MAIN)
        (folder / "made").touch()
    return Synthetic(database, symbols)


async def _make(database: Path, folder: Path, files: int) -> None:
    store = await SqliteStore.open(database, SystemClock())
    try:
        await fill(store, MAIN, folder / MAIN, files)
        await settle(store, files)
        few = DUE_SYMBOLS // _A_FILE * 3 // 2
        await fill(store, DUE, folder / DUE, few, after=files)
        lane = await fill(store, FAILED, folder / FAILED, few, after=files + few)
        works = await store.claim(lane, DUE_SYMBOLS, owner="bench", lease_s=1.0)
        assert len(works) == DUE_SYMBOLS
        long_ago = EnrichmentTracker(BackoffPolicy(), FakeClock(0.0))
        charges = [
            Charge(
                long_ago.record_failure(work, work.operations, "timed out", _ORIGIN.server),
                work.revision,
            )
            for work in works
        ]
        await store.commit(Batch([], charges, []))
    finally:
        await store.close()


async def fill(store: SqliteStore, name: str, root: Path, files: int, *, after: int = 0) -> Lane:
    """A workspace of so many files, with a server that is known, where nothing was asked yet.

    ``after``: the number of its first file.
    """
    workspace = await store.add_workspace(name, str(root))
    lane = Lane(workspace.id, "python")
    await store.require(lane, _ORIGIN.server, (Operation.DEFINITION,), version=_ORIGIN.version)
    numbers = range(after, after + files)
    for start in range(0, files, _FILES_AT_ONCE):
        some = numbers[start : start + _FILES_AT_ONCE]
        batch = [_written(number, root, after + files) for number in some]
        await store.store_files(workspace.id, batch, [])
    await store.finish_run(workspace.id)
    return lane


async def settle(store: SqliteStore, files: int) -> int:
    """Give every symbol of the first workspace its outcome; returns how many edges that took."""
    edges = 0
    for batch in batches(files):
        committed = await store.commit(batch)
        assert not committed.dropped
        edges += sum(len(outcome.edges) for outcome in batch.outcomes)
    return edges


def batches(files: int) -> Iterator[Batch]:
    """The outcomes of all symbols that have sites, as they come from workers."""
    outcomes: list[Outcome] = []
    for number in range(files):
        for place, uses in enumerate(_uses(number, files)):
            if not uses:
                continue
            edges = [
                ResolvedEdge(relation, _FIRST_ID + target, *_place_of(place, nth))
                for nth, (relation, target) in enumerate(uses)
            ]
            symbol_id = _FIRST_ID + number * _A_FILE + place
            outcomes.append(Outcome(symbol_id, 0, Operation.DEFINITION, _ORIGIN, edges))
            if len(outcomes) == BATCH:
                yield Batch(outcomes, [], [])
                outcomes = []
    yield Batch(outcomes, [], [])


def _uses(number: int, files: int) -> list[list[tuple[Relation, int]]]:
    """What each symbol of a file uses: the relation and the target's number."""
    chance = Random(number)
    found: list[list[tuple[Relation, int]]] = []
    for place, kind in enumerate(_KINDS):
        uses: list[tuple[Relation, int]] = []
        if kind is SymbolKind.CLASS and number % 50:
            # Every fiftieth file holds classes that others inherit from.
            uses.append((Relation.INHERITS, number // 50 * 50 * _A_FILE + place))
        many = {SymbolKind.MODULE: 9.0, SymbolKind.CLASS: 2.0, SymbolKind.CONSTANT: 0.0}
        for _ in range(min(60, int(chance.expovariate(1.0) * many.get(kind, 4.5)))):
            target = _target(chance, number, files)
            relation = {
                SymbolKind.MODULE: Relation.IMPORTS,
                SymbolKind.CLASS: Relation.INSTANTIATES,
            }.get(_KINDS[target % _A_FILE], Relation.REFERENCES)
            if _KINDS[target % _A_FILE] in {SymbolKind.METHOD, SymbolKind.FUNCTION}:
                relation = Relation.CALLS if chance.random() < 0.8 else Relation.REFERENCES
            uses.append((relation, target))
        found.append(uses)
    return found


def _target(chance: Random, number: int, files: int) -> int:
    """Mostly something of the same file, often a neighbour, else the more likely the older."""
    where = chance.random()
    if where < 0.5:
        file = number
    elif where < 0.7:
        file = max(0, number - chance.randrange(1, 40))
    else:
        file = int(files * chance.random() ** 3)
    return file * _A_FILE + chance.randrange(_A_FILE)


def _place_of(place: int, nth: int) -> tuple[int, int]:
    return place * 10 + 1 + nth // 4, 8 + nth % 4 * 20


def name_of(symbol: int) -> str:
    """Its own name: every second one is shared with others."""
    if symbol % 2:
        return f"name_{symbol}"
    share = symbol * 2_654_435_761 % 2**32 / 2**32  # as good as drawn, and much faster
    return _COMMON[int(len(_COMMON) * share**2)]


def uid_of(symbol: int) -> str:
    """What the store calls it."""
    number, place = divmod(symbol, _A_FILE)
    return f"{_path(number)}/{_descriptors(symbol - place, place)}"


def _path(number: int) -> str:
    return f"package_{number // 200}/module_{number}.py"


def _descriptors(first: int, place: int) -> str:
    kind, owner = _KINDS[place], _OWNERS[place]
    if kind is SymbolKind.MODULE:
        return ""
    prefix = _descriptors(first, owner) if owner > 0 else ""
    # Two methods of a class may bear one name: their places tell them apart.
    end = {SymbolKind.CLASS: "#", SymbolKind.CONSTANT: "."}.get(kind, f"(+{place}).")
    return f"{prefix}{name_of(first + place)}{end}"


def _written(number: int, root: Path, files: int) -> ParsedFile:
    """What a parser would give, and the file on disk that it would have it from."""
    path = root / _path(number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\n")
    stat = path.stat()
    module = _path(number).removesuffix(".py").replace("/", ".")
    first = number * _A_FILE
    uses = _uses(number, files)
    symbols = []
    for place, kind in enumerate(_KINDS):
        owner, line = _OWNERS[place], place * 10
        name = name_of(first + place) if place else module.rpartition(".")[2]
        above = f"{name_of(first + owner)}." if owner > 0 else ""
        symbols.append(
            FoundSymbol(
                descriptors=_descriptors(first, place),
                name=name,
                qualified_name=above + name if place else module,
                kind=kind,
                parent=owner,
                line=line,
                column=8,
                start_line=line,
                start_column=4,
                end_line=line + 9,
                end_column=0,
                digest=hashlib.blake2b(b"%d" % (first + place), digest_size=16).digest(),
                face=b"face",
                sites=[
                    Site(name_of(target), *_place_of(place, nth), _ROLES[relation],
                         Binding.MEMBER)
                    for nth, (relation, target) in enumerate(uses[place])
                ],
            )
        )  # fmt: skip
    return ParsedFile(
        path=_path(number),
        language="python",
        stat=FileStat(stat.st_size, stat.st_mtime_ns, stat.st_ino),
        digest=hashlib.blake2b(b"%d" % number, digest_size=16).digest(),
        status=ParseStatus.OK,
        symbols=symbols,
    )
