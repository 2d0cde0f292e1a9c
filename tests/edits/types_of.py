"""Edits that change what something is: bases, signatures, values, attributes, decorators."""

from __future__ import annotations

import ast
import random

from tests.edits.parts import (
    Kind,
    a_class,
    a_function,
    a_value,
    an_import,
    first_statement,
    statement_before,
    where,
)
from tests.edits.source import Change, Definition, FunctionNode, Source, Unfit
from tests.edits.tree import Tree

# Bases.


def add_base(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.classes)
    assert isinstance(found.node, ast.ClassDef)
    base, changes = a_class(tree, draw, source)
    if base == found.node.name:
        raise Unfit("nothing is its own base")
    if found.node.bases:
        first = draw.random() < 0.5
        begin, end = source.span(found.node.bases[0 if first else -1])
        changes.append((begin, begin, f"{base}, ") if first else (end, end, f", {base}"))
    else:
        end = source.name_of(found.node)[1]
        if source.text[end] == "(":
            changes.append((end + 1, end + 1, f"{base}, "))
        else:
            changes.append((end, end, f"({base})"))
    tree.put(source, source.changed(*changes))
    return f"{found.name} gets the base {base}, {where(source, found.node)}"


def _with_bases(source: Source) -> list[Definition]:
    return [
        each
        for each in source.classes
        if isinstance(each.node, ast.ClassDef) and each.node.bases and not each.node.keywords
    ]


def remove_base(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, _with_bases)
    assert isinstance(found.node, ast.ClassDef)
    bases = list(found.node.bases)
    gone = bases.pop(draw.randrange(len(bases)))
    begin, end = source.span(found.node.bases[0])[0], source.span(found.node.bases[-1])[1]
    kept = ", ".join(source.piece(each) for each in bases)
    tree.put(source, source.changed((begin, end, kept)))
    return f"{found.name} loses the base {source.piece(gone)}, {where(source, found.node)}"


def replace_base(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, _with_bases)
    assert isinstance(found.node, ast.ClassDef)
    old = draw.choice(found.node.bases)
    base, changes = a_class(tree, draw, source)
    if base in {source.piece(old), found.node.name}:
        raise Unfit("nothing changes")
    tree.put(source, source.changed(*changes, (*source.span(old), base)))
    return (
        f"{found.name} has {base} instead of {source.piece(old)} as a base, "
        f"{where(source, found.node)}"
    )


# Signatures.


def _arguments(node: FunctionNode) -> list[ast.arg]:
    own = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [each for each in own if each.arg not in {"self", "cls"}]


