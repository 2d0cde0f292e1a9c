"""Where in a file which symbol owns what stands there, and in which scope names are looked up.

Built from the query's captures alone, in one pass over the intervals that they span:

``@symbol.X``   a definition with a body; it owns what is inside and has a scope named X
``@frame.X``    has a scope named X without being a symbol
``@enter``      the body of a symbol or frame: here names are looked up in its scope
``@scope.X``    is a scope named X as a whole
``@leave``      in here, names are looked up outside the innermost scope
``@name``       the name of the innermost definition around it that has none yet
``@error``      did not parse
"""

from __future__ import annotations

from bisect import bisect_right

from tree_sitter import Node

from enrichd.index.languages import Language
from enrichd.index.scopes import Draft, Scope

Captures = dict[str, list[Node]]

# The outer one comes first where two span the same text.
_ENTER, _LEAVE, _ERROR, _TRANSPARENT, _SCOPE, _FRAME, _SYMBOL, _NAME = range(8)
_PLAIN = {"enter": _ENTER, "leave": _LEAVE, "error": _ERROR, "name": _NAME}
_NAMED = {"scope": _SCOPE, "frame": _FRAME, "symbol": _SYMBOL}


class Region:
    """A stretch of text that has one owner and one scope."""

    __slots__ = ("inner", "owner", "scope", "unparsed")

    def __init__(self, owner: Draft, scope: Scope, inner: Scope, *, unparsed: bool) -> None:
        self.owner = owner
        self.scope = scope
        """Where names that stand here are looked up."""
        self.inner = inner
        """The innermost scope around, though perhaps not entered: where parameters belong."""
        self.unparsed = unparsed


class Regions:
    """A file, cut into regions: ``parts[i]`` reaches from ``bounds[i]`` to ``bounds[i + 1]``."""

    def __init__(self, module: Scope) -> None:
        self.module = module
        self.scopes = [module]
        """Every scope of the file, those around before those inside."""
        self.definitions: list[tuple[Draft, Scope]] = []
        """Those with a body, each with the scope that it stands in."""
        self.bounds = [0]
        self.parts = [Region(module.draft, module, module, unparsed=False)]

    def at(self, offset: int) -> Region:
        """The region that a byte offset lies in."""
        return self.parts[bisect_right(self.bounds, offset) - 1]


def divide(language: Language, captures: Captures, text: str, module: Draft) -> Regions:
    """Cut a file into regions; ``text`` has one character for each byte."""
    rules = language.data.scopes
    regions = Regions(Scope(None, "module", rules["module"], module))
    bounds, parts = regions.bounds, regions.parts
    stack = [(len(text) + 1, parts[0])]
    for start, minus_end, what, name in _intervals(language, captures):
        end = -minus_end
        while stack[-1][0] <= start:
            bounds.append(stack.pop()[0])
            parts.append(stack[-1][1])
        here = stack[-1][1]
        if what == _NAME:
            _give_name(stack, start, text[start:end])
            continue
        there = Region(here.owner, here.scope, here.inner, unparsed=here.unparsed)
        if what == _ENTER:
            there.scope = here.inner
        elif what == _LEAVE:
            there.scope = there.inner = here.scope.parent or here.scope
        elif what == _ERROR:
            there.unparsed = True
        else:
            if what == _SYMBOL:
                there.owner = _define(language, here, name, start, end)
                regions.definitions.append((there.owner, here.scope))
            there.inner = Scope(here.scope, name, rules[name], there.owner)
            regions.scopes.append(there.inner)
            if what in (_SCOPE, _TRANSPARENT):
                there.scope = there.inner
        stack.append((end, there))
        bounds.append(start)
        parts.append(there)
    while len(stack) > 1:
        bounds.append(stack.pop()[0])
        parts.append(stack[-1][1])
    return regions


def _intervals(language: Language, captures: Captures) -> list[tuple[int, int, int, str]]:
    """(start, -end, what, scope's name), sorted so that what is around comes before."""
    intervals: set[tuple[int, int, int, str]] = set()
    for capture, nodes in captures.items():
        group, _, name = capture.partition(".")
        what = _NAMED.get(group) if name else _PLAIN.get(group)
        if what is None:
            continue
        if what == _SCOPE and language.data.scopes[name].transparent:
            what = _TRANSPARENT
        intervals.update([(node.start_byte, -node.end_byte, what, name) for node in nodes])
    return sorted(intervals)


def _define(language: Language, here: Region, name: str, start: int, end: int) -> Draft:
    scope = here.scope
    while scope.rule.transparent and scope.parent is not None:
        scope = scope.parent
    rule = language.data.definitions[name]
    kind = rule.within.get(scope.name, rule.kind)
    return Draft(here.owner, kind, start, end, has_body=True)


def _give_name(stack: list[tuple[int, Region]], start: int, name: str) -> None:
    for _, region in reversed(stack):
        if not region.owner.name:
            region.owner.name = name
            region.owner.name_start = start
            return
