"""Small pieces of Python that edits put into files: values, names of classes, imports for them."""

from __future__ import annotations

import ast
import random
from collections.abc import Callable

from tests.edits.source import Change, Definition, FunctionNode, Source, Unfit
from tests.edits.tree import Tree

Kind = Callable[[Tree, random.Random], str]
"""Does one edit and says what it did and where; raises Unfit, with the tree as it was."""


def where(source: Source, node: ast.stmt | ast.expr | ast.alias | ast.arg) -> str:
    return f"{source.path}:{node.lineno}"


def is_class(definition: Definition) -> bool:
    return isinstance(definition.node, ast.ClassDef)


def is_function(definition: Definition) -> bool:
    return isinstance(definition.node, FunctionNode)


def a_class(tree: Tree, draw: random.Random, source: Source) -> tuple[str, list[Change]]:
    """The name of a class of the tree, and what has to be put into the file to know it."""
    own = [each.node.name for each in source.classes if each.at_top]
    if own and draw.random() < 0.4:
        return draw.choice(own), []
    module, found = tree.draw_importable(draw, is_class, but=source.path)
    return found.node.name, [an_import(source, f"from {module} import {found.node.name}")]


def a_function(tree: Tree, draw: random.Random, source: Source) -> tuple[str, list[Change]]:
    """The name of a function of the tree, and what has to be put into the file to know it."""
    own = [each.node.name for each in source.functions if each.at_top]
    if own and draw.random() < 0.5:
        return draw.choice(own), []
    module, found = tree.draw_importable(draw, is_function, but=source.path)
    return found.node.name, [an_import(source, f"from {module} import {found.node.name}")]


def a_value(tree: Tree, draw: random.Random, source: Source) -> tuple[str, list[Change]]:
    """An expression whose type hangs on a class or a function of the tree."""
    if draw.random() < 0.15:
        return draw.choice(["None", "0", "''", "[]", "{}", "object()"]), []
    chosen = a_class if draw.random() < 0.5 else a_function
    try:
        name, changes = chosen(tree, draw, source)
    except Unfit:
        name, changes = (a_class if chosen is a_function else a_function)(tree, draw, source)
    return f"{name}()", changes


def an_import(source: Source, line: str) -> Change:
    """The change that puts an import where imports stand."""
    place = source.top()
    before = "" if not place or source.text[place - 1] == "\n" else "\n"
    return place, place, f"{before}{line}\n"


def members(definition: Definition, source: Source) -> list[str]:
    """What a class has that can be asked for."""
    assert isinstance(definition.node, ast.ClassDef)
    return [
        each.name
        for each in definition.node.body
        if isinstance(each, FunctionNode) and not each.name.startswith("__")
    ]


def first_statement(node: FunctionNode | ast.ClassDef) -> ast.stmt:
    """The first one of a body that is no docstring, if there is another."""
    first = node.body[0]
    is_docstring = (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    )
    return node.body[1] if is_docstring and len(node.body) > 1 else first


def statement_before(source: Source, statement: ast.stmt, text: str) -> Change:
    """The change that puts a line of code before a statement that begins its line."""
    begin = source.whole_lines(statement)[0]
    indent = source.indent(source.text.count("\n", 0, begin) + 1)
    first = source.span(statement)[0]
    is_decorated = bool(getattr(statement, "decorator_list", ()))
    if not is_decorated and source.text[begin:first].strip():
        raise Unfit("it does not begin its line")
    return begin, begin, "".join(f"{indent}{line}\n" for line in text.splitlines())
