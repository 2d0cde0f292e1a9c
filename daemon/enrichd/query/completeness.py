"""How far an answer can be trusted, and why not further: the promise that it never lies.

What is asked about a symbol's own body hangs on that symbol alone. What points *at* a symbol hangs
on every symbol whose body could mention it: "nobody calls it" is known only when all of these
have been asked, all files were read whole, and none has changed since.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from enrichd.query.answers import (
    Circumstances,
    Unindexed,
    counted,
    duration,
    listed,
    moment_or_none,
)
from enrichd.query.disk import Drift, drifted
from enrichd.query.lanes import Lanes, language_title
from enrichd.query.select import Selected
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import (
    NEEDED_OPERATIONS,
    Lane,
    ParseStatus,
    Relation,
    Workspace,
)
from enrichd_tracker.store.port import Mentions, Reader, StoredEdge, StoredSymbol

ERROR = "error"
"""The name of the sentinel that definitive failures point at."""
_SYNTAX = "syntax"
_BODIES = frozenset(kind for kind, needed in NEEDED_OPERATIONS.items() if needed)


class Trust(StrEnum):
    """How far an answer can be trusted; the worst first."""

    UNKNOWN = "unknown"
    STALE = "stale"
    PARTIAL = "partial"
    COMPLETE = "complete"


_SEVERITY = list(Trust)


class Completeness(Struct, frozen=True):
    """What is known about an answer's being whole."""

    level: Trust
    reasons: list[str]
    """Why it is no better; the gravest first."""
    as_of: datetime | None
    """Time of the newest answer that it rests on."""
    server: str
    """Who gave that; ``syntax`` where the text alone proves it."""
    version: str
    pending: int
    """Symbols that could change the answer and were not asked yet."""
    failed: int
    """Symbols that could change the answer and whose last attempt failed."""

    def text(self, now: float) -> str:
        """``complete; ty 0.0.104, 12 s ago``, or the level and its first reason."""
        parts = [f"{self.level}: {self.reasons[0]}" if self.reasons else str(self.level)]
        if self.level is not Trust.UNKNOWN and self.as_of is not None:
            who = f"{self.server} {self.version}".strip()
            parts.append(f"{who}, {duration(now - self.as_of.timestamp())} ago")
        return "; ".join(parts)


class _Findings:
    """Collects reasons; the worst of them decides."""

    def __init__(self, now: float) -> None:
        self.now = now
        self.pending = 0
        self.failed = 0
        self._reasons: list[tuple[Trust, str]] = []
        self._newest: tuple[float, str, str] | None = None

    def add(self, level: Trust, reason: str) -> None:
        if (level, reason) not in self._reasons:
            self._reasons.append((level, reason))

    def rests_on(self, at: float, server: str, version: str) -> None:
        self._newest = max(self._newest or (at, server, version), (at, server, version))

    def conclude(self) -> Completeness:
        ordered = sorted(self._reasons, key=lambda each: _SEVERITY.index(each[0]))
        at, server, version = self._newest or (None, "", "")
        return Completeness(
            level=ordered[0][0] if ordered else Trust.COMPLETE,
            reasons=[reason for _, reason in ordered],
            as_of=moment_or_none(at),
            server=server,
            version=version,
            pending=self.pending,
            failed=self.failed,
        )


# The three kinds of answers


def of_outward(reader: Reader, selected: Selected, given: Circumstances) -> Completeness:
    """Of what the symbols' own bodies say: callees, supertypes."""
    findings = _Findings(given.now)
    lanes = Lanes(reader, given.advice)
    for symbol in selected.symbols:
        if symbol.pending or symbol.kind in _BODIES:
            _judge_offer(lanes, Lane(symbol.workspace_id, symbol.language), findings)
        if symbol.path is None:
            findings.add(Trust.UNKNOWN, "it lies outside the workspace: its body was not read")
            continue
        _judge_outcomes(reader, symbol, lanes, findings)
    paths = sorted({symbol.path for symbol in selected.symbols if symbol.path is not None})
    for path in paths:
        file = reader.file(selected.workspace.id, path)
        if file is not None and file.status in {ParseStatus.PARTIAL, ParseStatus.ERROR}:
            findings.add(Trust.PARTIAL, f"{path} did not parse whole")
    _judge_run(reader, selected.workspace, findings)
    _judge_disk(reader, selected.workspace, findings, paths)
    return findings.conclude()


