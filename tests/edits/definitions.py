"""Edits of functions and classes as wholes: named, moved, deleted, doubled, made conditional."""

from __future__ import annotations

import ast
import random
import textwrap

from tests.edits.parts import (
    Kind,
    a_class,
    a_function,
    a_value,
    an_import,
    first_statement,
    is_class,
    is_function,
    members,
    statement_before,
    where,
)
from tests.edits.source import Definition, FunctionNode, Source, Unfit, indented
from tests.edits.tree import Tree


def _another_name(tree: Tree, draw: random.Random, definition: Definition) -> str:
    """Mostly a new one; at times one that something else bears already."""
    if draw.random() < 0.3:
        _, other = tree.draw_part(draw, lambda each: each.definitions)
        if other.node.name != definition.node.name:
            return other.node.name
    return tree.new_name(definition.node.name)


def rename_definition(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.functions)
    name = _another_name(tree, draw, found)
    tree.put(source, source.changed((*source.name_of(found.node), name)))
    return f"function {found.name} is named {name}, its uses are not, {where(source, found.node)}"


def rename_class(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.classes)
    name = _another_name(tree, draw, found)
    tree.put(source, source.changed((*source.name_of(found.node), name)))
    return f"class {found.name} is named {name}, its uses are not, {where(source, found.node)}"


def rename_with_uses(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.definitions)
    name = _another_name(tree, draw, found)
    uses = [(begin, end, name) for begin, end, used in source.names if used == found.node.name]
    tree.put(source, source.changed(*uses))
    return f"{found.name} is named {name} in all of {where(source, found.node)}"


def rename_everywhere(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.definitions)
    old, name = found.node.name, tree.new_name(found.node.name)
    if old.startswith("__"):
        raise Unfit("a name with a meaning")
    number = 0
    for each in tree.sources():
        uses = [(begin, end, name) for begin, end, used in each.names if used == old]
        if uses:
            tree.put(each, each.changed(*uses))
            number += 1
    return f"{found.name} of {source.path} is named {name} in {number} files"


def _move(tree: Tree, draw: random.Random, *, leave_import: bool) -> str:
    source, found = tree.draw_part(draw, lambda each: [d for d in each.definitions if d.at_top])
    target = tree.draw_source(draw, lambda each: each.path != source.path)
    begin, end = source.whole_lines(found.node)
    name = found.node.name
    module = tree.module(target.path)
    if leave_import and not module:
        raise Unfit("it could not be imported from there")
    left = f"from {module} import {name}\n" if leave_import else ""
    less = source.changed((begin, end, left))
    joint = "" if not target.text or target.text.endswith("\n") else "\n"
    more = target.changed(
        (len(target.text), len(target.text), f"{joint}\n\n{source.text[begin:end]}")
    )
    if less.tree is None or more.tree is None:
        raise Unfit("it would break")
    tree.put(target, more)
    tree.put(source, less)
    kept = ", an import is left behind" if leave_import else ""
    return f"{name} moves from {where(source, found.node)} to {target.path}{kept}"


def move(tree: Tree, draw: random.Random) -> str:
    return _move(tree, draw, leave_import=False)


def move_with_reexport(tree: Tree, draw: random.Random) -> str:
    return _move(tree, draw, leave_import=True)


def _delete(tree: Tree, draw: random.Random, source: Source, found: Definition) -> str:
    tree.put(source, source.changed(source.without(found.node, found.siblings)))
    return f"{found.name} is deleted, {where(source, found.node)}"


def delete_function(tree: Tree, draw: random.Random) -> str:
    return _delete(tree, draw, *tree.draw_part(draw, lambda each: each.functions))


def delete_class(tree: Tree, draw: random.Random) -> str:
    return _delete(tree, draw, *tree.draw_part(draw, lambda each: each.classes))


def add_function(tree: Tree, draw: random.Random) -> str:
    """With a call of a function and a use of a member of a class that it makes or is given."""
    source = tree.draw_source(draw, lambda each: True)
    name = tree.new_name("added")
    called, imports = a_function(tree, draw, source)
    module, its = tree.draw_importable(draw, is_class, but=source.path)
    member = draw.choice(members(its, source) or ["nothing"])
    if draw.random() < 0.5:
        body = (
            f"    from {module} import {its.node.name}\n"
            f"    made = {its.node.name}()\n    return {called}(), made.{member}\n"
        )
        head = f"def {name}(given=None):\n"
    else:
        imports = [*imports, an_import(source, f"from {module} import {its.node.name}")]
        body = f"    {called}()\n    return given.{member}()\n"
        head = f"def {name}(given: {its.node.name}):\n"
    place = len(source.text)
    joint = "" if not source.text or source.text.endswith("\n") else "\n"
    tree.put(source, source.changed(*imports, (place, place, f"{joint}\n\n{head}{body}")))
    return f"function {name} is added, uses {called} and {its.node.name}.{member}, {source.path}"


