"""What of a workspace is not as it was indexed: by a walk through all of it, or at a few paths."""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from posixpath import basename, dirname, splitext

from enrichd.index.git import git_lists
from enrichd.index.ignore import is_ignored
from enrichd.index.indexer import Plan, plan
from enrichd.index.languages import languages, other_suffixes, suffixes
from enrichd.index.naming import package_folders
from enrichd.index.parse import NOT_READ
from enrichd.index.scope import Scope
from enrichd.index.walk import FoundFile, Walk, look_at, walk
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Failure, KnownFile, ParseStatus, Workspace
from enrichd_tracker.store.port import Reader, Store

_MOST_GIT_CALLS = 8


@dataclass(frozen=True, slots=True)
class Tree:
    """What a look at everything found out about the folders: a few paths are judged by it."""

    folders: frozenset[str]
    """Those that hold files to be indexed, somewhere below; relative, without the root."""
    by_git: bool
    """Whether git says what is ignored."""


@dataclass(frozen=True, slots=True)
class Survey:
    """The difference between what is there and what is known."""

    root: str
    """Without symbolic links."""
    todo: Plan
    packages: dict[str, frozenset[str]]
    """As they are now, as far as the files of ``todo`` need them."""
    files: int
    """How many there are to be indexed, in the whole workspace."""
    languages: dict[str, int]
    problems: list[tuple[str, Failure]]
    known: frozenset[str]
    """Paths that are known already, of those that were looked at."""
    tree: Tree | None
    """Only of a look at everything."""


async def walk_through(workspace: Workspace, exclude: Sequence[str]) -> Walk:
    """What the workspace holds. The walk ends soon after nobody waits for it any more."""
    gone = threading.Event()
    try:
        return await asyncio.to_thread(
            walk,
            Path(workspace.root),
            exclude=exclude,
            languages=suffixes(),
            others=other_suffixes(),
            abandoned=gone.is_set,
        )
    finally:
        gone.set()


async def survey(
    store: Store,
    workspace: Workspace,
    *,
    exclude: tuple[str, ...],
    max_file_bytes: int,
    scope: Scope | None = None,
) -> Survey:
    """Look at everything. Raises what the walk raises.

    Of a partial ``scope`` it says nothing about files outside it.
    """
    walked = await walk_through(workspace, exclude)
    await _note_unsupported(store, workspace.id, walked.unsupported)
    known = await store.read(lambda reader: reader.files(workspace.id))
    todo = await asyncio.to_thread(plan, walked.files, known, max_file_bytes=max_file_bytes)
    paths = [file.path for file in walked.files]
    whole = scope is None or not scope.is_partial
    todo = _without_hopeless(todo, known, walked.root)
    return Survey(
        root=walked.root,
        todo=todo if scope is None else _as_asked(todo, walked.files, known, scope),
        packages={
            language.name: package_folders(paths, language.package_files)
            for language in languages().values()
        },
        files=len(walked.files),
        languages=Counter(file.language for file in walked.files),
        problems=walked.problems,
        known=frozenset(known),
        tree=Tree(_folders(paths), walked.by_git) if whole else None,
    )


async def survey_at(
    store: Store,
    workspace: Workspace,
    paths: Collection[str],
    tree: Tree,
    *,
    exclude: tuple[str, ...],
    max_file_bytes: int,
) -> Survey | None:
    """Look at these paths only; the cost is in proportion to them.

    None where they may concern more than themselves, or can't be judged alone: a folder that was
    not there, a file that makes its folder a package, an ignore file that git won't read.
    """
    if any(path in tree.folders or not _in_known_folder(path, tree) for path in paths):
        return None
    known = await store.read(lambda reader: _files(reader, workspace.id, paths))
    unknown = [path for path in paths if path not in known]
    listed = await asyncio.to_thread(_listed, workspace.root, unknown, tree)
    if listed is None:
        return None
    walked = await asyncio.to_thread(
        look_at,
        Path(workspace.root),
        [*known, *listed],
        exclude=exclude,
        languages=suffixes(),
    )
    todo = plan(walked.files, known, max_file_bytes=max_file_bytes)
    if any(map(_makes_a_package, _appeared_or_gone(todo, known))):
        return None
    todo = _without_hopeless(todo, known, walked.root)
    packages, counts = await store.read(
        lambda reader: (_packages(reader, workspace.id, todo), reader.languages(workspace.id))
    )
    counted = Counter(counts)
    counted.update(file.language for file in todo.changed if file.path not in known)
    counted.subtract(known[path].language for path in todo.removed)
    return Survey(
        root=walked.root,
        todo=todo,
        packages=packages,
        files=counted.total(),
        languages=+counted,
        problems=walked.problems,
        known=frozenset(known),
        tree=None,
    )


