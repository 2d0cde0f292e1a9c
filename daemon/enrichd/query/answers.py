"""The values that answers are made of: what the CLI prints and what the API serialises.

Lines and columns are 1-based here and columns count UTF-8 bytes; times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:  # who only shows an answer of the daemon needs no store
    from enrichd_tracker.model import Workspace
    from enrichd_tracker.store.port import Reader, StoredEdge, StoredSymbol

SCHEMA_VERSION = 1

Advice = Callable[[str], str]
"""Given a language whose server is missing: what a person can do about it, or nothing."""


def no_advice(language: str) -> str:
    """What to answer where nothing is known about servers."""
    del language
    return ""


class Unindexed(Struct, frozen=True):
    """Files of a workspace that were touched and are not in the graph as they are now."""

    count: int = 0
    paths: list[str] = []
    """The first few, relative to the root."""
    lag_s: float = 0.0
    """How long the oldest waits."""
    suspects: list[str] | None = None
    """Only these files may not be as they were indexed, and are to be looked at; None: any may."""


class UnindexedFiles(Struct, frozen=True, kw_only=True):
    """By the name of the workspace: what was touched and is not in the graph as it is now."""

    schema_version: int = SCHEMA_VERSION
    workspaces: dict[str, Unindexed]


NOTHING = Unindexed()

UnindexedOf = Callable[[int], Unindexed]
"""Given a workspace's id."""


def all_indexed(workspace_id: int) -> Unindexed:
    """What to answer where nobody watches."""
    del workspace_id
    return NOTHING


class Circumstances(Struct, frozen=True):
    """What an answer depends on beside the graph."""

    now: float
    """Seconds since the epoch."""
    advice: Advice = no_advice
    unindexed: UnindexedOf = all_indexed


class SymbolView(Struct, frozen=True):
    """A symbol as it is shown; what lies outside the workspace has a package and no place."""

    uid: str
    name: str
    qualified_name: str
    kind: str
    language: str
    workspace: str
    file: str | None
    line: int | None
    column: int | None
    external: bool
    package: str | None

    @property
    def place(self) -> str:
        """``path:line``, or the package of what lies outside."""
        return f"{self.file}:{self.line}" if self.file is not None else f"({self.package})"


class OriginView(Struct, frozen=True):
    """Who gave an edge, to which operation, and when."""

    server: str
    version: str
    operation: str
    at: datetime


class EdgeView(Struct, frozen=True):
    """An edge as one end sees it: the symbol at the other end, and the site that shows it."""

    symbol: SymbolView
    relation: str
    file: str | None
    line: int
    column: int
    origin: OriginView
    unparsed: bool
    """The site stands in a part of the file that did not parse."""


def moment(at: float) -> datetime:
    """Seconds since the epoch as the UTC time that is shown."""
    return datetime.fromtimestamp(at, UTC)


def moment_or_none(at: float | None) -> datetime | None:
    """The same, for what may not have happened."""
    return None if at is None else moment(at)


class Views:
    """Makes views for one answer; knows the names of the workspaces."""

    def __init__(self, workspaces: Iterable[Workspace]) -> None:
        self._names = {workspace.id: workspace.name for workspace in workspaces}

    @classmethod
    def of(cls, reader: Reader) -> Views:
        """For answers from this reader."""
        return cls(reader.workspaces())

    def symbol(self, symbol: StoredSymbol) -> SymbolView:
        inside = symbol.path is not None
        return SymbolView(
            uid=symbol.uid,
            name=symbol.name,
            qualified_name=symbol.qualified_name,
            kind=symbol.kind,
            language=symbol.language,
            workspace=self._names.get(symbol.workspace_id, ""),
            file=symbol.path,
            line=symbol.line + 1 if inside else None,
            column=symbol.column + 1 if inside else None,
            external=not inside,
            package=None if inside else package_of(symbol),
        )

    def edge(self, edge: StoredEdge, shown: StoredSymbol) -> EdgeView:
        return EdgeView(
            symbol=self.symbol(shown),
            relation=edge.relation,
            file=edge.source.path,
            line=edge.line + 1,
            column=edge.column + 1,
            origin=OriginView(
                server=edge.server,
                version=edge.version,
                operation=operation_of(edge),
                at=moment(edge.at),
            ),
            unparsed=edge.unparsed,
        )


def package_of(symbol: StoredSymbol) -> str:
    """Where a symbol outside the workspace comes from; its uid is the package and its name."""
    return symbol.uid.removesuffix(f" {symbol.qualified_name}")


def operation_of(edge: StoredEdge) -> str:
    """What an edge answers; ``syntax`` where the text alone proves it."""
    return "syntax" if edge.by_syntax else edge.operation


def listed(names: Iterable[str], shown: int = 3) -> str:
    """The first few, and how many more there are."""
    every = list(names)
    more = len(every) - shown
    return ", ".join(every[:shown]) + (f" and {more} more" if more > 0 else "")


def counted(number: int, noun: str) -> str:
    """``1 symbol``, ``2 symbols``."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def duration(seconds: float) -> str:
    """A length of time in one unit, as short as a person needs it."""
    seconds = max(seconds, 0.0)
    for limit, unit, name in ((60, 1, "s"), (3600, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{int(seconds // unit)} {name}"
    return f"{int(seconds // 86_400)} days"
