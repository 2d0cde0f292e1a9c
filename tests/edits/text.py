"""Edits of text that mean nothing or break everything: comments, blank lines, line ends, syntax."""

from __future__ import annotations

import ast
import random

from tests.edits.parts import Kind, where
from tests.edits.source import Change, FunctionNode, Source, Unfit
from tests.edits.tree import Tree


def touch_comment(tree: Tree, draw: random.Random) -> str:
    """A comment is added at the end of a line of code, or one that is there changes."""

    def statements(source: Source) -> list[ast.stmt]:
        return [
            each
            for each in ast.walk(source.parsed)
            if isinstance(each, ast.Assign | ast.Return | ast.Import | ast.Expr)
        ]

    source, found = tree.draw_part(draw, statements)
    assert found.end_lineno is not None
    end = source.at(found.end_lineno) + len(source.lines[found.end_lineno - 1])
    if source.text[: source.span(found)[1]].endswith("\\"):
        raise Unfit("the line goes on")
    tree.put(source, source.changed((end, end, f"  # {tree.new_name('remark')} é🎈")))
    return f"a comment is added, {source.path}:{found.end_lineno}"


def touch_docstring(tree: Tree, draw: random.Random) -> str:
    def docstrings(source: Source) -> list[ast.Constant]:
        return [
            each.value
            for owner in [source.parsed, *(one.node for one in source.definitions)]
            if owner.body
            and isinstance(each := owner.body[0], ast.Expr)
            and isinstance(each.value, ast.Constant)
            and isinstance(each.value.value, str)
            and source.piece(each.value).startswith('"""')
        ]

    source, found = tree.draw_part(draw, docstrings)
    begin = source.span(found)[0] + 3
    text = "One line more.\n\n    " if draw.random() < 0.5 else "Another word. "
    tree.put(source, source.changed((begin, begin, text)))
    return f"a docstring changes, {where(source, found)}"


def add_docstring(tree: Tree, draw: random.Random) -> str:
    source, found = tree.draw_part(
        draw, lambda each: [d for d in each.definitions if ast.get_docstring(d.node) is None]
    )
    first = found.node.body[0]
    begin = source.whole_lines(first)[0]
    if not isinstance(first, FunctionNode | ast.ClassDef) and (
        source.text[begin : source.span(first)[0]].strip()
    ):
        raise Unfit("the body does not begin its line")
    text = f'{source.indent(first.lineno)}"""Says what it is for."""\n'
    tree.put(source, source.changed((begin, begin, text)))
    return f"{found.name} gets a docstring, {where(source, found.node)}"


def _gaps(source: Source) -> list[int]:
    """Lines at which a statement begins: before them a line may be put."""
    lines = set()
    for owner in [source.parsed, *(each.node for each in source.definitions)]:
        for each in owner.body:
            begin = source.whole_lines(each)[0]
            line = source.text.count("\n", 0, begin) + 1
            if not source.text[begin : source.at(each.lineno, each.col_offset)].strip(" @"):
                lines.add(line)
    return sorted(lines)


def insert_lines(tree: Tree, draw: random.Random) -> str:
    source, line = tree.draw_part(draw, _gaps)
    number = draw.randint(1, 5)
    text = "".join(draw.choice(["\n", "# a remark on its own line\n"]) for _ in range(number))
    place = source.at(line)
    tree.put(source, source.changed((place, place, text)))
    return f"{number} empty lines or comments are put in, {source.path}:{line}"


def delete_lines(tree: Tree, draw: random.Random) -> str:
    """A run of blank lines goes."""

    def blank(source: Source) -> list[int]:
        inside = {
            line
            for each in ast.walk(source.parsed)
            if isinstance(each, ast.Constant | ast.JoinedStr) and each.end_lineno
            for line in range(each.lineno, each.end_lineno + 1)
        }
        return [
            number
            for number, line in enumerate(source.lines[:-1], 1)
            if not line.strip() and number not in inside
        ]

    source, line = tree.draw_part(draw, blank)
    tree.put(source, source.changed((source.at(line), source.at(line + 1), "")))
    return f"a blank line goes, {source.path}:{line}"