def add_method(tree: Tree, draw: random.Random) -> str:
    """One that calls another of its class, or hides one of a base."""
    source, found = tree.draw_part(draw, lambda each: each.classes)
    assert isinstance(found.node, ast.ClassDef)
    _, other = tree.draw_part(draw, lambda each: [d for d in each.functions if d.is_method])
    name = other.node.name if draw.random() < 0.6 else tree.new_name("method")
    value, changes = a_value(tree, draw, source)
    own = draw.choice(members(found, source) or [name])
    text = f"def {name}(self):\n    self.{own}\n    return {value}"
    changes.append(statement_before(source, first_statement(found.node), text))
    tree.put(source, source.changed(*changes))
    return f"method {name} is added to {found.name}, {where(source, found.node)}"


def edit_body(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(draw, lambda each: each.functions)
    assert isinstance(found.node, FunctionNode)
    statement = draw.choice(found.node.body)
    if draw.random() < 0.4 and not isinstance(statement, DefinitionTypes):
        tree.put(source, source.changed(source.without(statement, found.node.body)))
        return f"a statement of {found.name} goes, {where(source, statement)}"
    value, changes = a_value(tree, draw, source)
    name = tree.new_name("local")
    changes.append(statement_before(source, statement, f"{name} = {value}\n{name}.run"))
    tree.put(source, source.changed(*changes))
    return f"{name} = {value} is put into {found.name}, {where(source, statement)}"


DefinitionTypes = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def change_return(tree: Tree, draw: random.Random) -> str:
    """What a function returns, without an annotation that says it."""

    def returns(source: Source) -> list[tuple[Definition, ast.Return]]:
        return [
            (each, one)
            for each in source.functions
            for one in ast.walk(each.node)
            if isinstance(one, ast.Return) and one.value is not None
        ]

    source, (found, statement) = tree.draw_part(draw, returns)
    assert statement.value is not None
    value, changes = a_value(tree, draw, source)
    tree.put(source, source.changed(*changes, (*source.span(statement.value), value)))
    return f"{found.name} returns {value}, {where(source, statement)}"


def double(tree: Tree, draw: random.Random) -> str:
    """The same name twice: the second is another function, or the same with another body."""
    source, found = tree.draw_part(draw, lambda each: each.definitions)
    begin, end = source.whole_lines(found.node)
    text = source.text[begin:end]
    joint = "" if text.endswith("\n") else "\n"
    if draw.random() < 0.5 and is_function(found):
        value, changes = a_value(tree, draw, source)
        indent = source.indent(found.node.lineno)
        given = "self, *given" if found.is_method else "*given"
        text = f"{indent}def {found.node.name}({given}):\n{indent}    return {value}\n"
    else:
        changes = []
    tree.put(source, source.changed(*changes, (end, end, joint + text)))
    return f"{found.name} is there twice, {where(source, found.node)}"


def swap_twins(tree: Tree, draw: random.Random) -> str:
    """Two definitions of one name in one body change places."""

    def twins(source: Source) -> list[tuple[Definition, Definition]]:
        return [
            (one, other)
            for one in source.definitions
            for other in source.definitions
            if one.siblings is other.siblings
            and one.node.name == other.node.name
            and one.line < other.line
        ]

    source, (one, other) = tree.draw_part(draw, twins)
    first, second = source.whole_lines(one.node), source.whole_lines(other.node)
    changes = [
        (*first, source.text[second[0] : second[1]]),
        (*second, source.text[first[0] : first[1]]),
    ]
    tree.put(source, source.changed(*changes))
    return f"the two {one.name} change places, {where(source, one.node)}"


def swap_neighbours(tree: Tree, draw: random.Random) -> str:
    """Two definitions that follow each other change places: only their lines change."""

    def pairs(source: Source) -> list[tuple[Definition, Definition]]:
        found = source.definitions
        return [
            (one, other)
            for one in found
            for other in found
            if one.siblings is other.siblings
            and one.siblings.index(one.node) + 1 == other.siblings.index(other.node)
        ]

    source, (one, other) = tree.draw_part(draw, pairs)
    first, second = source.whole_lines(one.node), source.whole_lines(other.node)
    if not source.text[second[0] : second[1]].endswith("\n"):
        raise Unfit("the last line has no end")
    changes = [
        (*first, source.text[second[0] : second[1]]),
        (*second, source.text[first[0] : first[1]]),
    ]
    tree.put(source, source.changed(*changes))
    return f"{one.name} and {other.name} change places, {where(source, one.node)}"


CONDITIONS = {
    "if TYPE_CHECKING": ("if TYPE_CHECKING:\n", "", "from typing import TYPE_CHECKING"),
    "if not TYPE_CHECKING": ("if not TYPE_CHECKING:\n", "", "from typing import TYPE_CHECKING"),
    "try, except ImportError": ("try:\n", "except ImportError:\n    {name} = None\n", ""),
    "if sys.version_info": (
        "if sys.version_info >= (3, 9):\n",
        "else:\n    def {name}(*given): ...\n",
        "import sys",
    ),
    "if sys.version_info of long ago": ("if sys.version_info < (3, 3):\n", "", "import sys"),
}


def wrap(tree: Tree, draw: random.Random) -> str:
    """Put a definition under a condition."""
    source, found = tree.draw_part(draw, lambda each: each.definitions)
    begin, end = source.whole_lines(found.node)
    indent = source.indent(found.node.lineno)
    what = draw.choice(sorted(CONDITIONS))
    head, tail, needs = CONDITIONS[what]
    inner = indented(source.text[begin:end], "    ")
    joint = "" if inner.endswith("\n") else "\n"
    tail = tail.format(name=found.node.name)
    text = f"{indented(head, indent)}{inner}{joint}{indented(tail, indent)}"
    changes = [an_import(source, needs)] if needs else []
    tree.put(source, source.changed(*changes, (begin, end, text)))
    return f"{found.name} is put under {what}, {where(source, found.node)}"


def unwrap(tree: Tree, draw: random.Random) -> str:
    """Take the condition away again, with the other branch."""

    def conditions(source: Source) -> list[ast.If | ast.Try]:
        return [
            each
            for each in ast.walk(source.parsed)
            if isinstance(each, ast.If | ast.Try)
            and any(isinstance(one, DefinitionTypes) for one in each.body)
        ]

    source, found = tree.draw_part(draw, conditions)
    begin, end = source.whole_lines(found)
    first, last = source.whole_lines(found.body[0])[0], source.whole_lines(found.body[-1])[1]
    inner = indented(textwrap.dedent(source.text[first:last]), source.indent(found.lineno))
    tree.put(source, source.changed((begin, end, inner)))
    return f"a condition around definitions goes, {where(source, found)}"


def nest(tree: Tree, draw: random.Random) -> str:
    """A function of a module becomes a method of a class of the same file."""
    source, found = tree.draw_part(
        draw,
        lambda each: (
            [d for d in each.functions if d.at_top] if any(c.at_top for c in each.classes) else []
        ),
    )
    home = draw.choice([each for each in source.classes if each.at_top])
    assert isinstance(home.node, ast.ClassDef)
    begin, end = source.whole_lines(found.node)
    last = source.whole_lines(home.node.body[-1])[1]
    text = source.text[begin:end]
    if source.text[last - 1] != "\n" or not text.endswith("\n"):
        raise Unfit("the last line has no end")
    indent = source.indent(home.node.body[-1].lineno)
    changes = [(begin, end, ""), (last, last, indented(text, indent))]
    tree.put(source, source.changed(*changes))
    return f"function {found.name} goes into {home.name}, {where(source, found.node)}"


def add_class(tree: Tree, draw: random.Random) -> str:
    """An heir of a class of the tree, with a method that calls what it inherits."""
    source = tree.draw_source(draw, lambda each: True)
    base, changes = a_class(tree, draw, source)
    name = tree.new_name("Added")
    _, other = tree.draw_part(draw, lambda each: [d for d in each.functions if d.is_method])
    place = len(source.text)
    joint = "" if not source.text or source.text.endswith("\n") else "\n"
    text = (
        f"{joint}\n\nclass {name}({base}):\n    def {tree.new_name('uses')}(self):\n"
        f"        return self.{other.node.name}(), super().{other.node.name}\n"
    )
    tree.put(source, source.changed(*changes, (place, place, text)))
    return f"class {name}({base}) is added, {source.path}"


KINDS: dict[str, Kind] = {
    "function renamed": rename_definition,
    "class renamed": rename_class,
    "renamed with its uses in the file": rename_with_uses,
    "renamed in all files": rename_everywhere,
    "definition moved": move,
    "definition moved, import left behind": move_with_reexport,
    "function deleted": delete_function,
    "class deleted": delete_class,
    "function added": add_function,
    "class added": add_class,
    "method added": add_method,
    "body edited": edit_body,
    "returned value changed": change_return,
    "definition doubled": double,
    "twins swapped": swap_twins,
    "neighbours swapped": swap_neighbours,
    "definition put under a condition": wrap,
    "condition taken away": unwrap,
    "function made a method": nest,
}
