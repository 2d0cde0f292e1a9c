"""The uses of names in a file: who owns each, what it is there for, where its name comes from.

The inner loop runs once for every identifier of every file: it is written to be cheap.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from enrichd.index.bindings import BIND_ONLY
from enrichd.index.lines import from_bytes, position
from enrichd.index.reading import Uses
from enrichd.index.regions import Captures, Regions
from enrichd.index.scopes import Draft, Resolver
from enrichd_tracker.model import TYPES, Binding, Canary, Role, Site

_USE, _CALL, _INHERIT, _MEMBER, _MEMBER_CALL, _MEMBER_INHERIT, _IMPORT, _SKIP = range(8)
_REASONS = {  # a later one wins where two apply
    "site.call": _CALL,
    "site.inherit": _INHERIT,
    "site.member": _MEMBER,
    "site.member.call": _MEMBER_CALL,
    "site.member.inherit": _MEMBER_INHERIT,
    "site.import": _IMPORT,
    "name": _SKIP,
    "skip": _SKIP,
    **dict.fromkeys(BIND_ONLY, _SKIP),
}
_CALLS = (_CALL, _MEMBER_CALL)
_ROLES = (
    Role.REFERENCE,
    Role.CALL,
    Role.INHERIT,
    Role.REFERENCE,
    Role.CALL,
    Role.INHERIT,
    Role.IMPORT,
)


_BUILTIN, _IMPORTED, _BY_TYPE = Binding.BUILTIN, Binding.IMPORTED, Binding.MEMBER


class SiteCollector:
    """Gives each draft of one file its sites."""

    def __init__(
        self,
        captures: Captures,
        regions: Regions,
        resolver: Resolver,
        text: str,
        starts: list[int],
    ) -> None:
        self._captures = captures
        self._regions = regions
        self._resolver = resolver
        self._text = text
        self._starts = starts
        self._proof: tuple[Site, Draft] | None = None
        self.import_sites: list[tuple[int, int]] = []
        self.uses = Uses()
        """Every use that may lead out of its function."""
        self.local_uses = Uses()
        """The uses of parameters and local variables, by their names as they stand in the text."""

    def collect(self, quoted: AbstractSet[int]) -> None:  # noqa: PLR0912, PLR0915 (calls cost more)
        """Visit every identifier in the order of the text; those at ``quoted`` prove nothing."""
        reasons: dict[int, int] = {}
        for capture, reason in _REASONS.items():
            if nodes := self._captures.get(capture):
                reasons.update(dict.fromkeys([node.start_byte for node in nodes], reason))
        calls = {start for start, reason in reasons.items() if reason in _CALLS}
        calls -= {node.start_byte for node in self._captures.get("applied", ())}
        self.uses.called = calls - quoted
        reason_of = reasons.get
        text, resolve, ascii_only = self._text, self._resolver.resolve, self._text.isascii()
        line_starts = [*self._starts, len(text) + 1]
        line, line_start, next_line = 0, 0, line_starts[1]
        bounds = [*self._regions.bounds, len(text) + 1]
        parts = self._regions.parts
        place, next_bound = -1, -1
        use_offset, use_name = self.uses.offsets.append, self.uses.names.append
        local_offset, local_name = self.local_uses.offsets.append, self.local_uses.names.append
        last_end = -1
        imported = False  # whether the name before is an import's, or reached from one by members

        for start, end in self._identifiers():
            if start >= next_bound:
                while start >= next_bound:
                    place += 1
                    next_bound = bounds[place + 1]
                region = parts[place]
                add = region.owner.named().sites.append
                scope, unparsed = region.scope, region.unparsed
                resolved = scope.resolved
            reason = reason_of(start, _USE)
            name = text[start:end]
            draft, target = None, None
            if reason < _MEMBER:
                verdict = resolved.get(name)
                if verdict is None:
                    verdict = resolved[name] = resolve(scope, name)
                last_end = end
                if verdict is False:
                    imported = False
                    local_offset(start)
                    local_name(name)
                    continue
                binding = verdict.binding
                imported = binding is _IMPORTED
                draft = verdict.target
                # what a call of a variable calls is for its type to say
                if draft is not None and (draft.has_body or _ROLES[reason] is not Role.CALL):
                    target = draft.descriptors
            elif reason < _IMPORT:
                imported = imported and (start == last_end + 1 or self._dotted(last_end, start))
                last_end = end
                binding = _IMPORTED if imported else _BY_TYPE
            elif reason == _IMPORT:
                binding = _IMPORTED
            else:
                imported = False
                last_end = end
                continue
            if not ascii_only:
                name = from_bytes(name)
            if binding is not _BUILTIN:
                use_offset(start)
                use_name(name)
            if start >= next_line:
                while start >= next_line:
                    line += 1
                    next_line = line_starts[line + 1]
                line_start = line_starts[line]
            column = start - line_start
            if reason == _IMPORT:
                self.import_sites.append((line, column))
            site = Site(name, line, column, _ROLES[reason], binding, target, None, unparsed)
            add(site)
            if draft is not None and self._proof is None and start not in quoted:
                self._take_as_proof(site, draft)

    def collect_exports(self) -> None:
        """Add what the module says that it exports: a use of each name that only it can mean."""
        module = self._regions.module
        nodes = self._captures.get("export", ())
        for start, end in sorted({(node.start_byte, node.end_byte) for node in nodes}):
            if self._regions.at(start).scope is not module:
                continue
            exported = self._resolver.exported(module, self._text[start:end])
            if exported is None:
                continue
            verdict, origin = exported
            site = Site(
                from_bytes(self._text[start:end]),
                *position(self._starts, start),
                Role.REFERENCE,
                verdict.binding,
                verdict.target.descriptors if verdict.target is not None else None,
                position(self._starts, origin) if origin is not None else None,
            )
            module.draft.sites.append(site)
        if nodes:
            module.draft.sites.sort(key=lambda site: (site.line, site.column))

    def are_types(self, start: int, end: int) -> bool:
        """Whether the plain names in a stretch can't but mean builtins and classes of this file."""
        if self.local_uses.between(start, end):
            return False
        for offset, name in self.uses.places(start, end):
            verdict = self._resolver.resolve(self._regions.at(offset).scope, name)
            if verdict is False or verdict.target is None or verdict.target.kind not in TYPES:
                return False
        return True

    def canary(self, path: str) -> Canary | None:
        """The first use of a class or function of the file itself that the syntax can tell."""
        if self._proof is None:
            return None
        site, target = self._proof
        target_line, target_column = position(self._starts, target.name_start)
        return Canary(path, site.line, site.column, target_line, target_column)

    def _take_as_proof(self, site: Site, target: Draft) -> None:
        if target.has_body and site.role in (Role.CALL, Role.REFERENCE) and not site.unparsed:
            self._proof = site, target

    def _identifiers(self) -> list[tuple[int, int]]:
        spans = sorted([node.byte_range for node in self._captures.get("site", ())])
        if "error" in self._captures:  # then the parser may have made up some
            spans = [(start, end) for start, end in spans if start != end]
        return spans

    def _dotted(self, before: int, after: int) -> bool:
        """Whether nothing but the one dot stands between two names."""
        return self._text[before:after].strip(" \t\f\r\n\\") == "."
