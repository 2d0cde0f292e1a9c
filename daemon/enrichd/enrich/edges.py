"""From the answers to an attempt's questions to the edges that they show."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from enrichd.enrich.attempt import Ask, Attempt
from enrichd.enrich.questions import ExternalPolicy, keeps_external, proved
from enrichd.enrich.relations import relation
from enrichd.enrich.resolve import ImportSite, Resolver, Stale, without_faces
from enrichd.lsp.positions import path_to_uri_json
from enrichd.lsp.wire import Target
from enrichd_tracker.model import External, ResolvedEdge, Site, SymbolKind
from enrichd_tracker.store.port import Definition

MAX_HOPS = 3

_log = structlog.get_logger()


class EdgeFinder:
    """Locates targets, follows imports, and gives each site's relation."""

    def __init__(self, resolver: Resolver, root: str, external: ExternalPolicy) -> None:
        self._resolver = resolver
        self._root = root
        self._external = external

    def forget(self, paths: Iterable[str] | None = None) -> None:
        """The graph has changed in these files, or who knows where."""
        self._resolver.forget(paths)

    async def prepare(self, attempts: Iterable[Attempt]) -> None:
        """Load what ``locate`` and ``edges`` need to know for these attempts."""
        settled = list(attempts)
        targets = [target for each in settled for _, found in each.answers for target in found]
        await self._resolver.load(targets, {each.work.file.path for each in settled})

    def locate(self, attempt: Attempt, encoding: str) -> tuple[list[Ask], bool]:
        """Locate the answers; gives questions that lead on, and whether a file has changed."""
        answers, attempt.answers = attempt.answers, []
        onward: list[Ask] = []
        for ask, targets in answers:
            definitions: list[Definition] = []
            externals: list[External] = []
            for target in targets:
                place = self._resolver.locate(target, ask.site.name, encoding)
                match place:
                    case Definition():
                        definitions.append(place)
                    case External():
                        externals.append(place)
                    case ImportSite():
                        if (further := self._follow(ask, place, target)) is not None:
                            onward.append(further)
                    case Stale():
                        return [], True
                    case None:
                        pass
            if not keeps_external(ask.site, self._external):
                externals = []
            attempt.found.append((ask.site, without_faces(definitions), externals))
        return onward, False

    def _follow(self, ask: Ask, place: ImportSite, target: Target) -> Ask | None:
        uri = path_to_uri_json(f"{self._root}/{place.path}")
        here = (ask.uri, ask.line, ask.character)
        if ask.hops >= MAX_HOPS or here == (uri, target.line, target.character):
            return None
        return Ask(
            ask.attempt,
            ask.site,
            uri=uri,
            line=target.line,
            character=target.character,
            hops=ask.hops + 1,
        )

    def edges(self, attempt: Attempt) -> list[ResolvedEdge] | None:
        """All that the attempt found, or None when its own file is not as it was indexed."""
        found: list[ResolvedEdge] = []
        for site, definitions, externals in attempt.found:
            found += [_edge(site, each.symbol_id, each.kind) for each in definitions]
            found += [_edge(site, each, each.kind) for each in externals]
        own = self._resolver.own(attempt.work.file.path)
        for site in filter(proved, attempt.work.sites):
            if own is None or own.stat != attempt.work.file.stat:
                return None
            definition = own.by_descriptors.get(site.target or "")
            if definition is None:  # to index the same text again would not bring it
                _log.error(
                    "no such symbol", action="no_such_symbol", site=site, of=attempt.work.uid
                )
                continue
            found.append(_edge(site, definition.symbol_id, definition.kind, by_syntax=True))
        return found


def _edge(
    site: Site, target: int | External, kind: str, *, by_syntax: bool = False
) -> ResolvedEdge:
    known = SymbolKind(kind) if kind else None
    return ResolvedEdge(
        relation(site.role, known),
        target,
        site.line,
        site.column,
        by_syntax=by_syntax,
        unparsed=site.unparsed,
    )
