"""One Python file as text: where its parts stand, and the same file with some of them replaced."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
DefinitionNode = FunctionNode | ast.ClassDef
Block = ast.Module | ast.stmt | ast.ExceptHandler | ast.match_case
Change = tuple[int, int, str]
"""From where to where, and what stands there instead."""
BOM = b"\xef\xbb\xbf"


class Unfit(Exception):
    """An edit can't be made here."""


@dataclass(frozen=True)
class Definition:
    """A function or class, and where it hangs."""

    node: DefinitionNode
    siblings: Sequence[ast.stmt]
    """The body that it stands in, itself included."""
    around: tuple[DefinitionNode, ...]
    """The definitions around it, the outermost first."""
    at_top: bool
    """Whether it stands in the module's own body."""

    @property
    def is_method(self) -> bool:
        return (
            bool(self.around)
            and isinstance(self.around[-1], ast.ClassDef)
            and isinstance(self.node, FunctionNode)
        )

    @property
    def name(self) -> str:
        """Dotted, for people."""
        return ".".join(each.name for each in (*self.around, self.node))

    @property
    def line(self) -> int:
        return self.node.lineno


@dataclass(frozen=True)
class Source:
    """A file's text with LF, how its bytes are dressed, and its syntax where it has one."""

    path: str
    text: str
    crlf: bool = False
    bom: bool = False

    @classmethod
    def of(cls, path: str, content: bytes) -> Source:
        """Raises Unfit where the bytes are no text."""
        try:
            text = content.removeprefix(BOM).decode()
        except UnicodeDecodeError as error:
            raise Unfit(f"{path} is not UTF-8") from error
        crlf = "\r\n" in text
        return cls(
            path, text.replace("\r\n", "\n") if crlf else text, crlf, content.startswith(BOM)
        )

    @property
    def content(self) -> bytes:
        text = self.text.replace("\n", "\r\n") if self.crlf else self.text
        return (BOM if self.bom else b"") + text.encode()

    @cached_property
    def tree(self) -> ast.Module | None:
        """None where it does not parse."""
        try:
            return ast.parse(self.text)
        except (SyntaxError, ValueError, RecursionError):
            return None

    @property
    def parsed(self) -> ast.Module:
        if self.tree is None:
            raise Unfit(f"{self.path} does not parse")
        return self.tree

    @cached_property
    def _starts(self) -> list[int]:
        starts, at = [0], 0
        for line in self.text.split("\n"):
            at += len(line) + 1
            starts.append(at)
        return starts

    @cached_property
    def lines(self) -> list[str]:
        """Without their ends."""
        return self.text.split("\n")

    def at(self, line: int, column: int = 0) -> int:
        """The place of a line, from 1, and a column in bytes, from 0."""
        if line > len(self.lines):
            return len(self.text)
        before = self.lines[line - 1].encode()[:column].decode(errors="ignore")
        return self._starts[line - 1] + len(before)

    def span(self, node: ast.expr | ast.stmt | ast.arg | ast.alias) -> tuple[int, int]:
        """From where to where a node goes, without decorators."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def piece(self, node: ast.expr | ast.stmt | ast.arg | ast.alias) -> str:
        begin, end = self.span(node)
        return self.text[begin:end]

    def whole_lines(self, node: ast.stmt) -> tuple[int, int]:
        """From where to where the lines go that a statement is on, decorators included."""
        first = node.lineno
        if isinstance(node, DefinitionNode) and node.decorator_list:
            first = min(each.lineno for each in node.decorator_list)
        assert node.end_lineno is not None
        return self.at(first), self.at(node.end_lineno + 1)

    def indent(self, line: int) -> str:
        text = self.lines[line - 1]
        return text[: len(text) - len(text.lstrip())]

    def changed(self, *changes: Change) -> Source:
        """The same file with these places replaced; the places do not overlap.

        What is put in at one and the same place comes in the order in which it is given.
        """
        text = self.text
        ordered = sorted(enumerate(changes), key=lambda each: (each[1][:2], each[0]), reverse=True)
        for _, (begin, end, new) in ordered:
            text = text[:begin] + new + text[end:]
        return Source(self.path, text, self.crlf, self.bom)

    # What there is.

    @cached_property
    def definitions(self) -> list[Definition]:
        """All functions and classes, at whatever depth; none where it does not parse."""
        return list(_definitions(self.tree.body, (), True)) if self.tree else []

    @property
    def classes(self) -> list[Definition]:
        return [each for each in self.definitions if isinstance(each.node, ast.ClassDef)]

    @property
    def functions(self) -> list[Definition]:
        return [each for each in self.definitions if isinstance(each.node, FunctionNode)]

    @cached_property
    def names(self) -> list[tuple[int, int, str]]:
        """Every name in it, with where it stands; none where it can't be cut into tokens."""
        found = []
        try:
            for token in tokenize.generate_tokens(io.StringIO(self.text).readline):
                if token.type == tokenize.NAME:
                    begin = self._starts[token.start[0] - 1] + token.start[1]
                    found.append((begin, begin + len(token.string), token.string))
        except (tokenize.TokenError, SyntaxError):
            return []
        return found

    def name_of(self, node: DefinitionNode) -> tuple[int, int]:
        """Where the name of a definition stands in it."""
        begin = self.at(node.lineno, node.col_offset)
        for start, end, name in self.names:
            if start > begin and name == node.name:
                return start, end
        raise Unfit(f"{node.name} has no name")

    def imports(self) -> list[tuple[ast.Import | ast.ImportFrom, Sequence[ast.stmt]]]:
        """Every import with the body that it stands in."""
        return [
            (each, body)
            for body in bodies(self.tree)
            for each in body
            if isinstance(each, ast.Import | ast.ImportFrom)
            and not (isinstance(each, ast.ImportFrom) and each.module == "__future__")
        ]

    def top(self) -> int:
        """Where another import can be put: behind the first ones, or below the docstring."""
        place = 0
        for number, each in enumerate(self.parsed.body):
            is_docstring = (
                number == 0 and isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
            )
            if not is_docstring and not isinstance(each, ast.Import | ast.ImportFrom):
                break
            place = self.whole_lines(each)[1]
        return place

    def without(self, node: ast.stmt, siblings: Sequence[ast.stmt]) -> Change:
        """The change that takes a statement away; a body that would be empty keeps a `pass`."""
        begin, end = self.whole_lines(node)
        first, last = self.span(node)
        if isinstance(node, DefinitionNode) and node.decorator_list:
            first = self.span(node.decorator_list[0])[0] - 1
        shares = self.text[begin:first].strip() or self.text[last:end].strip(" \t\n")
        if shares and not self.text[last:end].lstrip().startswith("#"):
            return first, last, "pass"
        if len(siblings) == 1 and not (self.tree and siblings is self.tree.body):
            return first, last, "pass"
        return begin, end, ""


def bodies(node: ast.AST | None) -> Iterator[list[ast.stmt]]:
    """Every list of statements below a node."""
    if node is None:
        return
    for each in ast.walk(node):
        for name in ("body", "orelse", "finalbody"):
            body = getattr(each, name, None)
            if isinstance(body, list) and body and isinstance(body[0], ast.stmt):
                yield body


def _definitions(
    body: list[ast.stmt], around: tuple[DefinitionNode, ...], at_top: bool
) -> Iterator[Definition]:
    for each in body:
        if isinstance(each, DefinitionNode):
            yield Definition(each, body, around, at_top)
            yield from _definitions(each.body, (*around, each), False)
        else:
            for inner in _direct_bodies(each):
                yield from _definitions(inner, around, False)


def _direct_bodies(statement: ast.stmt) -> Iterable[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        body = getattr(statement, name, None)
        if isinstance(body, list):
            yield body
    for handler in getattr(statement, "handlers", []):
        yield handler.body
    for case in getattr(statement, "cases", []):
        yield case.body


def indented(text: str, by: str) -> str:
    """Each line that is not empty moved to the right."""
    return "".join(by + line if line.strip() else line for line in text.splitlines(keepends=True))
