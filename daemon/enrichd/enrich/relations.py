"""From what syntax says a site is for, and what it leads to, to the relation of the edge."""

from __future__ import annotations

from typing import assert_never

from enrichd_tracker.model import CALLABLES, TYPES, Relation, Role, SymbolKind

_NEVER_A_BASE = CALLABLES | {SymbolKind.MODULE, SymbolKind.PROPERTY}
_NOT_CALLED_ITSELF = {SymbolKind.MODULE, SymbolKind.PROPERTY}  # calling one calls its value


def relation(role: Role, target: SymbolKind | None) -> Relation:
    """The relation that a site with this role shows; None: a target of unknown kind."""
    match role:
        case Role.IMPORT:
            return Relation.IMPORTS
        case Role.INHERIT:
            return Relation.REFERENCES if target in _NEVER_A_BASE else Relation.INHERITS
        case Role.CALL:
            if target in TYPES:
                return Relation.INSTANTIATES
            return Relation.REFERENCES if target in _NOT_CALLED_ITSELF else Relation.CALLS
        case Role.REFERENCE:
            return Relation.REFERENCES
        case _:
            assert_never(role)
