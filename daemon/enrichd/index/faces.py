"""What others can see of the names that a file binds, and what that rests on.

A name's *face* is all text of the file that can decide what the name means elsewhere. One half of
it decides where the name leads: which definitions there are under which conditions, what an import
asks for, and what is given to attributes, which are no symbols. The other half decides the type of
what it leads to: the headings of definitions with their decorators, the values of variables. The
body of a function is no part of it: servers that conclude from bodies say so themselves. Two
versions of a file differ for others in the names whose faces differ, and in nothing else.

What a call of a function gives is what its heading says after the parameters, or not known where
that says nothing; no argument and no parameter has a say in it, unless there are type variables,
overloads or decorators (headings.py). So a face says apart what decides the *result*.

A *flow* says that a face rests on another name: ``x = make()`` makes ``x`` rest on ``make``,
``class B(A)`` makes ``B`` rest on ``A``, ``from a import f`` makes ``f`` rest on ``a/``, the
module. Who follows the flows from what changed finds all whose type may be another one now. A flow
from what is only called goes on when the result of that changes, and not before. Those
from modules say which file imports which, too, in function bodies as well.

More captures, beside those of extract.py:

``@applied``           a decorator: no call, since what it is called with does not stand there
``@branch``, ``@arm``  a statement with a condition, and the blocks of any statement
``@comment``           says nothing
``@ends``, ``@ends.call``   a statement that may end the module, and what such a one calls
``@import.statement``, ``@import.item``   an import and each dotted name that it asks for,
``@import.source``                        the module that they are asked of
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from tree_sitter import Node

from enrichd.index.digests import Words, digest_of
from enrichd.index.headings import Headings
from enrichd.index.languages import Language
from enrichd.index.lines import from_bytes
from enrichd.index.reading import Reading
from enrichd.index.regions import Captures, Regions
from enrichd.index.scopes import Bound, Draft, Scope
from enrichd.index.sites import SiteCollector
from enrichd.index.spans import Span, Spans
from enrichd_tracker.model import CALLABLES, TYPES, Face, Flow, SymbolKind

EVERYTHING = "*"
"""Stands for imports of names that the file does not show."""
_NEVER = "!"
"""After a name: that it does not return when it is called."""
_CALLED = CALLABLES | {SymbolKind.PROPERTY}


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
        self._uses = sites.uses.without({node.start_byte for node in captures.get("sets", ())})
        self._local_uses = sites.local_uses
        self._words = words
        self._path = path
        self._branches = Spans(captures.get("branch", ()))
        self._reading = Reading(words, self._uses, Spans(captures.get("arm", ())))
        self._statements = Spans(captures.get("statement", ()))
        self._imports = Spans(captures.get("import.statement", ()))
        self._items = Spans(captures.get("import.item", ()))
        self._sources = Spans(captures.get("import.source", ()))
        self._headings = Headings(language, captures, sites, words)
        self._parts: dict[str, list[tuple[int, bytes, bytes, bytes]]] = {}
        self._flows: dict[tuple[str, str, bool], bool] = {}
        """What will be a Flow each: (name, onto, loose), and whether the name is only called."""
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
        if stars := sorted(self._captures.get("import.all", ()), key=lambda node: node.start_byte):
            statements = [_innermost(self._imports, node.start_byte) for node in stars]
            texts = [self._reading.of(*statement).text for statement in statements]
            self._add(EVERYTHING, 0, b"\0".join(texts))
            for node, statement in zip(stars, statements, strict=True):
                source = self._source(statement)
                self._rest_on_modules(self._keys_of(source or b""), EVERYTHING)
                self._context(node.start_byte, root, EVERYTHING)
        self._ends(root)
        faces = {}
        for name, parts in self._parts.items():
            parts.sort()
            _, bindings, types, results = zip(*parts, strict=True)
            type_ = digest_of(*types)
            result = type_ if results == types else digest_of(*results)
            faces[name] = Face(digest_of(*filter(None, bindings)), type_, result)
        return faces, [Flow(*flow, called) for flow, called in sorted(self._flows.items())]

    def variable_text(self, draft: Draft) -> list[bytes]:
        """The statements that bind a variable, for the digest of its symbol."""
        places = (draft.name_start, *draft.places)
        return [self._reading.of(*_innermost(self._statements, place)).text for place in places]

    def is_implied(self, draft: Draft) -> bool:
        """Whether a definition is used without being named."""
        if self._language.is_implicit(draft.name) or self._language.is_entry(draft.name):
            return True
        start = self._headings.of(draft)[0]
        return start < draft.start and self._language.registers(
            self._words.between(start, draft.start)
        )

    def _add(
        self,
        name: str,
        offset: int,
        *binding: bytes,
        type_: bytes = b"",
        result: bytes | None = None,
    ) -> None:
        part = (offset, b"\0".join(binding), type_, type_ if result is None else result)
        self._parts.setdefault(name, []).append(part)

    def _order(self, start: int, end: int) -> bytes:
        """Which of the names in a stretch are bound above it: below, they mean something else."""
        first = self._first.get
        return bytes([first(name, start) < start for name in self._uses.between(start, end)])

    def _flow(self, names: Iterable[tuple[str, bool]], onto: str, *, loose: bool = False) -> None:
        """Let a name rest on others, each of which may be only called."""
        flows = self._flows
        for name, called in names:
            flow = (name, onto, loose)
            flows[flow] = called and flows.get(flow, True)

    def _context(self, offset: int, within: Draft, name: str) -> bytes:
        """The conditions that a name is bound under, inside a definition."""
        texts = []
        for start, end in self._branches.around(offset):
            if start > within.start or (within.parent is None and start == 0):
                condition = self._reading.of(start, end)
                texts.append(condition.text)
                # Which branch is taken decides where the name leads.
                self._flow(condition.names, name, loose=True)
        return b"\0".join(texts)

    def _definition(self, draft: Draft, keys: list[str]) -> None:
        around = draft.parent.named() if draft.parent is not None else draft
        start, end = self._headings.of(draft)
        uses = self._uses.ways_between(start, end)
        text = self._heading_text(start, end)
        context = self._context(draft.start, around, draft.name)
        draft.face = digest_of(text, context)
        what = f"{around.descriptors} {draft.kind} {draft.overload}".encode()
        result = text
        if idle := self._headings.idle_parameters(draft):
            result = b"\0".join(
                [self._heading_text(start, idle[0]), self._heading_text(idle[1], end)]
            )
        self._add(draft.name, draft.start, what, context, type_=text, result=result)
        self._flow(uses, draft.name)
        if self._language.may_never_return(text):
            self._add(draft.name + _NEVER, draft.start, what, context)
        if draft.kind in _CALLED and self._language.is_implicit(draft.name):
            if around.kind in TYPES:
                self._add(around.name, draft.start, type_=b"\0".join([what, context, text]))
                self._flow(uses, around.name)
            elif around.parent is None:
                for key in keys:
                    self._add(key, draft.start, context, text)

    def _heading_text(self, start: int, end: int) -> bytes:
        return self._words.between(start, end) + self._order(start, end)

    def _bound(self, scope: Scope, raw_name: str, bound: Bound) -> None:
        name = from_bytes(raw_name)
        where = scope.draft.named()
        symbol = bound.variable is not None or bool(bound.definitions)
        places = list(bound.places)
        if bound.variable is not None:
            places.append(bound.variable.name_start)
        for place in places:
            start, end = _innermost(self._statements, place)
            said = self._reading.of(start, end)
            text = said.text + self._order(start, end)
            context = self._context(place, where, name)
            if symbol:
                self._add(name, place, where.descriptors.encode(), context, type_=text)
            else:  # no edge shows who uses it
                self._add(name, place, where.descriptors.encode(), context, text)
            if where.kind in TYPES:  # what it is made of (TypedDict, NamedTuple, Enum)
                self._add(where.name, place, type_=text)
            self._flow(said.names, name, loose=not symbol)
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
        for outer, inner in pairwise([*keys, name]):
            self._flow([(outer, False)], inner, loose=True)

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
            if not self._is_of_parameter(start):
                continue  # only the object that a method is called on has its attributes that way
            name = _text_of(node)
            owner = self._regions.at(start).owner.named()
            statement = _innermost(self._statements, start)
            said = self._reading.of(*statement)
            context = self._context(start, owner, name)
            rest = [owner.descriptors.encode(), context, said.text]
            self._flow(said.names, name, loose=True)
            if rests_on := self._rests_on(owner, (end, statement[1])):
                rest.append(self._words.between(*rests_on))
                self._flow(self._uses.ways_between(*rests_on), name, loose=True)
            self._add(name, start, *rest)

    def _rests_on(self, owner: Draft, span: Span) -> Span | None:
        """What else of a function decides what a statement's parameters and locals are."""
        heading: Span | None = None
        local = self._local_uses
        for offset, name in local.places(*span):
            scope = self._scope_of(offset, name)
            if scope is None or scope.name in self._language.data.definitions:
                start, body = self._headings.of(owner)
                # A condition on a parameter narrows its type.
                more = local.between(body, owner.end).count(name) > local.between(*span).count(name)
                if scope is None or name in scope.assigned or more:
                    return start, owner.end
                heading = (start, body)
        return heading

    def _is_of_parameter(self, offset: int) -> bool:
        """Whether the attribute at the offset is one of a parameter that stays what it is."""
        before = self._local_uses.last_before(offset)
        if before is None:
            return False
        start, name = before
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
                self._flow([(_text_of(node) + _NEVER, False)], EVERYTHING, loose=True)
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
    return spans.innermost(offset) or (offset, offset)
