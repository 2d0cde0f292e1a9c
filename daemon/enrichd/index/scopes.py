"""Which definition a name means: scopes, what each binds, and the look-up along their chain."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Literal

from msgspec import Struct

from enrichd.index.languages import Language, ScopeRule
from enrichd_tracker.model import Binding, Site, SymbolKind


class Draft:
    """A symbol in the making."""

    __slots__ = (
        "descriptors",
        "end",
        "face",
        "has_body",
        "kind",
        "name",
        "name_start",
        "overload",
        "parent",
        "places",
        "sites",
        "start",
    )

    def __init__(
        self, parent: Draft | None, kind: SymbolKind, start: int, end: int, *, has_body: bool
    ) -> None:
        self.parent = parent
        self.has_body = has_body
        self.kind = kind
        self.start = start
        self.end = end
        self.name = ""
        self.name_start = start
        self.descriptors = ""
        self.overload = False
        self.face = b""
        self.sites: list[Site] = []
        self.places: list[int] = []
        """For a variable: where else it is bound."""

    def named(self) -> Draft:
        """This definition, or where its name is missing the next one around it that has one."""
        draft = self
        while not draft.name and draft.parent is not None:
            draft = draft.parent
        return draft


class Bound:
    """All that binds one name in one scope."""

    __slots__ = ("definitions", "imports", "local", "places", "rebound", "variable")

    def __init__(self) -> None:
        self.definitions: list[Draft] = []
        self.variable: Draft | None = None
        self.imports: list[int] = []
        """Where the imported name stands."""
        self.local = False
        """By something that makes no symbol: a loop, a handler, a parameter."""
        self.rebound = False
        """From another scope, or deleted."""
        self.places: list[int] = []
        """Where, other than in definitions, imports and the variable's first place."""

    @property
    def found(self) -> bool:
        """Whether this is more than a change to a name that is bound elsewhere."""
        return bool(self.definitions or self.variable or self.imports or self.local)

    def only_symbol(self) -> Draft | None:
        """The symbol that the name can't but mean, if there is one."""
        if self.local or self.rebound or self.imports:
            return None
        if self.variable is not None:
            return None if self.definitions else self.variable
        return self.definitions[0] if len(self.definitions) == 1 else None


class Verdict(Struct, frozen=True):
    """What a plain name at a site is."""

    binding: Binding
    target: Draft | None = None


Dropped = Literal[False]


class Scope:
    """One scope of a file. What it binds is complete before anything is looked up in it."""

    __slots__ = (
        "assigned",
        "bound",
        "draft",
        "locals",
        "name",
        "parent",
        "resolved",
        "rule",
        "taken_from_module",
        "taken_from_outside",
    )

    def __init__(self, parent: Scope | None, name: str, rule: ScopeRule, draft: Draft) -> None:
        self.parent = parent
        self.name = name
        self.rule = rule
        self.draft = draft
        """The innermost symbol with a body around it: the parent of what is defined here."""
        self.locals: set[str] = set()
        """Names that parameters or, where variables are no symbols, assignments bind."""
        self.assigned: set[str] = set()
        """Those of them that something other than a parameter binds."""
        self.bound: dict[str, Bound] = {}
        self.taken_from_module: set[str] = set()
        self.taken_from_outside: set[str] = set()
        self.resolved: dict[str, Verdict | Dropped] = {}

    def bind(self, name: str) -> Bound:
        """What is known about the name here, to be added to."""
        bound = self.bound.get(name)
        if bound is None:
            bound = self.bound[name] = Bound()
        return bound

    def owner_of(self, name: str) -> Scope | None:
        """The scope in which a binding written here takes effect; None: one around a function.

        That last one (Python's ``nonlocal``) binds the name by itself, before or after.
        """
        if name in self.taken_from_outside:
            return None
        if name in self.taken_from_module:
            return self.module()
        return self.lasting()

    def lasting(self) -> Scope:
        """The scope in which definitions that stand here are bound."""
        scope = self
        while scope.rule.transparent and scope.parent is not None:
            scope = scope.parent
        return scope

    def hoisted(self) -> Scope:
        """The scope around those that hand a hoisted binding on."""
        scope = self
        while scope.rule.hoists and scope.parent is not None:
            scope = scope.parent
        return scope

    def mark_rebound(self, name: str) -> None:
        """Note that a scope inside binds a name of the scopes around it: no use of it is sure."""
        scope: Scope | None = self.parent
        while scope is not None:
            if name in scope.bound:
                scope.bound[name].rebound = True
            scope = scope.parent

    def module(self) -> Scope:
        """The outermost scope."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


class Resolver:
    """Answers what plain names mean, once every binding of the file is known."""

    def __init__(
        self, language: Language, *, open_module: bool, doubtful: AbstractSet[str]
    ) -> None:
        self._builtins = language.builtins
        self._open_module = open_module
        """The module takes in names that the file does not show (a star import)."""
        self._doubtful = doubtful
        """Names in parts that did not parse: they may be bound there."""

    def resolve(self, scope: Scope, name: str) -> Verdict | Dropped:
        """What the name means when it is used in ``scope``; False for a local.

        A target is given only where nothing but that symbol is possible.
        """
        place: Scope | None = scope
        inside = False
        while place is not None:
            if name in place.taken_from_module:
                place = place.module()
            if not (inside and place.rule.hidden):
                bound = place.bound.get(name)
                if bound is not None and bound.found:
                    if place.rule.symbols:
                        return self._of_symbols(place, name, bound)
                    return self._of_locals(place, name, bound)
                if name in place.locals:
                    return False
            inside = inside or not place.rule.transparent
            place = place.parent
        if name in self._builtins and not self._open_module:
            return Verdict(Binding.BUILTIN)
        return Verdict(Binding.PLAIN)

    def exported(self, module: Scope, name: str) -> tuple[Verdict, int | None] | None:
        """What a module hands out under that name, and the import to ask about if it is one.

        None when the file alone can't tell.
        """
        bound = module.bound.get(name)
        if bound is None or self._open_module or name in self._doubtful:
            return None
        only = bound.only_symbol()
        if only is not None:
            return Verdict(Binding.PLAIN, only), None
        alone = not (bound.definitions or bound.variable or bound.local or bound.rebound)
        if alone and len(bound.imports) == 1:
            return Verdict(Binding.IMPORTED), bound.imports[0]
        return None

    def _of_symbols(self, place: Scope, name: str, bound: Bound) -> Verdict | Dropped:
        if bound.imports:
            return Verdict(Binding.IMPORTED)
        if not (bound.definitions or bound.variable):
            return False
        certain = (
            place.parent is None  # what a class body finds depends on how far it has run
            and not self._open_module
            and name not in self._builtins  # a definition under a condition may not happen
            and name not in self._doubtful
        )
        return Verdict(Binding.PLAIN, bound.only_symbol() if certain else None)

    def _of_locals(self, place: Scope, name: str, bound: Bound) -> Verdict | Dropped:
        if bound.imports:
            return Verdict(Binding.IMPORTED)
        if not bound.definitions:
            return False
        certain = name not in place.locals and name not in self._doubtful
        return Verdict(Binding.PLAIN, bound.only_symbol() if certain else None)
