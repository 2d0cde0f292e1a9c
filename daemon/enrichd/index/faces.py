"""What others can see of the names that a file binds, and what that rests on.

A name's *face* is all text of the file that can decide what the name means elsewhere. One half of
it decides where the name leads: which definitions there are under which conditions, what an import
asks for, and what is given to attributes, which are no symbols. The other half decides the type of
what it leads to: the headings of definitions with their decorators, the values of variables. The
body of a function is no part of it: servers that conclude from bodies say so themselves. Two
versions of a file differ for others in the names whose faces differ, and in nothing else.

A *flow* says that a face rests on another name: ``x = make()`` makes ``x`` rest on ``make``,
``class B(A)`` makes ``B`` rest on ``A``, ``from a import f`` makes ``f`` rest on ``a/``, the
module. Who follows the flows from what changed finds all whose type may be another one now. Those
from modules say which file imports which, too, in function bodies as well.

More captures, beside those of extract.py:

``@decorated``         a definition with its decorators
``@branch``, ``@arm``  a statement with a condition, and the blocks of any statement
``@comment``           says nothing
``@ends``, ``@ends.call``   a statement that may end the module, and what such a one calls
``@import.statement``, ``@import.item``   an import and each dotted name that it asks for,
``@import.source``                        the module that they are asked of
"""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise

from tree_sitter import Node

from enrichd.index.digests import Words, digest_of
from enrichd.index.languages import Language
from enrichd.index.lines import from_bytes
from enrichd.index.regions import Captures, Regions
from enrichd.index.scopes import Bound, Draft, Scope
from enrichd.index.sites import SiteCollector
from enrichd.index.spans import Span, Spans
from enrichd_tracker.model import CALLABLES, TYPES, Face, Flow, SymbolKind

EVERYTHING = "*"
"""Stands for imports of names that the file does not show."""
_NEVER = "!"
"""After a name: that it does not return when it is called."""


def module_keys(path: str, package_files: frozenset[str]) -> list[str]:
    """Every dotted name that the file may be imported by, with slashes: ``b/``, ``a/b/``."""
    folder, _, name = path.rpartition("/")
    parts = folder.split("/") if folder else []
    if name not in package_files:
        parts.append(name.rpartition(".")[0] or name)
    return ["/".join(parts[place:]) + "/" for place in range(len(parts))]


