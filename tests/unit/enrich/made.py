"""Values for the tests of enrichment."""

from __future__ import annotations

from collections.abc import Iterable

from enrichd.enrich.charging import Judgement
from enrichd_tracker.model import (
    Binding,
    FileStat,
    KnownFile,
    Lane,
    Operation,
    Origin,
    ParseStatus,
    ResolvedEdge,
    Role,
    Site,
    SymbolKind,
    Work,
)

LANE = Lane(1, "python")


def work(
    number: int, *sites: Site, lane: Lane = LANE, path: str = "a.py", digest: bytes = b"d"
) -> Work:
    return Work(
        symbol_id=number,
        revision=0,
        lane=lane,
        uid=f"{path}/f{number}().",
        name=f"f{number}",
        kind=SymbolKind.FUNCTION,
        file=KnownFile(1, path, "python", FileStat(1, 2, 3), digest, ParseStatus.OK, ascii=True),
        line=number,
        operations=(Operation.DEFINITION,),
        sites=list(sites),
    )


def site(
    name: str = "f",
    binding: Binding = Binding.PLAIN,
    role: Role = Role.CALL,
    target: str | None = None,
) -> Site:
    return Site(name, 0, 0, role, binding, target)


class DeafLedger:
    """Takes what became of an attempt and forgets it."""

    def succeeded(self, work: Work, origin: Origin, edges: list[ResolvedEdge]) -> None: ...
    def failed(
        self, work: Work, origin: Origin, edges: list[ResolvedEdge], judgement: Judgement
    ) -> None: ...
    def released(self, works: Iterable[Work], *, at_once: bool = False) -> None: ...