def of_inward(
    reader: Reader,
    selected: Selected,
    edges: Iterable[StoredEdge],
    given: Circumstances,
    *,
    relations: Iterable[str] = (),
    mentions: Mentions | None = None,
) -> Completeness:
    """Of what points at the symbols: callers, references.

    ``edges`` are those that were found. ``relations`` tells which were looked for: overrides
    hang on other names than the symbol's own. ``mentions`` of these are asked for where they
    are not given.
    """
    findings = _Findings(given.now)
    lanes = Lanes(reader, given.advice)
    workspace = selected.workspace
    names = {symbol.name for symbol in selected.symbols}
    others = set[str]()
    if Relation.OVERRIDES in relations:
        others = _names_of_heirs(reader, selected.symbols) - names
    if mentions is None or others:
        mentions = reader.mentions(names | others, workspace.id)
    for symbol in selected.symbols:
        if symbol.path is None:
            findings.add(
                Trust.PARTIAL,
                "it lies outside the workspace: which uses are kept is set by [enrich] external",
            )
        elif lanes.has_nothing(Lane(symbol.workspace_id, symbol.language)):
            findings.add(Trust.UNKNOWN, lanes.missing(symbol.language))
    if lanes.any_offers_nothing():
        for language in reader.languages(workspace.id):
            _judge_offer(lanes, Lane(workspace.id, language), findings)
    _judge_mentions(reader, mentions.unsettled, lanes, findings)
    _judge_files(reader, workspace, given, findings)
    for edge in edges:
        findings.rests_on(edge.at, edge.server, edge.version)
    if mentions.newest is not None:
        origin, at = mentions.newest
        findings.rests_on(at, origin.server, origin.version)
    elif (indexed_at := reader.indexed_at(workspace.id)) is not None:
        findings.rests_on(indexed_at, _SYNTAX, "")
    return findings.conclude()


def of_symbols(
    reader: Reader, workspaces: Iterable[Workspace], given: Circumstances
) -> Completeness:
    """Of which symbols there are: that hangs on the files alone."""
    findings = _Findings(given.now)
    for workspace in workspaces:
        _judge_files(reader, workspace, given, findings)
        if (indexed_at := reader.indexed_at(workspace.id)) is not None:
            findings.rests_on(indexed_at, _SYNTAX, "")
    return findings.conclude()


def of_everything(
    reader: Reader, workspaces: Iterable[Workspace], given: Circumstances
) -> Completeness:
    """Of what hangs on every body of the workspaces: that nothing points somewhere."""
    findings = _Findings(given.now)
    lanes = Lanes(reader, given.advice)
    for workspace in workspaces:
        for language, number in sorted(reader.orphans_by_language(workspace.id).items()):
            findings.pending += number
            lane = Lane(workspace.id, language)
            if lanes.is_proved(lane):
                findings.add(
                    Trust.PARTIAL,
                    f"{counted(number, 'symbol')} of {workspace.name} not yet enriched",
                )
            else:
                findings.add(Trust.UNKNOWN, lanes.missing(language))
        skipped = reader.counts(workspace.id).skipped
        if skipped:
            findings.failed += skipped
            findings.add(Trust.PARTIAL, f"{counted(skipped, 'symbol')} of {workspace.name} failed")
        _judge_files(reader, workspace, given, findings)
        for server in reader.requirements():
            if server.lane.workspace_id == workspace.id and server.version:
                indexed_at = reader.indexed_at(workspace.id) or given.now
                findings.rests_on(indexed_at, server.server, server.version)
    return findings.conclude()


# The reasons


def _judge_offer(lanes: Lanes, lane: Lane, findings: _Findings) -> None:
    """What a server does not offer is required of nobody, and known of nobody either."""
    if server := lanes.offers_nothing(lane):
        findings.add(
            Trust.UNKNOWN,
            f"{server} is not asked for definitions: uses in {language_title(lane.language)} "
            "are not known",
        )


def _judge_outcomes(
    reader: Reader, symbol: StoredSymbol, lanes: Lanes, findings: _Findings
) -> None:
    record = reader.failure(symbol.id) if symbol.failed else None
    if record is not None:
        findings.failed += 1
        findings.add(Trust.PARTIAL, failure_text(record, findings.now))
    elif symbol.pending:
        findings.pending += 1
        if lanes.is_proved(Lane(symbol.workspace_id, symbol.language)):
            findings.add(Trust.PARTIAL, f"{symbol.qualified_name} is not yet enriched")
        else:
            findings.add(Trust.UNKNOWN, lanes.missing(symbol.language))
    for outcome in reader.outcomes_of(symbol.id):
        findings.rests_on(outcome.at, outcome.server, outcome.version)
        if not outcome.relation and outcome.target.name == ERROR and record is None:
            findings.failed += 1
            reason = f": {outcome.reason}" if outcome.reason else ""
            findings.add(Trust.PARTIAL, f"{outcome.operation} ended as an error{reason}")


