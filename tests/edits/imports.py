"""Edits of imports and of what a module says it exports."""

from __future__ import annotations

import ast
import random
from collections.abc import Sequence

from tests.edits.parts import Kind, an_import, where
from tests.edits.source import FunctionNode, Source, Unfit, bodies
from tests.edits.tree import Tree

Import = ast.Import | ast.ImportFrom
Placed = tuple[Import, Sequence[ast.stmt]]


def add_import(tree: Tree, draw: random.Random) -> str:
    """Of something of the tree, and mostly a use of it in a function."""
    source = tree.draw_source(draw, lambda each: True)
    module, found = tree.draw_importable(draw, lambda _: True, but=source.path)
    name = found.node.name
    line, use = draw.choice(
        [
            (f"from {module} import {name}", f"{name}"),
            (f"from {module} import {name} as {name}_too", f"{name}_too"),
            (f"import {module}", f"{module}.{name}"),
            (f"import {module} as it", f"it.{name}"),
            (f"from {module} import *", f"{name}"),
        ]
    )
    changes = [an_import(source, line)]
    users = [each.node for each in source.functions if isinstance(each.node, FunctionNode)]
    if users and draw.random() < 0.7:
        user = draw.choice(users)
        begin = source.whole_lines(user.body[0])[0]
        if not source.text[begin : source.span(user.body[0])[0]].strip():
            changes.append((begin, begin, f"{source.indent(user.body[0].lineno)}{use}()\n"))
    tree.put(source, source.changed(*changes))
    return f"{line} is added, {source.path}"


def remove_import(tree: Tree, draw: random.Random) -> str:
    source, (found, body) = tree.draw_part(draw, Source.imports)
    if len(found.names) > 1 and draw.random() < 0.7:
        names = list(found.names)
        gone = names.pop(draw.randrange(len(names)))
        line = _written(found, names)
        tree.put(source, source.changed((*source.span(found), line)))
        return f"the import of {gone.name} goes, {where(source, found)}"
    tree.put(source, source.changed(source.without(found, body)))
    return f"{_short(source, found)} goes, {where(source, found)}"


def _written(node: Import, names: Sequence[ast.alias]) -> str:
    parts = ", ".join(
        f"{each.name} as {each.asname}" if each.asname else each.name for each in names
    )
    if isinstance(node, ast.Import):
        return f"import {parts}"
    return f"from {'.' * node.level}{node.module or ''} import {parts}"


def _short(source: Source, node: Import) -> str:
    return " ".join(source.piece(node).split())[:80]


def _froms(source: Source) -> list[Placed]:
    return [
        (each, body)
        for each, body in source.imports()
        if isinstance(each, ast.ImportFrom) and each.names[0].name != "*"
    ]


def retarget_import(tree: Tree, draw: random.Random) -> str:
    """The same names from another module of the tree, or another thing under the same name."""
    source, (found, _) = tree.draw_part(draw, _froms)
    assert isinstance(found, ast.ImportFrom)
    module, other = tree.draw_importable(draw, lambda _: True, but=source.path)
    if draw.random() < 0.5:
        names = ", ".join(
            f"{each.name} as {each.asname}" if each.asname else each.name for each in found.names
        )
        line = f"from {module} import {names}"
    else:
        kept = draw.choice(found.names)
        rest = [each for each in found.names if each is not kept]
        line = f"from {module} import {other.node.name} as {kept.asname or kept.name}"
        if rest:
            indent = source.indent(found.lineno)
            line = f"{_written(found, rest)}\n{indent}{line}"
    tree.put(source, source.changed((*source.span(found), line)))
    new = " and ".join(each.strip() for each in line.splitlines())
    return f"{_short(source, found)} becomes {new}, {where(source, found)}"


def alias_import(tree: Tree, draw: random.Random) -> str:
    """Give an imported name another one: `import a as b`; the uses stay or follow."""

    def aliases(source: Source) -> list[tuple[Import, ast.alias]]:
        return [
            (each, name) for each, _ in source.imports() for name in each.names if name.name != "*"
        ]

    source, (found, name) = tree.draw_part(draw, aliases)
    old = name.asname or name.name.partition(".")[0]
    if name.asname and draw.random() < 0.5:
        tree.put(source, source.changed((*source.span(name), name.name)))
        return f"{name.name} is imported under its own name, {where(source, found)}"
    new = tree.new_name(old)
    changes = [(*source.span(name), f"{name.name} as {new}")]
    follows = draw.random() < 0.6 and "." not in name.name
    if follows:
        span = source.span(found)
        changes += [
            (begin, end, new)
            for begin, end, used in source.names
            if used == old and not span[0] <= begin < span[1]
        ]
    tree.put(source, source.changed(*changes))
    uses = "its uses follow" if follows else "its uses do not"
    return f"{name.name} is imported as {new}, {uses}, {where(source, found)}"