def add_parameter(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(
        draw,
        lambda each: [
            d for d in each.functions if isinstance(d.node, FunctionNode) and not d.node.args.kwarg
        ],
    )
    assert isinstance(found.node, FunctionNode)
    end = source.text.index("(", source.name_of(found.node)[1]) + 1
    name = tree.new_name("given")
    changes: list[Change] = []
    annotation = ""
    if draw.random() < 0.6:
        annotation, changes = a_class(tree, draw, source)
    text = f"{name}: {annotation}" if annotation else name
    first = next(iter([*found.node.args.posonlyargs, *found.node.args.args]), None)
    if first is None:
        text += ", " if found.node.args.vararg or found.node.args.kwonlyargs else ""
    elif first.arg in {"self", "cls"}:
        end = source.span(first)[1]
        text = f", {text}"
    else:
        text += ", "
    tree.put(source, source.changed(*changes, (end, end, text)))
    return f"{found.name} takes {text.strip(', ')} too, {where(source, found.node)}"


def remove_parameter(tree: Tree, draw: random.Random) -> str:
    def plain(source: Source) -> list[tuple[FunctionNode, ast.arg]]:
        return [
            (each.node, one)
            for each in source.functions
            if isinstance(each.node, FunctionNode) and not each.node.args.defaults
            for one in each.node.args.args
            if one.arg not in {"self", "cls"}
        ]

    source, (node, gone) = tree.draw_part(draw, plain)
    begin, end = source.span(gone)
    rest = source.text[end:]
    comma = len(rest) - len(rest.lstrip())
    if rest[comma : comma + 1] == ",":
        end += comma + 1
    tree.put(source, source.changed((begin, end, "")))
    return f"{node.name} takes {gone.arg} no more, {where(source, gone)}"


def annotate_parameter(tree: Tree, draw: random.Random) -> str:
    def arguments(source: Source) -> list[tuple[FunctionNode, ast.arg]]:
        return [
            (each.node, one)
            for each in source.functions
            if isinstance(each.node, FunctionNode)
            for one in _arguments(each.node)
        ]

    source, (node, found) = tree.draw_part(draw, arguments)
    name, changes = a_class(tree, draw, source)
    changes.append((*source.span(found), f"{found.arg}: {name}"))
    tree.put(source, source.changed(*changes))
    return f"parameter {found.arg} of {node.name} is a {name}, {where(source, found)}"


def annotate_return(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.functions)
    assert isinstance(found.node, FunctionNode)
    name, changes = a_class(tree, draw, source)
    if found.node.returns is not None:
        if draw.random() < 0.2:
            begin, end = source.span(found.node.returns)
            begin = source.text.rindex("->", 0, begin)
            tree.put(source, source.changed((begin, end, "")))
            return f"what {found.name} returns is not said any more, {where(source, found.node)}"
        changes.append((*source.span(found.node.returns), name))
    else:
        body = source.whole_lines(found.node.body[0])[0]
        colon = source.text.rindex(":", 0, body)
        if "\n" in source.text[colon:body].rstrip("\n") or "#" in source.text[colon - 80 : body]:
            raise Unfit("it is not plain where the head ends")
        changes.append((colon, colon, f" -> {name}"))
    tree.put(source, source.changed(*changes))
    return f"{found.name} is said to return {name}, {where(source, found.node)}"


# Values.


def change_variable(tree: Tree, draw: random.Random) -> str:
    """What a variable of a module or a class is assigned."""

    def assigned(source: Source) -> list[ast.Assign | ast.AnnAssign]:
        blocks = [source.parsed.body]
        blocks += [each.node.body for each in source.classes]
        return [
            each
            for body in blocks
            for each in body
            if isinstance(each, ast.Assign | ast.AnnAssign) and each.value is not None
        ]

    source, found = tree.draw_part(draw, assigned)
    assert found.value is not None
    value, changes = a_value(tree, draw, source)
    name = source.text[slice(*source.span(found))].partition("=")[0].strip()
    tree.put(source, source.changed(*changes, (*source.span(found.value), value)))
    return f"{name} is {value}, {where(source, found)}"


def add_variable(tree: Tree, draw: random.Random) -> str:
    """A new one in a module, used below, or another value for a name that is known."""
    source = tree.draw_source(draw, lambda each: bool(each.functions))
    user = draw.choice([each for each in source.functions if isinstance(each.node, FunctionNode)])
    assert isinstance(user.node, FunctionNode)
    value, changes = a_value(tree, draw, source)
    name = tree.new_name("variable")
    place = source.top()
    changes.append((place, place, f"{name} = {value}\n"))
    changes.append(statement_before(source, user.node.body[0], f"{name}.run(); {name}"))
    tree.put(source, source.changed(*changes))
    return f"variable {name} = {value} is added and used in {user.name}, {source.path}"


def _self_assignments(source: Source) -> list[tuple[ast.Assign, ast.Attribute, list[ast.stmt]]]:
    return [
        (statement, target, body)
        for each in source.functions
        if each.is_method
        for body in [each.node.body]
        for statement in body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Attribute)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    ]


def change_attribute(tree: Tree, draw: random.Random) -> str:
    source, (statement, target, _) = tree.draw_part(draw, _self_assignments)
    value, changes = a_value(tree, draw, source)
    tree.put(source, source.changed(*changes, (*source.span(statement.value), value)))
    return f"self.{target.attr} is {value}, {where(source, statement)}"


def remove_attribute(tree: Tree, draw: random.Random) -> str:
    source, (statement, target, body) = tree.draw_part(draw, _self_assignments)
    tree.put(source, source.changed(source.without(statement, body)))
    return f"self.{target.attr} is not assigned any more, {where(source, statement)}"


def add_attribute(tree: Tree, draw: random.Random) -> str:
    """A new one, or one of a name that is used already."""

    def methods(source: Source) -> list[Definition]:
        return [
            each
            for each in source.functions
            if each.is_method
            and isinstance(each.node, FunctionNode)
            and each.node.args.args
            and each.node.args.args[0].arg == "self"
        ]

    source, found = tree.draw_part(draw, methods)
    assert isinstance(found.node, FunctionNode)
    used = [
        each.attr
        for each in ast.walk(source.parsed)
        if isinstance(each, ast.Attribute) and not each.attr.startswith("__")
    ]
    name = draw.choice(used) if used and draw.random() < 0.5 else tree.new_name("attribute")
    value, changes = a_value(tree, draw, source)
    text = f"self.{name} = {value}"
    changes.append(statement_before(source, first_statement(found.node), text))
    tree.put(source, source.changed(*changes))
    return f"{text} is put into {found.name}, {where(source, found.node)}"


# Decorators and special methods.

