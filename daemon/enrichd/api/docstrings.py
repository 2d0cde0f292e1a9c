"""What the source says of the fields of a Struct: the strings that stand under them."""

from __future__ import annotations

import ast
import inspect
import sys
from importlib.abc import InspectLoader
from itertools import pairwise

from msgspec import Struct


class FieldTexts:
    """Reads each module once; without its source there is nothing to tell."""

    def __init__(self) -> None:
        self._modules: dict[str, dict[str, dict[str, str]]] = {}

    def of(self, kind: type[Struct]) -> dict[str, str]:
        """By the name of the field, those that it has of its bases among them."""
        found: dict[str, str] = {}
        for each in reversed(kind.__mro__):
            found |= self._module(each.__module__).get(each.__qualname__, {})
        return found

    def _module(self, name: str) -> dict[str, dict[str, str]]:
        if name not in self._modules:
            loader = getattr(sys.modules[name], "__loader__", None)
            ours = name.partition(".")[0].startswith("enrichd")
            source = loader.get_source(name) if ours and isinstance(loader, InspectLoader) else None
            self._modules[name] = _texts(ast.parse(source or ""))
        return self._modules[name]


def _texts(module: ast.Module) -> dict[str, dict[str, str]]:
    return {
        node.name: {
            field.target.id: " ".join(inspect.cleandoc(text.value.value).split())
            for field, text in pairwise(node.body)
            if isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        }
        for node in module.body
        if isinstance(node, ast.ClassDef)
    }
