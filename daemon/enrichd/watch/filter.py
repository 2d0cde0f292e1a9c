"""What an event means: nothing, a file to look at, or that only a look at everything will do."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from posixpath import splitext

from msgspec import Struct
from pathspec import GitIgnoreSpec
from watchfiles import Change

from enrichd.index.ignore import IGNORE_FILE, NEVER_ENTERED, VIRTUAL_ENVIRONMENT_FILE

GIT = ".git"
_ENVIRONMENT = ".venv"
_DECIDE_WHAT_IS_LISTED = frozenset({(), ("HEAD",), ("index",), ("info", "exclude")})
"""Below ``.git``: itself, what is checked out, what is tracked, what is ignored."""


class Touched(Struct, frozen=True):
    """What a batch of events came to."""

    paths: frozenset[str]
    """Relative to the root."""
    whole: bool
    """Something else may have changed with them: everything has to be looked at."""
    folders: bool
    """Some of them are folders: events about what is inside may have been lost."""


class Filter:
    """Of one workspace. Looks at no file but to tell whether it is a folder."""

    def __init__(
        self,
        root: str,
        languages: Mapping[str, str],
        excluded: GitIgnoreSpec,
        papers: AbstractSet[str] = frozenset(),
    ) -> None:
        """``languages`` is by suffix, ``papers`` are files of the root that servers look for."""
        self._root = root.rstrip("/")
        self._languages = languages
        self._excluded = excluded
        self._papers = papers

    def judge(
        self, events: Iterable[tuple[Change, str]], folders: AbstractSet[str]
    ) -> Touched | None:
        """None where none of it matters. ``folders``: those known to hold files of interest."""
        paths: set[str] = set()
        whole = with_folders = False
        for change, full in events:
            if full == self._root:
                whole = True
                continue
            path = full[len(self._root) + 1 :]
            verdict = self._verdict(change, path, folders)
            if verdict is None:
                continue
            paths.add(path)
            whole |= verdict
            with_folders |= verdict and self._is_or_was_a_folder(change, path, folders)
        if not paths and not whole:
            return None
        return Touched(frozenset(paths), whole, with_folders)

    def _verdict(self, change: Change, path: str, folders: AbstractSet[str]) -> bool | None:
        """None: of no interest; True: it may be about more than itself."""
        parts = path.split("/")
        if GIT in parts:
            below = tuple(parts[parts.index(GIT) + 1 :])
            return True if below in _DECIDE_WHAT_IS_LISTED else None
        if self._is_for_servers(change, parts):
            return True
        if not NEVER_ENTERED.isdisjoint(parts) or self._excluded.match_file(path):
            return None
        if parts[-1] in {IGNORE_FILE, VIRTUAL_ENVIRONMENT_FILE}:
            return True
        if splitext(parts[-1])[1] in self._languages:
            return path in folders
        return True if self._is_or_was_a_folder(change, path, folders) else None

    def _is_for_servers(self, change: Change, parts: list[str]) -> bool:
        """Whether a server that is started now may find what one found earlier no more."""
        if len(parts) == 1:
            name = parts[0]
            return name in self._papers or (name == _ENVIRONMENT and change is not Change.modified)
        return len(parts) == 2 and parts[1] == VIRTUAL_ENVIRONMENT_FILE

    def _is_or_was_a_folder(self, change: Change, path: str, folders: AbstractSet[str]) -> bool:
        if path in folders:
            return True
        if change is Change.deleted:
            return False
        try:
            return stat.S_ISDIR(os.lstat(f"{self._root}/{path}").st_mode)
        except (OSError, ValueError):
            return False  # gone again: what it was is told by another event