def relative_or_absolute(tree: Tree, draw: random.Random) -> str:
    source, (found, _) = tree.draw_part(
        draw, lambda each: _froms(each) if "." in tree.module(each.path) else []
    )
    assert isinstance(found, ast.ImportFrom)
    module = tree.module(source.path)
    is_package = source.path.endswith("__init__.py")
    package = module.split(".") if is_package else module.split(".")[:-1]
    if found.level:
        base = package[: len(package) - (found.level - 1)]
        line = f"from {'.'.join([*base, *([found.module] if found.module else [])])} import "
    elif found.module and found.module.split(".")[0] == package[0]:
        parts = found.module.split(".")
        shared = 0
        while shared < min(len(parts), len(package)) and parts[shared] == package[shared]:
            shared += 1
        dots = "." * (len(package) - shared + 1)
        line = f"from {dots}{'.'.join(parts[shared:])} import "
    else:
        raise Unfit("it leads out of the package")
    begin, end = source.span(found)
    rest = source.text[source.text.index("import", begin) + len("import") : end]
    tree.put(source, source.changed((begin, end, line + rest.lstrip())))
    return f"{_short(source, found)} becomes {line}..., {where(source, found)}"


def star_import(tree: Tree, draw: random.Random) -> str:
    """Names become a star, or a star is turned to another module or goes."""

    def froms(source: Source) -> list[Placed]:
        return [
            (each, body)
            for each, body in source.imports()
            if isinstance(each, ast.ImportFrom) and body is source.parsed.body
        ]

    source, (found, body) = tree.draw_part(draw, froms)
    assert isinstance(found, ast.ImportFrom)
    line = f"from {'.' * found.level}{found.module or ''} import *"
    if found.names[0].name == "*":
        if draw.random() < 0.3:
            tree.put(source, source.changed(source.without(found, body)))
            return f"{line} goes, {where(source, found)}"
        module, _ = tree.draw_importable(draw, lambda _: True, but=source.path)
        line = f"from {module} import *"
    tree.put(source, source.changed((*source.span(found), line)))
    return f"{_short(source, found)} becomes {line}, {where(source, found)}"


# What a module exports.


def _listed(source: Source) -> list[ast.List | ast.Tuple]:
    return [
        each.value
        for each in source.parsed.body
        if isinstance(each, ast.Assign)
        and any(isinstance(one, ast.Name) and one.id == "__all__" for one in each.targets)
        and isinstance(each.value, ast.List | ast.Tuple)
    ]


def add_to_all(tree: Tree, draw: random.Random) -> str:
    """One name more, or the list where there was none."""
    source = tree.draw_source(draw, lambda each: bool(each.definitions))
    names = [each.node.name for each in source.definitions if each.at_top] or ["nothing"]
    listed = _listed(source)
    name = draw.choice(names)
    if not listed:
        some = sorted(set(draw.sample(names, min(len(names), 2))))
        text = f"__all__ = [{', '.join(map(repr, some))}]\n"
        place = source.top()
        tree.put(source, source.changed((place, place, text)))
        return f"__all__ of {', '.join(some)} is added, {source.path}"
    begin = source.span(listed[0])[0] + 1
    tree.put(source, source.changed((begin, begin, f"{name!r}, ")))
    return f"{name} is put into __all__, {where(source, listed[0])}"


def remove_from_all(tree: Tree, draw: random.Random) -> str:
    source, listed = tree.draw_part(
        draw, lambda each: [one for one in _listed(each) if len(one.elts) > 1]
    )
    gone = draw.choice(listed.elts)
    kept = ", ".join(source.piece(each) for each in listed.elts if each is not gone)
    begin, end = source.span(listed)
    opening, closing = source.text[begin], source.text[end - 1]
    comma = "," if len(listed.elts) == 2 and closing == ")" else ""
    tree.put(source, source.changed((begin, end, f"{opening}{kept}{comma}{closing}")))
    return f"{source.piece(gone)} goes out of __all__, {where(source, listed)}"


def move_import_inside(tree: Tree, draw: random.Random) -> str:
    """An import of a module goes into the first function that stands there."""
    source, (found, body) = tree.draw_part(
        draw,
        lambda each: [
            (one, body)
            for one, body in each.imports()
            if body is each.parsed.body and one.names[0].name != "*" and each.functions
        ],
    )
    assert any(each is body for each in bodies(source.tree))
    user = draw.choice(source.functions).node
    assert isinstance(user, FunctionNode)
    begin = source.whole_lines(user.body[0])[0]
    if source.text[begin : source.span(user.body[0])[0]].strip():
        raise Unfit("it does not begin its line")
    line = f"{source.indent(user.body[0].lineno)}{_written(found, found.names)}\n"
    tree.put(source, source.changed(source.without(found, body), (begin, begin, line)))
    return f"{_short(source, found)} goes into {user.name}, {where(source, found)}"


KINDS: dict[str, Kind] = {
    "import added": add_import,
    "import removed": remove_import,
    "import retargeted": retarget_import,
    "import given an alias": alias_import,
    "import made relative or absolute": relative_or_absolute,
    "star import": star_import,
    "__all__ gets a name": add_to_all,
    "__all__ loses a name": remove_from_all,
    "import moved into a function": move_import_inside,
}