def save_again(tree: Tree, draw: random.Random) -> str:
    """The same bytes are written once more."""
    source = tree.draw_source(draw, lambda each: True)
    tree.write(source.path, source.content)
    return f"{source.path} is saved as it is"


def change_line_ends(tree: Tree, draw: random.Random) -> str:
    source = tree.draw_source(draw, lambda each: "\n" in each.text and "\r" not in each.text)
    tree.put(source, Source(source.path, source.text, not source.crlf, source.bom))
    return f"{source.path} has {'LF' if source.crlf else 'CRLF'}"


def change_bom(tree: Tree, draw: random.Random) -> str:
    source = tree.draw_source(draw, lambda _: True)
    tree.put(source, Source(source.path, source.text, source.crlf, not source.bom))
    return f"{source.path} {'loses' if source.bom else 'gets'} a BOM"


def foreign_name(tree: Tree, draw: random.Random) -> str:
    """Characters of two to four bytes stand before what is used in a line."""

    def simple(source: Source) -> list[ast.stmt]:
        return [
            each
            for owner in source.functions
            for each in owner.node.body
            if isinstance(each, ast.Assign | ast.Return | ast.Expr)
            and not source.lines[each.lineno - 1][: each.col_offset].strip()
        ]

    source, found = tree.draw_part(draw, simple)
    place = source.span(found)[0]
    text = draw.choice(["größe = '日本'; ", "'🎉🎈'; ", "计算 = 0; "])
    tree.put(source, source.changed((place, place, text)))
    return f"{text.strip()} is put before a statement, {where(source, found)}"


def reindent(tree: Tree, draw: random.Random) -> str:
    """A call is written over several lines."""

    def calls(source: Source) -> list[ast.Call]:
        return [
            each
            for each in ast.walk(source.parsed)
            if isinstance(each, ast.Call)
            and len(each.args) > 1
            and not each.keywords
            and each.lineno == each.end_lineno
            and "#" not in source.lines[each.lineno - 1]
        ]

    source, found = tree.draw_part(draw, calls)
    changes: list[Change] = []
    for each in found.args:
        begin = source.span(each)[0]
        changes.append((begin, begin, "\n" + source.indent(found.lineno) + "    "))
    tree.put(source, source.changed(*changes))
    return f"a call is written over several lines, {where(source, found)}"


# Broken syntax.


def break_syntax(tree: Tree, draw: random.Random) -> str:
    source, line = tree.draw_part(draw, lambda each: _gaps(each) if each.definitions else [])
    place = source.at(line)
    end = source.text.find("\n", place)
    indent = source.indent(line)
    what, change = draw.choice(
        [
            ("an open bracket", (place, place, f"{indent}broken = (\n")),
            ("half a definition", (place, place, f"{indent}def \n")),
            ("half an import", (place, place, f"{indent}from . import\n")),
            ("half an assignment", (place, place, f"{indent}broken =\n")),
            ("half an attribute", (place, place, f"{indent}broken.\n")),
            ("a stray indent", (place, place, "   ")),
            ("an open string", (place, place, f'{indent}"""\n')),
            ("a lost end of a line", (max(end - 1, place), end, "")),
            ("a conflict", (place, place, "<<<<<<< HEAD\n=======\n>>>>>>> theirs\n")),
        ]
    )
    after = source.changed(change)
    if after.tree is not None:
        raise Unfit("it is not broken")
    tree.broken[source.path] = source.content
    tree.write(source.path, after.content)
    return f"{what} breaks {source.path}:{line}"


def mend_syntax(tree: Tree, draw: random.Random) -> str:
    broken = [path for path in sorted(tree.broken) if (tree.root / path).exists()]
    if not broken:
        raise Unfit("nothing is broken")
    path = draw.choice(broken)
    tree.write(path, tree.broken.pop(path))
    return f"{path} is mended"


KINDS: dict[str, Kind] = {
    "comment added": touch_comment,
    "docstring changed": touch_docstring,
    "docstring added": add_docstring,
    "lines put in": insert_lines,
    "blank line deleted": delete_lines,
    "saved unchanged": save_again,
    "line ends changed": change_line_ends,
    "BOM added or removed": change_bom,
    "foreign characters before a use": foreign_name,
    "call written over several lines": reindent,
    "syntax broken": break_syntax,
    "syntax mended": mend_syntax,
}
