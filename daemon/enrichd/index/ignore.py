"""What a folder holds where there is no git to ask: a walk that keeps to the ignore files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field

from pathspec import GitIgnoreSpec

VIRTUAL_ENVIRONMENT_FILE = "pyvenv.cfg"
NEVER_ENTERED = frozenset(
    {
        ".bzr",
        ".cache",
        ".eggs",
        ".enrichd",
        ".git",
        ".hg",
        ".hypothesis",
        ".idea",
        ".mypy_cache",
        ".nox",
        ".pytest_cache",
        ".ruff_cache",
        ".svn",
        ".tox",
        ".venv",
        "__pycache__",
        "node_modules",
    }
)
"""Folders that hold no source of the project, under git or not."""
IGNORE_FILE = ".gitignore"
_MAX_IGNORE_BYTES = 1024 * 1024


@dataclass(slots=True)
class RuleListing:
    """The names that a walk by ignore rules gave; each is relative to the root."""

    paths: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Of the names that are only counted, those of regular files."""
    unreadable: list[tuple[str, OSError]] = field(default_factory=list)
    """Folders that could not be listed."""
    ignored: int = 0
    """Folders and wanted files left out by a rule."""


_Rules = tuple[tuple[int, GitIgnoreSpec], ...]


def list_by_rules(
    root: str,
    below: str,
    wanted: Callable[[str], bool],
    counted: Callable[[str], bool] = lambda _: False,
) -> RuleListing:
    """Everything below a folder, relative to ``root``, whose name is wanted and not ignored.

    And apart from it what is only ``counted``. Links are names like any other: nothing behind them
    is looked at. Raises the OSError of the topmost folder.
    """
    listing = RuleListing()
    pending: list[tuple[str, _Rules]] = [(below, ())]
    while pending:
        folder, rules = pending.pop()
        try:
            with os.scandir(os.path.join(root, folder)) as entries:  # noqa: PTH118
                found = list(entries)
        except OSError as problem:
            if folder == below:
                raise
            listing.unreadable.append((folder, problem))
            continue
        names = {entry.name for entry in found}
        if VIRTUAL_ENVIRONMENT_FILE in names and folder != below:
            listing.ignored += 1
            continue
        base = f"{folder}/" if folder else ""
        if IGNORE_FILE in names and (spec := _read_rules(root, base)) is not None:
            rules = (*rules, (len(base), spec))
        for entry in found:
            path = base + entry.name
            is_folder = entry.is_dir(follow_symlinks=False)
            if entry.name in NEVER_ENTERED:
                continue
            if not (is_folder or wanted(entry.name)):
                if counted(entry.name) and not _is_ignored(rules, path):
                    listing.others += [path] if entry.is_file(follow_symlinks=False) else []
                continue
            if _is_ignored(rules, f"{path}/" if is_folder else path):
                listing.ignored += 1
            elif is_folder:
                pending.append((path, rules))
            else:
                listing.paths.append(path)
    return listing


def is_ignored(root: str, path: str) -> bool:
    """Whether an ignore file between the root and a file, in a folder that is not ignored, says so.

    Both without links; ``path`` is relative to the root.
    """
    rules: _Rules = ()
    parts = path.split("/")
    for depth in range(len(parts)):
        base = "".join(f"{part}/" for part in parts[:depth])
        if (spec := _read_rules(root, base)) is not None:
            rules = (*rules, (len(base), spec))
    return _is_ignored(rules, path)


def _is_ignored(rules: _Rules, path: str) -> bool:
    """Whether the nearest ignore file with an opinion says so."""
    for base_length, spec in reversed(rules):
        opinion = spec.check_file(path[base_length:]).include
        if opinion is not None:
            return opinion
    return False


def _read_rules(root: str, base: str) -> GitIgnoreSpec | None:
    try:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        with open(os.open(os.path.join(root, base + IGNORE_FILE), flags), "rb") as file:  # noqa: PTH118, PTH123
            size = min(os.fstat(file.fileno()).st_size, _MAX_IGNORE_BYTES)
            text = file.read(size).decode("utf-8", "surrogateescape")
        return GitIgnoreSpec.from_lines(text.splitlines())
    except (OSError, ValueError):
        return None  # git, too, goes on without a file that it can't use
