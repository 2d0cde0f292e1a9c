"""Which symbol a person means by S: a uid, a name, or ``path:line[:column]``."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from pathlib import Path

from msgspec import Struct

from enrichd.errors import AnswerIsNo, UsageError
from enrichd.query.answers import SymbolView, Views, counted
from enrichd_tracker.model import SymbolKind, Workspace
from enrichd_tracker.store.port import Reader, StoredSymbol

MAX_TEXT_CHARS = 4000
_PLACE = re.compile(r"(?P<path>.+?):(?P<line>\d{1,9})(?::(?P<column>\d{1,9}))?")
_WITHOUT_A_BODY = frozenset(
    {SymbolKind.CONSTANT, SymbolKind.VARIABLE, SymbolKind.FIELD, SymbolKind.TYPE_ALIAS}
)


class Selected(Struct, frozen=True):
    """What was meant: one symbol, or the same-named siblings of one scope (overloads, ...)."""

    workspace: Workspace
    symbols: list[StoredSymbol]

    @property
    def first(self) -> StoredSymbol:
        """The symbol, or the first of the siblings."""
        return self.symbols[0]

    @property
    def ids(self) -> list[int]:
        return [symbol.id for symbol in self.symbols]


class AmbiguousSymbol(AnswerIsNo):
    """Several symbols answer to the text; ``candidates`` are those to choose from."""

    def __init__(self, text: str, candidates: list[SymbolView]) -> None:
        super().__init__(
            f"{text} is ambiguous: it may be any of {counted(len(candidates), 'symbol')}",
            hint="give more of the dotted name, path:line, or a uid",
        )
        self.candidates = candidates


def select(
    reader: Reader, text: str, *, workspace: str | None = None, folder: Path | None = None
) -> Selected:
    """The symbol that ``text`` stands for.

    ``workspace`` narrows to the one of this name. ``folder`` is where a relative path may start,
    besides the root. Raises AnswerIsNo (AmbiguousSymbol among them) and UsageError.
    """
    if not text.strip() or len(text) > MAX_TEXT_CHARS or "\0" in text:
        raise UsageError(
            "expected a uid, a qualified name, or path:line[:column]"
            + ("" if text.strip() else "; got empty text")
        )
    workspaces = chosen(reader, workspace)
    narrowed = workspaces[0].id if workspace is not None else None
    if found := reader.symbol_by_uid(text, narrowed):
        return _one(reader, text, [[symbol] for symbol in found])
    place = _PLACE.fullmatch(text)
    if place is not None:
        return _at(reader, place, _files(reader, workspaces, place["path"], folder))
    if files := _files(reader, workspaces, text, folder):
        return _one(reader, text, [reader.symbols_in(each.id, path)[:1] for each, path in files])
    if found := _named(reader, text, narrowed):
        return _one(reader, text, _groups(found))
    raise _not_found(reader, text, narrowed)


def chosen(reader: Reader, name: str | None) -> list[Workspace]:
    """The workspace of this name, or all of them; never none."""
    workspaces = reader.workspaces()
    if not workspaces:
        raise AnswerIsNo("nothing is indexed yet", hint="begin with `enrichd index PATH`")
    if name is None:
        return workspaces
    found = [workspace for workspace in workspaces if workspace.name == name]
    if not found:
        names = ", ".join(workspace.name for workspace in workspaces)
        raise AnswerIsNo(f"there is no workspace named {name}", hint=f"there are: {names}")
    return found


def _one(reader: Reader, text: str, groups: list[list[StoredSymbol]]) -> Selected:
    if len(groups) > 1:
        views = Views.of(reader)
        raise AmbiguousSymbol(text, [views.symbol(group[0]) for group in groups])
    workspaces = {workspace.id: workspace for workspace in reader.workspaces()}
    return Selected(workspaces[groups[0][0].workspace_id], groups[0])


def _groups(symbols: Iterable[StoredSymbol]) -> list[list[StoredSymbol]]:
    """Same-named siblings together; the order of the first of each stays."""

    def scope(symbol: StoredSymbol) -> tuple[int, str, int, str]:
        return symbol.workspace_id, symbol.path or "", symbol.parent_id or 0, symbol.name

    return [list(group) for _, group in groupby(sorted(symbols, key=scope), key=scope)]


# By name


def _named(reader: Reader, text: str, workspace_id: int | None) -> list[StoredSymbol]:
    """Whose qualified name it is; else whose name; else whose dotted name ends with it."""
    found = reader.symbols_named(text.rpartition(".")[2], workspace_id)
    modules: dict[tuple[int, str], str] = {}

    def full_name(symbol: StoredSymbol) -> str:
        if symbol.kind == SymbolKind.MODULE or symbol.path is None:
            return symbol.qualified_name
        key = (symbol.workspace_id, symbol.path)
        if key not in modules:
            module = reader.symbol_by_uid(f"{symbol.path}/", symbol.workspace_id)
            modules[key] = module[0].qualified_name if module else ""
        return f"{modules[key]}.{symbol.qualified_name}"

    def is_qualified_name(symbol: StoredSymbol) -> bool:
        own = symbol.qualified_name
        return own == text or (_ends_with(text, own) and full_name(symbol) == text)

    def is_suffix(symbol: StoredSymbol) -> bool:
        own = symbol.qualified_name
        return _ends_with(own, text) or (
            _ends_with(text, own) and _ends_with(full_name(symbol), text)
        )

    tiers: Sequence[Callable[[StoredSymbol], bool]] = (
        is_qualified_name,
        lambda symbol: symbol.name == text,
        is_suffix,
    )
    for tier in tiers:
        if matching := [symbol for symbol in found if tier(symbol)]:
            return matching
    return []


def _ends_with(dotted: str, end: str) -> bool:
    return dotted == end or dotted.endswith(f".{end}")


def _not_found(reader: Reader, text: str, workspace_id: int | None) -> AnswerIsNo:
    import difflib  # noqa: PLC0415  (only when something is not there)

    last = text.rpartition(".")[2]
    like = {
        symbol.qualified_name
        for symbol in reader.symbols_like(f"*{ignoring_case(last)}*", workspace_id, limit=50)
    }
    close = difflib.get_close_matches(text, like, n=3, cutoff=0.3)
    if not close:
        workspaces = [workspace_id] if workspace_id else [each.id for each in reader.workspaces()]
        names = set[str]().union(*(reader.names(each) for each in workspaces))
        close = difflib.get_close_matches(last, names, n=3, cutoff=0.7)
    hint = "did you mean " + " or ".join(close) + "?" if close else "try `enrichd symbols '*...*'`"
    return AnswerIsNo(f"there is no symbol {text}", hint=hint)


def ignoring_case(text: str) -> str:
    """A glob that matches the text in any case."""
    pieces = []
    for char in text:
        if char in "*?[":
            pieces.append(f"[{char}]")
        elif char.lower() != char.upper() and len(char.lower()) == len(char.upper()) == 1:
            pieces.append(f"[{char.lower()}{char.upper()}]")
        else:
            pieces.append(char)
    return "".join(pieces)


# By place


def _files(
    reader: Reader, workspaces: Iterable[Workspace], path: str, folder: Path | None
) -> list[tuple[Workspace, str]]:
    """The indexed files that the path stands for, one a workspace at most."""
    found = []
    for workspace in workspaces:
        for candidate in _relative(workspace, path, folder):
            if reader.file(workspace.id, candidate) is not None:
                found.append((workspace, candidate))
                break
    return found


def _relative(workspace: Workspace, path: str, folder: Path | None) -> list[str]:
    absolute = [path] if Path(path).is_absolute() else []
    candidates = [] if absolute else [os.path.normpath(path)]
    if folder is not None and not absolute:
        absolute = [str(folder / path)]
    forms = [Path(form(each)) for each in absolute for form in (os.path.normpath, os.path.realpath)]
    candidates += [
        str(form.relative_to(workspace.root))
        for form in forms
        if form.is_relative_to(workspace.root)
    ]
    return candidates


def _at(reader: Reader, place: re.Match[str], files: list[tuple[Workspace, str]]) -> Selected:
    line, column = int(place["line"]), int(place["column"]) if place["column"] else None
    if line == 0 or column == 0:
        raise UsageError(f"{place[0]}: lines and columns begin at 1")
    if not files:
        raise _no_file(reader, place["path"])
    found = [_standing_at(reader, each, path, line - 1, column) for each, path in files]
    groups = [[symbol] for symbol in found if symbol is not None]
    if not groups:
        raise AnswerIsNo(f"{files[0][1]} has no line {line}")
    return _one(reader, place[0], groups)


def _no_file(reader: Reader, path: str) -> AnswerIsNo:
    import difflib  # noqa: PLC0415

    known = [each for workspace in reader.workspaces() for each in reader.files(workspace.id)]
    close = [each for each in known if each.endswith(f"/{Path(path).name}")][:3]
    close = close or difflib.get_close_matches(path, known, n=3)
    return AnswerIsNo(
        f"there is no indexed file {path}",
        hint=f"did you mean {' or '.join(close)}?" if close else None,
    )


def _standing_at(
    reader: Reader, workspace: Workspace, path: str, line: int, column: int | None
) -> StoredSymbol | None:
    """The symbol whose name stands there; else the innermost one whose body does."""
    symbols = reader.symbols_in(workspace.id, path)
    definitions = reader.definitions(workspace.id, path)
    if column is not None and definitions is not None:
        for (at_line, at_column), definition in definitions.at.items():
            end = at_column + len(definition.name.encode())
            if at_line == line and at_column <= column - 1 < end:
                return next(each for each in symbols if each.id == definition.symbol_id)
    enclosing = [
        symbol
        for symbol in symbols
        if symbol.start_line <= line <= symbol.end_line and symbol.kind not in _WITHOUT_A_BODY
    ]
    # Outer ones stand first, so that of equally long ones the last is the innermost.
    return min(reversed(enclosing), key=lambda each: each.end_line - each.start_line, default=None)