async def _note_unsupported(store: Store, workspace_id: int, now: dict[str, str]) -> None:
    """Have those be counted that no language here is for; the next look makes good what fails."""
    before = await store.read(lambda reader: reader.runs.unsupported(workspace_id))
    if before != now:
        with suppress(StoreUnavailable):
            await store.note_unsupported(workspace_id, now)


def _folders(paths: Collection[str]) -> frozenset[str]:
    found: set[str] = set()
    for path in paths:
        folder = dirname(path)
        while folder and folder not in found:
            found.add(folder)
            folder = dirname(folder)
    return frozenset(found)


def _in_known_folder(path: str, tree: Tree) -> bool:
    folder = dirname(path)
    return not folder or folder in tree.folders


def _files(reader: Reader, workspace_id: int, paths: Collection[str]) -> dict[str, KnownFile]:
    found = (reader.file(workspace_id, path) for path in paths)
    return {file.path: file for file in found if file is not None}


def _listed(root: str, paths: Collection[str], tree: Tree) -> list[str] | None:
    """Those that no ignore file leaves out; None where that takes a walk to find out."""
    there = [path for path in paths if os.path.lexists(f"{root}/{path}")]
    if not tree.by_git:
        return [path for path in there if not is_ignored(root, path)]
    by_folder: dict[str, list[str]] = defaultdict(list)
    for path in there:
        by_folder[dirname(path)].append(basename(path))
    if len(by_folder) > _MOST_GIT_CALLS:
        return None
    found: list[str] = []
    for folder, names in by_folder.items():
        listed = git_lists(f"{root}/{folder}", names)
        if listed is None:
            return None
        found += (f"{folder}/{name}" if folder else name for name in names if name in listed)
    return found


def _appeared_or_gone(todo: Plan, known: Mapping[str, KnownFile]) -> list[str]:
    return [*todo.removed, *(file.path for file in todo.changed if file.path not in known)]


def _makes_a_package(path: str) -> bool:
    language = languages()[suffixes()[splitext(path)[1]]]
    return basename(path) in language.package_files


def _packages(reader: Reader, workspace_id: int, todo: Plan) -> dict[str, frozenset[str]]:
    """The packages around the changed files, from what is known of package files."""
    found: dict[str, frozenset[str]] = {}
    for language in languages().values():
        around = _folders([file.path for file in todo.changed if file.language == language.name])
        found[language.name] = frozenset(
            folder
            for folder in around
            if any(
                reader.file(workspace_id, f"{folder}/{name}") is not None
                for name in language.package_files
            )
        )
    return found


def _as_asked(
    todo: Plan, files: Sequence[FoundFile], known: Mapping[str, KnownFile], scope: Scope
) -> Plan:
    """With what is to be read whatever is known of it, without what is out of scope."""
    changed = {file.path for file in todo.changed if scope.covers(file.path, file.language)}
    removed = [path for path in todo.removed if scope.covers(path, known[path].language)]
    gone = set(removed)
    wanted = [file for file in files if file.path in changed or scope.reads(file)]
    read = {file.path for file in wanted}
    return Plan(
        changed=wanted,
        unchanged=[file for file in todo.unchanged if file.path not in read],
        removed=removed,
        renamed={new: old for new, old in todo.renamed.items() if new in changed and old in gone},
    )


def _without_hopeless(todo: Plan, known: Mapping[str, KnownFile], root: str) -> Plan:
    """Leave out files that could not be opened the last time, and could not be now."""
    return replace(
        todo,
        changed=[each for each in todo.changed if not _is_hopeless(known.get(each.path), root)],
    )


def _is_hopeless(before: KnownFile | None, root: str) -> bool:
    return (
        before is not None
        and before.status is ParseStatus.ERROR
        and before.stat == NOT_READ
        and not os.access(f"{root}/{before.path}", os.R_OK)
    )
