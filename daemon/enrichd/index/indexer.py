"""What an indexing run has to do: the files on disk against those that the store remembers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from enrichd.index.languages import languages
from enrichd.index.naming import module_name, package_folders
from enrichd.index.parse import NOT_READ
from enrichd.index.walk import FoundFile
from enrichd_tracker.model import KnownFile, ParseStatus

_NONE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between what is there and what is known."""

    changed: list[FoundFile]
    """New or altered: to be parsed."""
    unchanged: list[KnownFile]
    removed: list[str]
    """Paths of known files that are gone."""
    renamed: Mapping[str, str]
    """New path to old path of those that are gone only because they were renamed."""


def plan(
    found: Sequence[FoundFile], known: Mapping[str, KnownFile], *, max_file_bytes: int
) -> Plan:
    """Compare by size, time and inode; ``known`` is by path.

    A file that could not be read the last time counts as changed, since what kept it from being
    read may not show in it, and so does a file whose dotted name is another one because packages
    came or went around it. A file over the size limit stays as it is until one of the two moves.
    """
    names = _ModuleNames((file.path, file.language) for file in found)
    names_before = _ModuleNames((file.path, file.language) for file in known.values())
    same_packages = names.packages == names_before.packages
    changed, unchanged = [], []
    for file in found:
        before = known.get(file.path)
        if (
            before is not None
            and before.language == file.language
            and (before.stat == file.stat or _still_too_large(before, file, max_file_bytes))
            and (same_packages or names.of(file) == names_before.of(file))
        ):
            unchanged.append(before)
        else:
            changed.append(file)
    there = {file.path for file in found}
    removed = [path for path in known if path not in there]
    new = [file for file in changed if file.path not in known]
    return Plan(changed, unchanged, removed, _renamed(new, [known[path] for path in removed]))


def _renamed(new: Sequence[FoundFile], gone: Sequence[KnownFile]) -> dict[str, str]:
    """A file that is renamed stays the one that it was, down to its inode."""
    by_stat = {(file.stat, file.language): file.path for file in gone if file.stat != NOT_READ}
    found = {}
    for file in new:
        old = by_stat.pop((file.stat, file.language), None)
        if old is not None:
            found[file.path] = old
    return found


def _still_too_large(before: KnownFile, file: FoundFile, max_file_bytes: int) -> bool:
    never_read = before.status is ParseStatus.ERROR and before.stat == NOT_READ
    return never_read and file.stat.size > max_file_bytes


class _ModuleNames:
    """The dotted names of one state of a workspace's files."""

    def __init__(self, files: Iterable[tuple[str, str]]) -> None:
        self._languages = languages()
        paths: dict[str, list[str]] = {}
        for path, language in files:
            paths.setdefault(language, []).append(path)
        self.packages = {
            name: package_folders(those, self._languages[name].package_files)
            for name, those in paths.items()
            if name in self._languages
        }

    def of(self, file: FoundFile) -> str:
        """The dotted name that a file has in this state."""
        known = self._languages.get(file.language)
        if known is None:
            return file.path
        return module_name(file.path, known.package_files, self.packages.get(known.name, _NONE))
