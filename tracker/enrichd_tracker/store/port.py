"""The port: what the rest of enrichd asks of a store, whatever stands behind it.

Reads are functions of a Reader, run where the store keeps its read-only side; writes are the
store's own coroutines, each one transaction. Work is taken by claim: a lease with a deadline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Protocol, TypeVar

from msgspec import Struct, field

from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import (
    Canary,
    Failure,
    FileStat,
    KnownFile,
    Lane,
    Operation,
    Origin,
    Outcome,
    ParsedFile,
    ParseStatus,
    SymbolKind,
    Work,
    Workspace,
)
from enrichd_tracker.store.port_embeddings import EmbeddingsReader, EmbeddingsStore
from enrichd_tracker.store.port_runs import RunsReader, RunsStore

T = TypeVar("T")


class StoredSymbol(Struct, frozen=True):
    """A symbol as it is kept; ``path`` is None outside the workspace."""

    id: int
    workspace_id: int
    uid: str
    name: str
    qualified_name: str
    kind: str
    language: str
    path: str | None
    line: int
    column: int
    start_line: int
    end_line: int
    overload: bool
    pending: int
    failed: bool
    parent_id: int | None


class StoredEdge(Struct, frozen=True):
    """An edge as it is kept; the relation of an edge to a sentinel is the empty string."""

    source: StoredSymbol
    target: StoredSymbol
    relation: str
    line: int
    column: int
    operation: str
    server: str
    version: str
    by_syntax: bool
    unparsed: bool
    at: float
    reason: str


class Definition(Struct, frozen=True):
    """A symbol that a position stands for."""

    symbol_id: int
    kind: SymbolKind
    name: str
    overload: bool
    qualified_name: str


class FileDefinitions(Struct):
    """Which positions of a file stand for which symbols."""

    stat: FileStat
    ascii: bool
    import_sites: set[tuple[int, int]]
    at: dict[tuple[int, int], Definition] = field(default_factory=dict)
    by_descriptors: dict[str, Definition] = field(default_factory=dict)
    module: Definition | None = None

    def add(
        self,
        symbol_id: int,
        positions: Iterable[tuple[int, int]],
        *,
        kind: str,
        name: str,
        overload: bool,
        qualified_name: str,
        descriptors: str,
    ) -> None:
        """Enter one symbol of the file."""
        definition = Definition(symbol_id, SymbolKind(kind), name, overload, qualified_name)
        self.by_descriptors[descriptors] = definition
        if definition.kind is SymbolKind.MODULE and not descriptors:
            self.module = definition
            return
        for position in positions:
            self.at[position] = definition


class Mentions(Struct, frozen=True):
    """What is known of all symbols whose bodies mention some names."""

    unsettled: list[StoredSymbol]
    """Those that lack an outcome, or whose last attempt failed."""
    unresolved: int
    """Uses of the names, in symbols that have their outcomes, that led nowhere."""
    newest: tuple[Origin, float] | None
    """The newest answer to one of them: whose, and when."""


class Requirement(Struct, frozen=True):
    """What a lane's server is asked for; ``version`` is empty until it has started once."""

    lane: Lane
    server: str
    version: str
    operations: int


class WorkspaceCounts(Struct, frozen=True):
    """The numbers of one workspace."""

    files: int
    symbols: int
    orphans: int
    backing_off: int
    skipped: int
    edges: dict[str, int]
    outcomes: dict[str, int]
    parse: dict[str, int]
    indexed_at: float | None

    @property
    def enriched(self) -> int:
        """Symbols of which all that is needed is known."""
        return self.symbols - self.orphans - self.skipped


class Charge(Struct, frozen=True):
    """A failed attempt and the revision of the symbol that it was made for."""

    record: FailureRecord
    revision: int


class Batch(Struct, frozen=True):
    """What workers found out, to be written as one transaction."""

    outcomes: list[Outcome]
    charges: list[Charge]
    cleared: list[int]
    """Symbols whose earlier failures are over."""


