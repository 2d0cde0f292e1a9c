"""Which scope binds which name: the query's ``@bind.…`` captures, put where they take effect.

``@bind.parameter``        a local of the innermost symbol or frame around it
``@bind.variable``         a symbol where the scope's variables are symbols, a local elsewhere
``@bind.alias``            the same, and what it names is a type
``@bind.hoisted``          the same, in the scope around those that hand it on
``@bind.again``            changes a variable and needs one to be there; also a use
``@bind.local``            no symbol in any scope
``@bind.target``           a part of a pattern: a variable inside ``@targets.variable``, or a local
``@bind.delete``           unbinds; also a use
``@bind.import``           by an import, under the imported name
``@bind.import.renaming``  by an import that names it ``@renamed`` there
``@bind.global``           the name is the module's in this scope
``@bind.nonlocal``         the name is that of a scope around in this scope
"""

from __future__ import annotations

from bisect import bisect_left

from enrichd.index.languages import Language
from enrichd.index.lines import from_bytes
from enrichd.index.regions import Captures, Regions
from enrichd.index.scopes import Bound, Draft, Scope
from enrichd.index.spans import Spans
from enrichd_tracker.model import SymbolKind

BIND_ONLY = (
    "bind.parameter",
    "bind.variable",
    "bind.alias",
    "bind.hoisted",
    "bind.local",
    "bind.target",
    "bind.import.renaming",
    "bind.global",
    "bind.nonlocal",
)
"""The captures of identifiers that use nothing."""


class Binder:
    """Fills the scopes of one file, and finds the variables that are symbols on the way."""

    def __init__(self, language: Language, captures: Captures, regions: Regions, text: str) -> None:
        self._language = language
        self._captures = captures
        self._regions = regions
        self._text = text
        self._variables: list[tuple[Draft, Bound]] = []

    def bind_all(self) -> list[Draft]:
        """Put every binding where it takes effect; returns the variables that are symbols."""
        at = self._regions.at
        from_outside = self._declarations()
        for draft, scope in self._regions.definitions:
            owner = scope.owner_of(draft.name)
            if owner is not None and draft.name:
                owner.bind(draft.name).definitions.append(draft)
        self._imports()
        for offset, name in self._names("bind.parameter"):
            at(offset).inner.locals.add(name)
        self._bind_variables()
        for offset, name in self._names("bind.again"):
            self._bind_place(at(offset).scope, name, offset, local=False)
        for offset, name in self._names("bind.local"):
            scope = at(offset).scope
            if scope.rule.transparent:  # a type parameter
                scope.locals.add(name)
            else:
                self._bind_place(scope, name, offset, local=True)
        for offset, name in self._names("bind.delete"):
            self._delete(at(offset).scope, name)
        for scope, name in from_outside:
            scope.mark_rebound(name)
        for draft, bound in self._variables:
            draft.places = sorted(bound.places)
        return [draft for draft, _ in self._variables]

    def renamings(self) -> list[tuple[str, str]]:
        """(imported name, name given to it) for each import that renames."""
        return [(from_bytes(old), from_bytes(new)) for _, new, _, old in self._renamings()]

    def _renamings(self) -> list[tuple[int, str, int, str]]:
        """(where the new name stands, new name, where the imported one stands, imported one)."""
        originals = sorted(self._names("renamed"))
        return [
            (offset, name, *originals[place - 1])
            for offset, name in sorted(self._names("bind.import.renaming"))
            if (place := bisect_left(originals, (offset, "")))
        ]

    def _names(self, capture: str) -> list[tuple[int, str]]:
        text = self._text
        return [
            (start, text[start : node.end_byte])
            for node in self._captures.get(capture, ())
            if (start := node.start_byte) != node.end_byte  # else the parser made it up
        ]

    def _declarations(self) -> list[tuple[Scope, str]]:
        """Note whose names are not a scope's own; returns those that belong to scopes around."""
        module = self._regions.module
        for offset, name in self._names("bind.global"):
            scope = self._regions.at(offset).scope
            if scope is not module:
                scope.taken_from_module.add(name)
                module.bind(name).rebound = True
        from_outside = []
        for offset, name in self._names("bind.nonlocal"):
            scope = self._regions.at(offset).scope
            scope.taken_from_outside.add(name)
            from_outside.append((scope, name))
        return from_outside

    def _imports(self) -> None:
        places = [(offset, name, offset) for offset, name in self._names("bind.import")]
        places += [(offset, name, original) for offset, name, original, _ in self._renamings()]
        for offset, name, original in places:
            owner = self._regions.at(offset).scope.owner_of(name)
            if owner is not None:
                owner.bind(name).imports.append(original)

    def _bind_variables(self) -> None:
        aliases = self._names("bind.alias")
        are_aliases = {offset for offset, _ in aliases}
        hoisted = self._names("bind.hoisted")
        are_hoisted = {offset for offset, _ in hoisted}
        variables = {*self._names("bind.variable"), *aliases, *hoisted}
        targets = Spans(self._captures.get("targets.variable", ()))
        for offset, name in self._names("bind.target"):
            if targets.innermost(offset) is not None:
                variables.add((offset, name))
            else:
                self._bind_place(self._regions.at(offset).scope, name, offset, local=True)
        for offset, name in sorted(variables):
            scope = self._regions.at(offset).scope
            if offset in are_hoisted:
                scope = scope.hoisted()
            scope = scope.lasting()
            if not scope.rule.symbols:
                self._bind_place(scope, name, offset, local=True)
            else:
                self._variable(scope, name, offset, is_alias=offset in are_aliases)

    def _variable(self, scope: Scope, name: str, offset: int, *, is_alias: bool) -> None:
        owner = scope.owner_of(name)
        if owner is None:
            return
        bound = owner.bind(name)
        if bound.variable is not None or owner is not scope:
            bound.places.append(offset)
            return
        if is_alias:
            kind = SymbolKind.TYPE_ALIAS
        elif self._language.is_constant(name):
            kind = SymbolKind.CONSTANT
        else:
            kind = SymbolKind.VARIABLE
        draft = Draft(owner.draft, kind, offset, offset + len(name), has_body=False)
        draft.name = name
        bound.variable = draft
        self._variables.append((draft, bound))

    def _bind_place(self, scope: Scope, name: str, offset: int, *, local: bool) -> None:
        """Bind without making a symbol; ``local`` where that alone makes the name known."""
        owner = scope.owner_of(name)
        if owner is None:
            return
        if owner.rule.symbols:
            bound = owner.bind(name)
            bound.places.append(offset)
            if local and owner is scope:
                bound.local = True
        else:
            owner.locals.add(name)
            owner.assigned.add(name)

    def _delete(self, scope: Scope, name: str) -> None:
        owner = scope.owner_of(name)
        if owner is None:
            return
        if owner.rule.symbols:
            owner.bind(name).rebound = True
        else:
            owner.locals.add(name)
