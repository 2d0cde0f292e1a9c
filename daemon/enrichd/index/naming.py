"""What symbols and modules are called: SCIP descriptors and dotted names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from posixpath import splitext

from enrichd_tracker.model import CALLABLES, TYPES, SymbolKind

_SIMPLE = re.compile(r"[A-Za-z0-9_+$-]+")


def descriptor(kind: SymbolKind, name: str, ordinal: int = 0) -> str:
    """The last part of a symbol's SCIP descriptors; ``ordinal`` counts same-named siblings.

    The grammar is that of ``scip.proto``: a name of other characters stands in backticks. SCIP
    lets only methods have a disambiguator; here every kind may, since uids have to be unique.
    """
    if _SIMPLE.fullmatch(name) is None:
        name = "`" + name.replace("`", "``") + "`"
    more = f"(+{ordinal})" if ordinal else ""
    if kind in CALLABLES or kind is SymbolKind.PROPERTY:
        return f"{name}{more or '()'}."
    if kind in TYPES or kind is SymbolKind.TYPE_ALIAS:
        return f"{name}{more}#"
    return f"{name}{more}."


def package_folders(paths: Iterable[str], package_files: AbstractSet[str]) -> frozenset[str]:
    """The folders, relative like the paths, that are packages because of a file in them."""
    return frozenset(
        folder
        for folder, _, name in (path.rpartition("/") for path in paths)
        if name in package_files
    )


def module_name(path: str, package_files: AbstractSet[str], packages: AbstractSet[str]) -> str:
    """The dotted name under which the file is imported.

    It begins at the topmost of the unbroken row of packages around the file, so that a folder
    that only holds packages (``src``) is no part of it.
    """
    folder, _, name = path.rpartition("/")
    parts = [] if name in package_files and folder else [splitext(name)[0]]
    while folder and folder in packages:
        folder, _, name = folder.rpartition("/")
        parts.append(name)
    return ".".join(reversed(parts))
