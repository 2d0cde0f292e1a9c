"""Why a symbol is where it is: what was asked about it, what came of it, what comes next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from enrichd.query import completeness, disk
from enrichd.query.answers import (
    SCHEMA_VERSION,
    Circumstances,
    SymbolView,
    Views,
    moment,
    moment_or_none,
)
from enrichd.query.completeness import ERROR, Completeness
from enrichd.query.lanes import language_title
from enrichd.query.select import Selected
from enrichd_tracker.model import (
    NEEDED_OPERATIONS,
    Lane,
    Operation,
    OutcomeKind,
    ParseStatus,
    Relation,
    SymbolKind,
    operations_of,
)
from enrichd_tracker.store.port import Reader, Requirement, StoredEdge, StoredSymbol

PENDING = "pending"


class SymbolState(StrEnum):
    """Where a symbol stands in its life."""

    PENDING = "pending"
    BACKING_OFF = "backing_off"
    SKIPPED = "skipped"
    ENRICHED = "enriched"
    EXTERNAL = "external"


class OperationView(Struct, frozen=True):
    """One operation that the symbol needs, and what became of it."""

    operation: str
    outcome: str
    """``edges``, ``none``, ``error``, or ``pending``."""
    edges: dict[str, int]
    """By relation."""
    server: str
    version: str
    at: datetime | None
    reason: str


class Explanation(Struct, frozen=True):
    """All that is known about one symbol's enrichment."""

    symbol: SymbolView
    end_line: int | None
    state: SymbolState
    operations: list[OperationView]
    attempts: int
    max_attempts: int
    last_attempt_at: datetime | None
    next_retry_at: datetime | None
    reason: str
    server: str
    """Who is asked about this language; empty: nobody yet."""
    parse: str
    """How its file parsed."""
    edges_out: dict[str, int]
    edges_in: dict[str, int]
    cannot_know: list[str]


class ExplainAnswer(Struct, frozen=True):
    """One explanation for each of the same-named siblings."""

    schema_version: int
    symbols: list[Explanation]
    completeness: Completeness
    """Of what is known about their own bodies."""


def explain(
    reader: Reader, selected: Selected, given: Circumstances, *, max_attempts: int = 7
) -> ExplainAnswer:
    """Explain the symbol; ``max_attempts`` is what the tracker is set to."""
    views = Views.of(reader)
    return ExplainAnswer(
        schema_version=SCHEMA_VERSION,
        symbols=[
            _explain_one(reader, selected, symbol, views, max_attempts)
            for symbol in selected.symbols
        ],
        completeness=completeness.of_outward(reader, selected, given),
    )


def _explain_one(
    reader: Reader, selected: Selected, symbol: StoredSymbol, views: Views, max_attempts: int
) -> Explanation:
    record = reader.failure(symbol.id)
    outcomes = reader.outcomes_of(symbol.id)
    lane = Lane(symbol.workspace_id, symbol.language)
    requirement = next((each for each in reader.requirements() if each.lane == lane), None)
    file = reader.file(selected.workspace.id, symbol.path) if symbol.path is not None else None
    if symbol.path is None:
        state = SymbolState.EXTERNAL
    elif record is not None:
        state = SymbolState.SKIPPED if record.skipped else SymbolState.BACKING_OFF
    else:
        state = SymbolState.PENDING if symbol.pending else SymbolState.ENRICHED
    return Explanation(
        symbol=views.symbol(symbol),
        end_line=symbol.end_line + 1 if symbol.path is not None else None,
        state=state,
        operations=[
            _operation(each, symbol, outcomes) for each in required_operations(symbol, requirement)
        ],
        attempts=record.attempts if record else 0,
        max_attempts=max_attempts,
        last_attempt_at=moment_or_none(record.last_attempt_at if record else None),
        next_retry_at=moment_or_none(record.next_retry_at if record else None),
        reason=record.reason if record else "",
        server=requirement.server if requirement else "",
        parse=file.status if file else "",
        edges_out=_by_relation(outcomes),
        edges_in=_by_relation(reader.edges_to([symbol.id], list(Relation))),
        cannot_know=list(_limits(reader, selected, symbol, requirement)),
    )


def required_operations(
    symbol: StoredSymbol, requirement: Requirement | None
) -> tuple[Operation, ...]:
    """What the symbol's kind needs, as far as its language's server is asked for it."""
    if symbol.path is None:
        return ()
    needed = NEEDED_OPERATIONS[SymbolKind(symbol.kind)]
    asked = set(operations_of(requirement.operations)) if requirement else needed
    return tuple(each for each in Operation if each in needed and each in asked)


def _operation(
    operation: Operation, symbol: StoredSymbol, outcomes: Iterable[StoredEdge]
) -> OperationView:
    own = [edge for edge in outcomes if edge.operation == operation]
    sentinel = next((edge for edge in own if not edge.relation), None)
    newest = sentinel or max(own, key=lambda edge: edge.at, default=None)
    if symbol.pending & operation.bit or newest is None:
        outcome: str = PENDING
    elif sentinel is not None:
        outcome = OutcomeKind.ERROR if sentinel.target.name == ERROR else OutcomeKind.NONE
    else:
        outcome = OutcomeKind.EDGES
    return OperationView(
        operation=operation,
        outcome=outcome,
        edges=_by_relation(own),
        server=newest.server if newest else "",
        version=newest.version if newest else "",
        at=moment(newest.at) if newest else None,
        reason=newest.reason if newest else "",
    )


def _by_relation(edges: Iterable[StoredEdge]) -> dict[str, int]:
    counts = Counter(edge.relation for edge in edges if edge.relation)
    return {relation: counts[relation] for relation in Relation if counts[relation]}


def _limits(
    reader: Reader, selected: Selected, symbol: StoredSymbol, requirement: Requirement | None
) -> Iterable[str]:
    if symbol.path is None:
        yield "it lies outside the workspace: its body was not read"
        return
    if requirement is None or not requirement.version:
        who = f"{requirement.server} has" if requirement else "no server has"
        yield f"{who} not yet answered for {language_title(symbol.language)}"
    elif (
        not required_operations(symbol, requirement) and NEEDED_OPERATIONS[SymbolKind(symbol.kind)]
    ):
        yield f"{requirement.server} is not asked for what a {symbol.kind} needs"
    if not NEEDED_OPERATIONS[SymbolKind(symbol.kind)]:
        yield f"nothing: a {symbol.kind} has no body of its own, what it uses belongs to its scope"
    file = reader.file(selected.workspace.id, symbol.path)
    if file is not None and file.status in {ParseStatus.PARTIAL, ParseStatus.ERROR}:
        yield f"{symbol.path} did not parse whole: what stands in the broken parts"
    for path, change in disk.drifted(reader, selected.workspace, [symbol.path]):
        yield f"{path} is {change} on disk since it was indexed"
