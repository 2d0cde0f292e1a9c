"""Which files of a folder are to be indexed, and what stands in the way of others."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from posixpath import dirname, splitext
from types import MappingProxyType

from msgspec import Struct
from pathspec import GitIgnoreSpec

from enrichd.errors import ConfigError, EnrichdError, PermissionRefused, StorageError, UsageError
from enrichd.file_stat import fingerprint, not_regular
from enrichd.index.git import git_listing
from enrichd.index.ignore import NEVER_ENTERED, VIRTUAL_ENVIRONMENT_FILE, list_by_rules
from enrichd_tracker.model import ErrorType, Failure, FileStat, Stage


class FoundFile(Struct, frozen=True):
    """A file to be indexed."""

    path: str
    """Relative to the root, with ``/``."""
    language: str
    stat: FileStat


class Skip(StrEnum):
    """Why something that has a language's suffix is left out without being a problem."""

    EXCLUDED = "excluded"  # by the configuration
    IGNORED = "ignored"  # by an ignore file; with git, it does not say how many
    VIRTUAL_ENVIRONMENT = "virtual environment"
    TOOL_FOLDER = "tool's folder"
    LINK = "link to another place inside"
    LINK_OUTSIDE = "link to the outside"
    GONE = "gone"


@dataclass(slots=True)
class Walk:
    """What a folder holds."""

    root: str
    """Without symbolic links."""
    files: list[FoundFile] = field(default_factory=list)
    """Sorted by path. A file over the size limit is among them: parsing says so."""
    problems: list[tuple[str, Failure]] = field(default_factory=list)
    """What should have been a file or a folder to look into and can't be."""
    unsupported: dict[str, str] = field(default_factory=dict)
    """Path to language of the source that is in another language than those asked for."""
    skipped: Counter[Skip] = field(default_factory=Counter)
    by_git: bool = False
    """Whether git gave the list; otherwise the ignore rules did."""


class Abandoned(Exception):
    """Nobody waits for the walk any more."""


def _never() -> bool:
    return False


def walk(
    root: Path,
    *,
    exclude: Sequence[str] = (),
    languages: Mapping[str, str],
    others: Mapping[str, str] = MappingProxyType({}),
    abandoned: Callable[[], bool] = _never,
) -> Walk:
    """Find the files below a folder that have a language; ``languages`` is by suffix.

    ``others``, by suffix too, are languages whose files are only counted.
    ``exclude`` holds patterns of the kind that ``.gitignore`` has. The walk never leaves the
    root and opens nothing but ignore files. Raises StorageError where there is nothing,
    UsageError where it is no folder, PermissionRefused, and ConfigError for a bad pattern; and
    Abandoned soon after nobody waits for it any more.
    """
    return _Walker(_checked(root), patterns(exclude), languages, others, abandoned).run()


def look_at(
    root: Path,
    paths: Sequence[str],
    *,
    exclude: Sequence[str] = (),
    languages: Mapping[str, str],
) -> Walk:
    """The same for these paths alone, of which it is known that no ignore file leaves them out."""
    return _Walker(_checked(root), patterns(exclude), languages, {}, _never).look_at(paths)