DECORATORS = {
    "property": "",
    "staticmethod": "",
    "classmethod": "",
    "overload": "from typing import overload",
    "cached_property": "from functools import cached_property",
    "lru_cache": "from functools import lru_cache",
    "contextmanager": "from contextlib import contextmanager",
    "abstractmethod": "from abc import abstractmethod",
}


def add_decorator(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.functions)
    begin = source.whole_lines(found.node)[0]
    changes: list[Change]
    if draw.random() < 0.2:
        name, changes = a_function(tree, draw, source)
    else:
        name = draw.choice(sorted(DECORATORS))
        needs = DECORATORS[name]
        changes = [an_import(source, needs)] if needs else []
    changes.append((begin, begin, f"{source.indent(found.node.lineno)}@{name}\n"))
    tree.put(source, source.changed(*changes))
    return f"{found.name} gets @{name}, {where(source, found.node)}"


def remove_decorator(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(
        draw, lambda each: [d for d in each.definitions if d.node.decorator_list]
    )
    gone = draw.choice(found.node.decorator_list)
    assert gone.end_lineno is not None
    begin, end = source.at(gone.lineno), source.at(gone.end_lineno + 1)
    tree.put(source, source.changed((begin, end, "")))
    return f"{found.name} loses @{source.piece(gone)}, {where(source, found.node)}"


def method_to_property(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(
        draw,
        lambda each: [d for d in each.functions if d.is_method and not d.node.decorator_list],
    )
    begin = source.whole_lines(found.node)[0]
    text = f"{source.indent(found.node.lineno)}@property\n"
    tree.put(source, source.changed((begin, begin, text)))
    return f"method {found.name} is a property, {where(source, found.node)}"


SPECIAL = {
    "__enter__": "def __enter__(self) -> {name}:\n    return {name}()",
    "__iter__": "def __iter__(self):\n    yield {name}()",
    "__next__": "def __next__(self) -> {name}: ...",
    "__call__": "def __call__(self, *given) -> {name}: ...",
    "__getattr__": "def __getattr__(self, name) -> {name}: ...",
    "__getitem__": "def __getitem__(self, key) -> {name}: ...",
    "__new__": "def __new__(cls, *given) -> {name}: ...",
    "__get__": "def __get__(self, instance, owner) -> {name}: ...",
    "__add__": "def __add__(self, other) -> {name}: ...",
    "__init__": "def __init__(self, *given):\n    self.made = {name}()",
}


def add_special(tree: Tree, draw: random.Random) -> str:
    """A special method whose result is of a class of the tree, and a function that relies on it."""
    source, found = tree.draw_part(draw, lambda each: [d for d in each.classes if d.at_top])
    assert isinstance(found.node, ast.ClassDef)
    name, changes = a_class(tree, draw, source)
    which = draw.choice(sorted(SPECIAL))
    first = first_statement(found.node)
    changes.append(statement_before(source, first, SPECIAL[which].replace("{name}", name)))
    tree.put(source, source.changed(*changes))
    return f"{found.name} gets {which} with {name}, {where(source, found.node)}"


def rely_on_special(tree: Tree, draw: random.Random) -> str:
    """A function that uses an object the ways that special methods are for."""
    source = tree.draw_source(draw, lambda each: True)
    value, changes = a_value(tree, draw, source)
    _, other = tree.draw_part(draw, lambda each: [d for d in each.functions if d.is_method])
    name, member = tree.new_name("relies"), other.node.name
    text = (
        f"def {name}():\n    it = {value}\n    with it as inner:\n        inner.{member}\n"
        f"    for each in it:\n        each.{member}\n    it(1).{member}\n    it[0].{member}\n"
        f"    it.{member}\n    (it + it).{member}\n"
    )
    place = len(source.text)
    joint = "" if not source.text or source.text.endswith("\n") else "\n"
    changes.append((place, place, f"{joint}\n\n{text}"))
    tree.put(source, source.changed(*changes))
    return f"function {name} relies on special methods of {value}, {source.path}"


KINDS: dict[str, Kind] = {
    "base added": add_base,
    "base removed": remove_base,
    "base replaced": replace_base,
    "parameter added": add_parameter,
    "parameter removed": remove_parameter,
    "parameter annotated": annotate_parameter,
    "return annotated": annotate_return,
    "variable's value changed": change_variable,
    "variable added": add_variable,
    "attribute's value changed": change_attribute,
    "attribute removed": remove_attribute,
    "attribute added": add_attribute,
    "decorator added": add_decorator,
    "decorator removed": remove_decorator,
    "method made a property": method_to_property,
    "special method added": add_special,
    "special methods relied on": rely_on_special,
}