class Committed(Struct, frozen=True):
    """What became of a batch."""

    written: int
    dropped: list[int]
    """Symbols that changed while they were asked about: nothing was written for them."""


class Stored(Struct):
    """What storing files came to."""

    files: int = 0
    symbols: int = 0
    reopened: int = 0
    """Symbols of other files that are asked again."""
    had_failed: list[int] = field(default_factory=list)
    """Symbols whose failures are forgotten: the tracker forgets them too."""
    unwritten: dict[str, Failure] = field(default_factory=dict)
    """Path to reason of files whose rows could not be written; all others were."""


class SeenEdge(Struct, frozen=True):
    """An edge by what it says; one to a sentinel has no relation and no place."""

    relation: str
    target: str
    """The uid."""
    line: int
    column: int


class Difference(Struct, frozen=True):
    """What was found about a symbol just now against the outcome that is stored."""

    missing: list[SeenEdge]
    """Found, but not stored."""
    extra: list[SeenEdge]
    """Stored, but not found."""
    at: float | None
    """When the stored outcome was written; None: there is none at all."""
    origin: Origin | None
    """Who gave it."""
    indexed_at: float
    """When the symbol's file was last indexed."""

    @property
    def nothing(self) -> bool:
        """Whether the two are equal."""
        return not (self.missing or self.extra)


class Reader(Protocol):
    """Read-only questions; see the SQLite reader for what each gives."""

    @property
    def runs(self) -> RunsReader:
        """Jobs, how files parsed, what went wrong."""
        ...

    @property
    def embeddings(self) -> EmbeddingsReader:
        """What symbols mean."""
        ...

    def workspaces(self) -> list[Workspace]: ...
    def indexed_at(self, workspace_id: int) -> float | None: ...
    def files(self, workspace_id: int) -> dict[str, KnownFile]: ...
    def file(self, workspace_id: int, path: str) -> KnownFile | None: ...
    def languages(self, workspace_id: int) -> dict[str, int]: ...
    def names(self, workspace_id: int) -> set[str]: ...
    def definitions(self, workspace_id: int, path: str) -> FileDefinitions | None: ...
    def canary(self, lane: Lane) -> Canary | None: ...
    def file_with_symbols(self, lane: Lane) -> str | None: ...
    def requirements(self) -> list[Requirement]: ...
    def symbol(self, symbol_id: int) -> StoredSymbol | None: ...
    def symbol_by_uid(self, uid: str, workspace_id: int | None = None) -> list[StoredSymbol]: ...
    def symbols_named(self, name: str, workspace_id: int | None = None) -> list[StoredSymbol]: ...
    def symbols_like(
        self, glob: str, workspace_id: int | None = None, limit: int = -1
    ) -> list[StoredSymbol]: ...
    def symbols_in(self, workspace_id: int, path: str) -> list[StoredSymbol]: ...
    def edges_to(self, symbol_ids: Iterable[int], relations: Iterable[str]) -> list[StoredEdge]: ...
    def edges_from(
        self, symbol_ids: Iterable[int], relations: Iterable[str]
    ) -> list[StoredEdge]: ...
    def outcomes_of(self, symbol_id: int) -> list[StoredEdge]: ...
    def every_edge(self, workspace_id: int | None = None) -> Iterator[StoredEdge]: ...
    def edges_in(self, workspace_id: int, path: str) -> list[StoredEdge]: ...
    def every_child(
        self, workspace_id: int | None = None
    ) -> Iterator[tuple[int, StoredSymbol]]: ...
    def mentions(self, names: Iterable[str], workspace_id: int) -> Mentions:
        """What is known of the symbols that mention one of the names, under any alias."""
        ...

    def unused(self, workspace_id: int, limit: int, offset: int) -> list[StoredSymbol]:
        """Definitions that nothing points at, in order of their places."""
        ...

    def unparsed_files(self, workspace_id: int) -> list[tuple[str, ParseStatus]]: ...
    def file_stats(self, workspace_id: int) -> list[tuple[str, FileStat]]: ...
    def failures(
        self,
        workspace_id: int | None = None,
        *,
        skipped: bool | None = None,
        limit: int = -1,
        offset: int = 0,
    ) -> list[FailureRecord]: ...
    def failure(self, symbol_id: int) -> FailureRecord | None: ...
    def counts(self, workspace_id: int) -> WorkspaceCounts: ...
    def orphans_by_language(self, workspace_id: int, *, retries: bool = True) -> dict[str, int]: ...
    def verify(self) -> list[str]: ...
    def sample(self, places: Iterable[float]) -> list[Work]: ...
    def settled(self, symbol_ids: Iterable[int]) -> list[Work]: ...
    def settled_in(self, file_id: int, limit: int) -> list[int]: ...
    def difference(self, outcome: Outcome) -> Difference | None: ...