class _Walker:
    def __init__(
        self,
        root: str,
        excluded: GitIgnoreSpec,
        languages: Mapping[str, str],
        others: Mapping[str, str],
        abandoned: Callable[[], bool],
    ) -> None:
        self._root = root
        self._excluded = excluded
        self._languages = languages
        self._others = others
        self._abandoned = abandoned
        self._walk = Walk(root)
        self._environments: dict[str, bool] = {"": False}

    def run(self) -> Walk:
        """Take git's list where there is one, and the same again for each repository inside."""
        walk = self._walk
        pending = [""]
        while pending:
            below = pending.pop()
            names = git_listing(self._full(below))
            walk.by_git = walk.by_git or (names is not None and not below)
            if names is None:
                self._list_by_rules(below)
                continue
            for name in names:
                path = f"{below}/{name}" if below else name
                if self._take(path) and self._holds_a_repository(path):
                    pending.append(path)
        walk.files.sort(key=lambda file: file.path)
        walk.problems.sort(key=lambda problem: problem[0])
        return walk

    def look_at(self, paths: Sequence[str]) -> Walk:
        """Note what is at these paths, and nothing else."""
        for path in sorted(paths):
            self._take(path)
        return self._walk

    def _list_by_rules(self, below: str) -> None:
        try:
            listing = list_by_rules(self._root, below, self._is_wanted, self._is_counted)
        except OSError as problem:
            if not below:
                raise _refusal(self._root, problem) from problem
            self._problem(below, f"the folder could not be listed: {problem.strerror}")
            return
        for path in listing.paths:
            self._take(path)
        for path in listing.others:
            self._count(path)
        for folder, unreadable in listing.unreadable:
            self._problem(folder, f"the folder could not be listed: {unreadable.strerror}")
        self._walk.skipped[Skip.IGNORED] += listing.ignored

    def _take(self, path: str) -> bool:
        """Note what a listed name turns out to be; True where that is a folder."""
        wanted = self._is_wanted(path)
        try:
            result = os.lstat(self._full(path))
        except OSError as problem:
            if wanted:
                self._refuse(path, problem)
            return False
        if stat.S_ISDIR(result.st_mode):
            return not self._is_left_out(path)
        if not wanted:
            if self._is_counted(path) and stat.S_ISREG(result.st_mode):
                self._count(path)
            return False
        if self._is_left_out(path):
            return False
        if stat.S_ISLNK(result.st_mode):
            self._walk.skipped[self._link(path)] += 1
        elif not stat.S_ISREG(result.st_mode):
            self._problem(path, not_regular(result.st_mode))
        elif not _is_text(path):
            self._problem(path, f"the name is not valid UTF-8: {os.fsencode(path)!r}")
        else:
            language = self._languages[splitext(path)[1]]
            self._walk.files.append(FoundFile(path, language, fingerprint(result)))
        return False

    def _count(self, path: str) -> None:
        """Note a file of a language that is only counted; nothing about it is a problem."""
        if _is_text(path) and self._reason_to_leave_out(path) is None:
            self._walk.unsupported[path] = self._others[splitext(path)[1]]

    def _is_left_out(self, path: str) -> bool:
        reason = self._reason_to_leave_out(path)
        if reason is not None:
            self._walk.skipped[reason] += 1
        return reason is not None

    def _reason_to_leave_out(self, path: str) -> Skip | None:
        if self._excluded.match_file(path):
            return Skip.EXCLUDED
        if not NEVER_ENTERED.isdisjoint(path.split("/")):
            return Skip.TOOL_FOLDER
        if self._in_an_environment(dirname(path)):
            return Skip.VIRTUAL_ENVIRONMENT
        return None

    def _in_an_environment(self, folder: str) -> bool:
        known = self._environments.get(folder)
        if known is None:
            marker = self._full(f"{folder}/{VIRTUAL_ENVIRONMENT_FILE}")
            known = os.path.lexists(marker) or self._in_an_environment(dirname(folder))
            self._environments[folder] = known
        return known

    def _link(self, path: str) -> Skip:
        """Where a link leads. It is never followed: what is inside is found under its own name."""
        real = os.path.realpath(self._full(path))
        inside = real == self._root or real.startswith(f"{self._root.rstrip('/')}/")
        return Skip.LINK if inside else Skip.LINK_OUTSIDE

    def _holds_a_repository(self, folder: str) -> bool:
        return os.path.lexists(self._full(f"{folder}/.git"))

    def _refuse(self, path: str, problem: OSError) -> None:
        if isinstance(problem, FileNotFoundError | NotADirectoryError):
            self._walk.skipped[Skip.GONE] += 1
        else:
            self._problem(path, f"could not be looked at: {problem.strerror}")

    def _problem(self, path: str, message: str) -> None:
        shown = os.fsencode(path).decode("utf-8", "backslashreplace")
        self._walk.problems.append((shown, Failure(ErrorType.IO, Stage.ANALYZING, message)))

    def _is_wanted(self, name: str) -> bool:
        if self._abandoned():  # every name comes by here
            raise Abandoned
        return splitext(name)[1] in self._languages

    def _is_counted(self, name: str) -> bool:
        return splitext(name)[1] in self._others

    def _full(self, path: str) -> str:
        return os.path.join(self._root, path)  # noqa: PTH118 (a hot path)


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def patterns(exclude: Sequence[str]) -> GitIgnoreSpec:
    """What the configuration excludes; raises ConfigError."""
    try:
        return GitIgnoreSpec.from_lines(exclude)
    except ValueError as problem:
        raise ConfigError(
            f"a pattern in exclude can't be understood: {problem}",
            hint="patterns are those of .gitignore, such as vendor/**",
        ) from problem


def _checked(root: Path) -> str:
    """The root's real path, of a folder that can be listed."""
    try:
        real = root.resolve(strict=True)
        if not real.is_dir():
            raise UsageError(
                f"{root} is a file, not a folder", hint=f"index its folder: {real.parent}"
            )
        with os.scandir(real):
            return str(real)
    except OSError as problem:
        raise _refusal(str(root), problem) from problem


def _refusal(root: str, problem: OSError) -> EnrichdError:
    if isinstance(problem, PermissionError):
        return PermissionRefused(
            f"the folder {root} can't be read: {problem.strerror}",
            hint="let the user that enrichd runs as list it",
        )
    if isinstance(problem, FileNotFoundError):
        return StorageError(f"there is no folder {root}", hint="check the path")
    return StorageError(
        f"the folder {root} can't be read: {problem.strerror}", hint="check the path"
    )