def _judge_mentions(
    reader: Reader, unsettled: list[StoredSymbol], lanes: Lanes, findings: _Findings
) -> None:
    waiting, unserved = list[str](), dict[str, int]()
    records = list[FailureRecord]()
    for symbol in unsettled:
        record = reader.failure(symbol.id) if symbol.failed else None
        if record is not None:
            records.append(record)
        elif lanes.is_proved(Lane(symbol.workspace_id, symbol.language)):
            waiting.append(symbol.qualified_name)
        else:
            unserved[symbol.language] = unserved.get(symbol.language, 0) + 1
    findings.pending += len(waiting) + sum(unserved.values())
    findings.failed += len(records)
    for language in sorted(unserved):
        findings.add(Trust.UNKNOWN, lanes.missing(language))
    if waiting:
        which = "symbol that mentions" if len(waiting) == 1 else "symbols that mention"
        verb = "is" if len(waiting) == 1 else "are"
        findings.add(
            Trust.PARTIAL,
            f"{len(waiting):,} {which} it {verb} not yet enriched ({listed(sorted(waiting))})",
        )
    for record in records[:3]:
        findings.add(Trust.PARTIAL, f"{failure_text(record, findings.now)}; it mentions the name")
    if len(records) > 3:
        findings.add(Trust.PARTIAL, f"{len(records) - 3:,} more symbols that mention it failed")


def _judge_files(
    reader: Reader, workspace: Workspace, given: Circumstances, findings: _Findings
) -> None:
    _judge_run(reader, workspace, findings)
    _judge_parsing(reader, workspace, findings)
    waiting = given.unindexed(workspace.id)
    _judge_disk(reader, workspace, findings, waiting.suspects)
    _judge_unindexed(waiting, findings)


def _judge_run(reader: Reader, workspace: Workspace, findings: _Findings) -> None:
    if reader.indexed_at(workspace.id) is None:
        findings.add(Trust.PARTIAL, f"the first index run over {workspace.name} has not ended")


def _judge_parsing(reader: Reader, workspace: Workspace, findings: _Findings) -> None:
    unparsed = reader.unparsed_files(workspace.id)
    if unparsed:
        names = listed(path for path, _ in unparsed)
        findings.add(
            Trust.PARTIAL, f"{counted(len(unparsed), 'file')} did not parse whole ({names})"
        )


def _judge_disk(
    reader: Reader, workspace: Workspace, findings: _Findings, paths: list[str] | None = None
) -> None:
    moved = drifted(reader, workspace, paths)
    for change, words in ((Drift.CHANGED, "changed on disk"), (Drift.GONE, "gone from disk")):
        names = [path for path, each in moved if each is change]
        if len(names) == 1:
            findings.add(Trust.STALE, f"{names[0]} {words} since it was indexed")
        elif names:
            findings.add(
                Trust.STALE, f"{counted(len(names), 'file')} {words} since ({listed(names)})"
            )


def _judge_unindexed(waiting: Unindexed, findings: _Findings) -> None:
    """A file that waits may hold another use, or be a new one that nobody knows of."""
    if waiting.count:
        names = listed(waiting.paths, shown=min(3, waiting.count))
        if (more := waiting.count - len(waiting.paths)) > 0:
            names += f" and {more:,} more"
        verb = "waits" if waiting.count == 1 else "wait"
        findings.add(
            Trust.STALE,
            f"{counted(waiting.count, 'touched file')} {verb} to be indexed ({names})",
        )


def failure_text(record: FailureRecord, now: float) -> str:
    """``run failed 3 times (timed out); next retry in 12 s``."""
    reason = f" ({record.reason})" if record.reason else ""
    text = f"{record.name} failed {counted(record.attempts, 'time')}{reason}; "
    if record.next_retry_at is None:
        return text + "it is skipped until `enrichd retry`"
    left = record.next_retry_at - now
    return text + (f"next retry in {duration(left)}" if left > 0 else "its next retry is due")


def _names_of_heirs(reader: Reader, symbols: Iterable[StoredSymbol]) -> set[str]:
    """Names of the classes that the members belong to, and of all that inherit from them.

    Whoever overrides a member mentions one of these in the bases of its class.
    """
    found: dict[int, str] = {}
    for symbol in symbols:
        parent = reader.symbol(symbol.parent_id) if symbol.parent_id is not None else None
        if parent is not None and parent.parent_id is not None:
            found[parent.id] = parent.name
    fresh = list(found)
    while fresh:
        heirs = {
            edge.source.id: edge.source.name
            for edge in reader.edges_to(fresh, [Relation.INHERITS])
            if edge.source.id not in found
        }
        found |= heirs
        fresh = list(heirs)
    return set(found.values())
