"""Naming targets outside the workspace: the package that a file belongs to, the name in it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from enrichd_tracker.model import External, SymbolKind

STANDARD_LIBRARY = "python-stdlib"
_INSTALLED = {"site-packages", "dist-packages"}
_LIBRARY = re.compile(r"stdlib|(python|pypy)3(\.\d+)?t?")
_STUBS = re.compile(r"(?:types-)?(.+?)-stubs$")
_IDENTIFIER = re.compile(rb"[^\W\d]\w*")
_OUTLINE = re.compile(r"(\s*)(?:async\s+)?(class|def)\s+([^\W\d]\w*)")
_NO_HEADING = (b"#", b")", b"]", b"}")  # comments, and the ends of headings of several lines
_KINDS = {"class": SymbolKind.CLASS, "def": SymbolKind.FUNCTION}


def module_of(path: str) -> tuple[str, str]:
    """(package, dotted module) of a Python file outside the workspace."""
    parts = list(PurePosixPath(path).with_suffix("").parts)
    package = ""
    for place in range(len(parts) - 1, 0, -1):
        if parts[place] in _INSTALLED:
            parts = parts[place + 1 :]
            package = parts[0] if parts else ""
            break
        if parts[place] == "src" and place + 1 < len(parts):
            parts = parts[place + 1 :]
            package = parts[0]
            break
        if _LIBRARY.fullmatch(parts[place]):
            parts = parts[place + 1 :]
            package = STANDARD_LIBRARY
            break
        if parts[place] == "stubs" and place + 2 < len(parts):  # typeshed/stubs/<package>/...
            package = parts[place + 1]
            parts = parts[place + 2 :]
            break
    else:
        parts = parts[-2:] if parts[-1] == "__init__" else parts[-1:]
    if package and (stubs := _STUBS.match(package)):
        package = stubs[1]
        parts[0] = package
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return package or (parts[0] if parts else path), ".".join(parts)


def name_of(path: str, lines: Sequence[bytes], line: int, column: int) -> External:
    """What the position in a file outside the workspace stands for.

    Enclosing classes are read off the indentation: the file is not one that is indexed, and what
    is wanted is a name that tells two members of one module apart.
    """
    package, module = module_of(path)
    text = lines[line] if line < len(lines) else b""
    found = _IDENTIFIER.match(text, column)
    if found is None or (line, column) == (0, 0):
        return External(package, module, SymbolKind.MODULE)
    name = found[0].decode("utf-8", "replace")
    kind, outer = "", []
    own = _OUTLINE.match(text.decode("utf-8", "replace"))
    if own is not None and own[3] == name:
        kind = _KINDS[own[2]]
    indent = len(text) - len(text.lstrip())
    for above in reversed(lines[:line]):
        if indent == 0:
            break
        code = above.lstrip()
        if len(above) - len(code) >= indent or not code or code[:1] in _NO_HEADING:
            continue
        indent = len(above) - len(code)  # also that of an `if` around it, which names nothing
        if heading := _OUTLINE.match(code.decode("utf-8", "replace")):
            outer.append(heading[3])
    if kind == SymbolKind.FUNCTION and outer:
        kind = SymbolKind.METHOD
    return External(package, ".".join([module, *reversed(outer), name]), kind)