class Faces:
    """Collects the faces of one file."""

    def __init__(
        self,
        language: Language,
        captures: Captures,
        regions: Regions,
        sites: SiteCollector,
        words: Words,
        path: str,
    ) -> None:
        self._language = language
        self._captures = captures
        self._regions = regions
        given = {node.start_byte for node in captures.get("sets", ())}
        self._uses = [use for use in sites.uses if use[0] not in given]
        self._local_uses = sites.local_uses
        self._words = words
        self._path = path
        self._branches = Spans(captures.get("branch", ()))
        self._arms = Spans(captures.get("arm", ()))
        self._statements = Spans(captures.get("statement", ()))
        self._decorated = Spans(captures.get("decorated", ()))
        self._imports = Spans(captures.get("import.statement", ()))
        self._items = Spans(captures.get("import.item", ()))
        self._sources = Spans(captures.get("import.source", ()))
        self._bodies: dict[int, list[int]] = {}
        for node in captures.get("enter", ()):
            self._bodies.setdefault(node.end_byte, []).append(node.start_byte)
        self._headings: dict[int, Span] = {}
        self._parts: dict[str, list[tuple[int, bytes, bytes]]] = {}
        self._flows: set[Flow] = set()
        folder, _, file = path.rpartition("/")
        is_package = folder and file in language.package_files
        self._package = module_keys(path, language.package_files) if is_package else []
        self._taken_in: set[str] = set()
        self._first: dict[str, int] = {}

    def collect(self, root: Draft) -> tuple[dict[str, Face], list[Flow]]:
        """(face of each name, flows). Fills in the faces of the definitions."""
        keys = module_keys(self._path, self._language.package_files)
        self._first = _first_places(self._regions)
        for key in keys:
            self._add(key, 0, b"")
        self._add(root.name.rpartition(".")[2], 0, root.name.encode())
        for draft, _ in self._regions.definitions:
            if draft.name:
                self._definition(draft, keys)
        for scope in self._regions.scopes:
            for name, bound in scope.bound.items():
                if scope.rule.symbols:
                    self._bound(scope, name, bound)
                for place in bound.imports:
                    self._import(scope, from_bytes(name), place)
        self._attributes()
        self._exports()
        if stars := self._captures.get("import.all"):
            texts = [self._statement_text(self._imports, node.start_byte) for node in stars]
            self._add(EVERYTHING, 0, b"\0".join(texts))
            for node in stars:
                source = self._source(_innermost(self._imports, node.start_byte))
                self._rest_on_modules(self._keys_of(source or b""), EVERYTHING)
                self._context(node.start_byte, root, EVERYTHING)
        self._ends(root)
        faces = {}
        for name, parts in self._parts.items():
            parts.sort()
            binding = digest_of(*(binding for _, binding, _ in parts if binding))
            faces[name] = Face(binding, digest_of(*(type_ for _, _, type_ in parts)))
        return faces, sorted(self._flows)

    def variable_text(self, draft: Draft) -> list[bytes]:
        """The statements that bind a variable, for the digest of its symbol."""
        places = (draft.name_start, *draft.places)
        return [self._statement_text(self._statements, place) for place in places]

    def is_implied(self, draft: Draft) -> bool:
        """Whether a definition is used without being named."""
        if self._language.is_implicit(draft.name) or self._language.is_entry(draft.name):
            return True
        start = self._heading(draft)[0]
        return start < draft.start and self._language.registers(
            self._words.between(start, draft.start)
        )

    def _add(self, name: str, offset: int, *binding: bytes, type_: bytes = b"") -> None:
        self._parts.setdefault(name, []).append((offset, b"\0".join(binding), type_))

    def _order(self, start: int, end: int) -> bytes:
        """Which of the names in a stretch are bound above it: below, they mean something else."""
        first = self._first
        used = (from_bytes(name) for name in _between(self._uses, start, end))
        return bytes(first.get(name, start) < start for name in used)

    def _flow(self, span: Span, onto: str, *, loose: bool = False) -> None:
        """Let a name rest on all that is used in a stretch."""
        start, end = span
        for used in _between(self._uses, start, end):
            self._flows.add(Flow(from_bytes(used), onto, loose))

    def _context(self, offset: int, within: Draft, name: str) -> bytes:
        """The conditions that a name is bound under, inside a definition."""
        texts = []
        for start, end in self._branches.around(offset):
            if start > within.start or (within.parent is None and start == 0):
                texts.append(self._without_arms(start, end))
                # Which branch is taken decides where the name leads.
                for piece in _pieces(start, end, self._arms.within(start, end)):
                    self._flow(piece, name, loose=True)
        return b"\0".join(texts)

    def _without_arms(self, start: int, end: int) -> bytes:
        return self._words.between(start, end, self._arms.within(start, end))

    def _statement_text(self, statements: Spans, offset: int) -> bytes:
        start, end = _innermost(statements, offset)
        return self._without_arms(start, end)

    def _heading(self, draft: Draft) -> Span:
        """From the first decorator to the body."""
        found = self._headings.get(id(draft))
        if found is None:
            start, end = draft.start, draft.end
            outer = draft.parent.start if draft.parent is not None else 0
            for decorated_start, decorated_end in self._decorated.around(draft.start):
                if decorated_end == draft.end and decorated_start >= outer:
                    start = decorated_start
                break
            after = [each for each in self._bodies.get(draft.end, ()) if each > draft.name_start]
            if after:
                end = min(after)
            found = self._headings[id(draft)] = (start, end)
        return found

    def _definition(self, draft: Draft, keys: list[str]) -> None:
        around = draft.parent.named() if draft.parent is not None else draft
        heading = self._heading(draft)
        text = self._words.between(*heading) + self._order(*heading)
        context = self._context(draft.start, around, draft.name)
        draft.face = digest_of(text, context)
        what = f"{around.descriptors} {draft.kind} {draft.overload}".encode()
        self._add(draft.name, draft.start, what, context, type_=text)
        self._flow(heading, draft.name)
        if self._language.may_never_return(text):
            self._add(draft.name + _NEVER, draft.start, what, context)
        if draft.kind in CALLABLES | {SymbolKind.PROPERTY} and self._language.is_implicit(
            draft.name
        ):
            if around.kind in TYPES:
                self._add(around.name, draft.start, type_=b"\0".join([what, context, text]))
                self._flow(heading, around.name)
            elif around.parent is None:
                for key in keys:
                    self._add(key, draft.start, context, text)

    def _bound(self, scope: Scope, raw_name: str, bound: Bound) -> None:
        name = from_bytes(raw_name)
        where = scope.draft.named()
        symbol = bound.variable is not None or bool(bound.definitions)
        places = list(bound.places)
        if bound.variable is not None:
            places.append(bound.variable.name_start)
        for place in places:
            start, end = _innermost(self._statements, place)
            text = self._without_arms(start, end) + self._order(start, end)
            context = self._context(place, where, name)
            if symbol:
                self._add(name, place, where.descriptors.encode(), context, type_=text)
            else:  # no edge shows who uses it
                self._add(name, place, where.descriptors.encode(), context, text)
            if where.kind in TYPES:  # what it is made of (TypedDict, NamedTuple, Enum)
                self._add(where.name, place, type_=text)
            for part_start, part_end in _pieces(start, end, self._arms.within(start, end)):
                self._flow((part_start, part_end), name, loose=not symbol)
        if bound.rebound:
            self._add(name, 0, where.descriptors.encode(), b"bound elsewhere too")

    def _import(self, scope: Scope, name: str, place: int) -> None:
        item = self._words.between(*_innermost(self._items, place))
        source = self._source(_innermost(self._imports, place))
        keys = self._keys_of(item if source is None else source)
        # What is asked of a package may be a module of it.
        part = [] if source is None else [f"{''.join(keys[-1:])}{_raw(item)}/"]
        self._rest_on_modules([*keys, *part], name)
        if scope.rule.symbols:
            where = scope.draft.named()
            target = ["".join(keys[-1:]).encode(), b"" if source is None else item]
            context = self._context(place, where, name)
            self._add(name, place, where.descriptors.encode(), context, *target)

    def _source(self, statement: Span) -> bytes | None:
        """The module that an import statement asks; None where each item is a module."""
        found = self._sources.within(*statement)
        return self._words.between(*found[0]) if found else None

    def _rest_on_modules(self, keys: list[str], name: str) -> None:
        for key in keys:
            # Importing from a module of its own makes that an attribute of a package.
            mine = next((own for own in self._package if key.startswith(own)), None)
            if mine is not None and key != mine and key not in self._taken_in:
                self._taken_in.add(key)
                self._add(key[len(mine) :].partition("/")[0], 0, b"a module of its own")
        ways = pairwise([*keys, name])
        self._flows.update(Flow(outer, inner, loose=True) for outer, inner in ways)

    def _keys_of(self, source: bytes) -> list[str]:
        """The modules on the way to what is imported, as keys, the outermost one first."""
        dotted = from_bytes(source.decode("latin-1"))
        name = dotted.lstrip(". ")
        up = dotted[: len(dotted) - len(name)].count(".")
        parts = [part.strip() for part in name.split(".")] if name else []
        base: list[str] = []
        if up:
            folders = self._path.split("/")[:-1]
            base = folders[: len(folders) - (up - 1)]
        ways = range(0 if base else 1, len(parts) + 1)
        return ["/".join([*base, *parts[:way]]) + "/" for way in ways]

    def _attributes(self) -> None:
        """What is given to attributes: in a function's body, but seen from outside."""
        for node in self._captures.get("sets", ()):
            start, end = node.byte_range
            name = _text_of(node)
            owner = self._regions.at(start).owner.named()
            if not self._is_of_parameter(start):
                continue  # only the object that a method is called on has its attributes that way
            statement = _innermost(self._statements, start)
            text = self._without_arms(*statement)
            context = self._context(start, owner, name)
            rest = [owner.descriptors.encode(), context, text]
            spans = _pieces(*statement, self._arms.within(*statement))
            if rests_on := self._rests_on(owner, (end, statement[1])):
                rest.append(self._words.between(*rests_on))
                spans.append(rests_on)
            self._add(name, start, *rest)
            for span in spans:
                self._flow(span, name, loose=True)

    def _rests_on(self, owner: Draft, span: Span) -> Span | None:
        """What else of a function decides what a statement's parameters and locals are."""
        heading: Span | None = None
        first = bisect_left(self._local_uses, (span[0], ""))
        for offset, name in self._local_uses[first:]:
            if offset >= span[1]:
                break
            scope = self._scope_of(offset, name)
            if scope is None or scope.name in self._language.data.definitions:
                start, body = self._heading(owner)
                # A condition on a parameter narrows its type.
                more = sum(used == name for used in _between(self._local_uses, body, owner.end))
                within = sum(used == name for used in _between(self._local_uses, *span))
                if scope is None or name in scope.assigned or more > within:
                    return start, owner.end
                heading = (start, body)
        return heading

    def _is_of_parameter(self, offset: int) -> bool:
        """Whether the attribute at the offset is one of a parameter that stays what it is."""
        place = bisect_left(self._local_uses, (offset, "")) - 1
        if place < 0:
            return False
        start, name = self._local_uses[place]
        if start + len(name) + 1 != offset:
            return False
        scope = self._scope_of(start, name)
        return scope is not None and name not in scope.assigned

    def _scope_of(self, offset: int, name: str) -> Scope | None:
        """The scope whose local a name is."""
        scope: Scope | None = self._regions.at(offset).scope
        while scope is not None and name not in scope.locals:
            scope = scope.parent
        return scope

    def _exports(self) -> None:
        """Whether a module hands a name to those who import all of it."""
        module = self._regions.module
        nodes = [
            node
            for node in self._captures.get("export", ())
            if self._regions.at(node.start_byte).scope is module
        ]
        if not nodes:
            return
        listed = {_text_of(node) for node in nodes}
        for name in {from_bytes(raw) for raw in module.bound} | listed:
            self._add(name, 0, b"handed out" if name in listed else b"kept")

    def _ends(self, root: Draft) -> None:
        """What decides whether the code of the module is reached, and what it binds kept."""
        module = self._regions.module
        for node in self._captures.get("ends", ()):
            if self._regions.at(node.start_byte).scope is module:
                self._context(node.start_byte, root, EVERYTHING)
        for node in self._captures.get("ends.call", ()):
            if self._regions.at(node.start_byte).scope is module:
                self._flows.add(Flow(_text_of(node) + _NEVER, EVERYTHING, loose=True))
        for node in self._captures.get("bind.delete", ()):
            if self._regions.at(node.start_byte).scope is module:
                self._context(node.start_byte, root, _text_of(node))


def _first_places(regions: Regions) -> dict[str, int]:
    """Where the module binds each of its names for the first time."""
    found = {}
    for name, bound in regions.module.bound.items():
        places = [*bound.imports, *bound.places, *(draft.start for draft in bound.definitions)]
        if bound.variable is not None:
            places.append(bound.variable.name_start)
        if places:
            found[from_bytes(name)] = min(places)
    return found


def _text_of(node: Node) -> str:
    return _raw(node.text or b"")


def _raw(piece: bytes) -> str:
    return from_bytes(piece.decode("latin-1"))


def _innermost(spans: Spans, offset: int) -> Span:
    return next(spans.around(offset), (offset, offset))


def _pieces(start: int, end: int, holes: list[Span]) -> list[Span]:
    pieces = []
    for hole_start, hole_end in holes:
        pieces.append((start, hole_start))
        start = hole_end
    return [*pieces, (start, end)]


def _between(found: list[tuple[int, str]], start: int, end: int) -> list[str]:
    first = bisect_left(found, (start, ""))
    last = bisect_left(found, (end, ""))
    return [name for _, name in found[first:last]]