class Store(RunsStore, EmbeddingsStore, Protocol):
    """Durable state. Every coroutine but ``read`` is one transaction, all of it or nothing.

    Raises StoreUnavailable when it can't write just now: nothing was lost, ask again.
    """

    def displaced(self) -> str | None:
        """Why what is written here is lost: the files are not where they were opened.

        May block: a look at the file system.
        """
        ...

    async def read(self, question: Callable[[Reader], T]) -> T:
        """Ask the read-only side."""
        ...

    async def close(self) -> None: ...

    async def add_workspace(self, name: str, root: str) -> Workspace:
        """The workspace of this root, made where it is new; its name stays what it was."""
        ...

    async def remove_workspace(self, workspace_id: int) -> list[int]:
        """Forget it whole; returns symbols that had failed."""
        ...

    async def store_files(
        self,
        workspace_id: int,
        files: list[ParsedFile],
        removed: list[str],
        *,
        renamed: Mapping[str, str] = MappingProxyType({}),
    ) -> Stored:
        """Store what was parsed; forget the removed paths.

        ``renamed``: new path to old path of files among those parsed that were only renamed.
        """
        ...

    async def finish_run(
        self, workspace_id: int, job_id: str | None = None, commit: str | None = None
    ) -> None:
        """All files of a run are stored: from now on changes are changes."""
        ...

    async def claim(self, lane: Lane, limit: int, *, owner: str, lease_s: float) -> list[Work]:
        """Take orphans that never failed, in their order; nobody else gets them till released."""
        ...

    async def claim_again(self, symbol_ids: list[int], *, owner: str, lease_s: float) -> list[Work]:
        """Take these orphans, which failed before, if nobody has them."""
        ...

    async def release(self, symbol_ids: Iterable[int]) -> None:
        """Give back what was claimed and not committed."""
        ...

    async def commit(self, batch: Batch) -> Committed:
        """Write outcomes and failures, and release their symbols."""
        ...

    async def require(
        self,
        lane: Lane,
        server: str,
        operations: tuple[Operation, ...],
        *,
        version: str = "",
        settings: str = "",
        by_bodies: bool = True,
    ) -> list[int]:
        """What the lane's server is asked for; returns symbols whose failures are reconsidered.

        ``by_bodies``: it concludes from a function's body what it returns.
        """
        ...

    async def surround(self, lane: Lane, digest: str) -> list[int] | None:
        """Remember what a server finds around the lane's files when it starts.

        Where that has changed all of the lane's symbols are orphans again; returns those that had
        failed, and None where nothing has changed.
        """
        ...

    async def prefer(self, symbol_ids: list[int]) -> None:
        """Let these orphans be claimed before all others."""
        ...

    async def retry(self, symbol_ids: list[int]) -> list[int]:
        """Make them orphans again; returns those that had failed."""
        ...

    async def replace(self, outcomes: list[Outcome], *, recount: bool) -> bool:
        """Write a symbol's outcomes in place of those that are stored.

        False: it is not as it was asked about any more, and nothing was written. ``recount``:
        have the counts of the workspace made anew too.
        """
        ...

    async def distrust(self, workspace_id: int, path: str) -> None:
        """Have the next run read a file anew, whatever its size, time and inode say."""
        ...
