"""A Git URL becomes a folder whose work tree equals a commit, and follows it from then on.

A clone is made beside its place and renamed, so that a folder is there whole or not at all.
What is there already is brought up to date in place, so that files that did not change keep
their inode and time; where that can't be done, it is cloned anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from msgspec import Struct

from enrichd.clock import Clock
from enrichd.errors import UsageError
from enrichd.sources.folders import Kept, delete, partial_of, put_in_place, size_of
from enrichd.sources.running import Git, Tell
from enrichd.sources.tree import Damaged, Tree
from enrichd.sources.trouble import (
    GitFailed,
    SourceError,
    TooLarge,
    damaged,
    fetch_failed,
    is_known,
    said,
)
from enrichd.sources.url import GitUrl, check_branch

MOST_PACKS = 24
"""A fetch adds one; with more they are made one, which also drops what no branch needs."""
REPACK_STALL_S = 1800.0
"""It says nothing while it works."""

_TIP = "refs/enrichd/tip"
_ATTRIBUTES = "* -text -ident -filter !working-tree-encoding\n"
"""Win over those of the repository: each file is as it was committed, and no program sees it."""


T = TypeVar("T")


class Fetched(Struct, frozen=True):
    """What a fetch came to."""

    commit: str
    cloned: bool
    """From nothing: the first time, or since what was there could not be used."""
    changed: bool
    """The folder is another than before: cloned, or on another commit."""
    size_bytes: int
    """Of the repository and the work tree."""
    warnings: tuple[str, ...] = ()
    """For a person, such as that submodules are left out."""


async def fetch(
    url: GitUrl,
    folder: Path,
    *,
    branch: str | None,
    depth: int | None,
    max_bytes: int,
    clock: Clock,
    tell: Tell,
) -> Fetched:
    """Let ``folder`` be what the branch (or the default one) of the repository is now.

    One at a time for a folder. What is not committed in it is lost. ``depth`` is the number of
    commits that are fetched, None for all. When it fails or is cancelled there is no new folder,
    and an old one is on its old commit. Raises SourceError, and UsageError for a bad argument.
    """
    if branch is not None:
        check_branch(branch)
    if depth is not None and depth < 1:
        raise UsageError(f"a depth of {depth} fetches nothing", hint="it is at least 1")
    clone = _Clone(url, branch=branch, depth=depth, max_bytes=max_bytes, clock=clock, tell=tell)
    try:
        return await clone.fetch(folder)
    except OSError as problem:
        raise SourceError(
            f"{url.text} could not be put into {folder}: {problem.strerror or problem}",
            hint="check the folder in which enrichd keeps its state, and the room there",
        ) from problem


class _Unusable(Exception):
    """What is in the folder can't be brought up to date."""


class _Clone:
    def __init__(
        self,
        url: GitUrl,
        *,
        branch: str | None,
        depth: int | None,
        max_bytes: int,
        clock: Clock,
        tell: Tell,
    ) -> None:
        self._url = url
        self._ref = "HEAD" if branch is None else f"refs/heads/{branch}"
        self._depth = depth
        self._max_bytes = max_bytes
        self._clock = clock
        self._tell = tell

    async def fetch(self, folder: Path) -> Fetched:
        if await asyncio.to_thread(_is_folder, folder):
            with suppress(_Unusable, TooLarge):  # old commits may be what is too large
                return await self._update(folder)
        return await self._anew(folder)

    async def _anew(self, folder: Path) -> Fetched:
        fresh = partial_of(folder)
        try:
            try:
                fetched = await self._fill(fresh)
            except GitFailed as failed:
                raise fetch_failed(self._url, failed, hidden=str(fresh)) from None
            except Damaged:
                raise damaged(self._url) from None
            await asyncio.to_thread(put_in_place, fresh, folder)
        finally:
            await asyncio.to_thread(delete, fresh)
        return fetched

    async def _fill(self, fresh: Path) -> Fetched:
        git = self._git(fresh)
        try:
            await self._begin(git, "sha1")
        except GitFailed as failed:
            if "server sha256" not in failed.said:
                raise
            await self._begin(git, "sha256")
        commit = await _commit(git, _TIP)
        tree = await self._weigh(git, commit)
        await _check_out(git, commit)
        size = await asyncio.to_thread(size_of, fresh)
        return Fetched(commit, cloned=True, changed=True, size_bytes=size, warnings=tree.warnings)

    async def _begin(self, git: Git, objects: str) -> None:
        await asyncio.to_thread(_make_room, git.folder)
        await git.init(objects)
        attributes = git.folder / ".git" / "info" / "attributes"
        attributes.parent.mkdir(exist_ok=True)
        attributes.write_text(_ATTRIBUTES)
        await self._fetch(git)

    async def _update(self, folder: Path) -> Fetched:
        git = self._git(folder)
        repository = folder / ".git"
        if repository.is_symlink() or not (repository / "info" / "attributes").is_file():
            raise _Unusable
        kept = await asyncio.to_thread(Kept, repository)
        before = await _trusted(_commit(git, "HEAD"))
        try:
            try:
                await self._fetch(git)
            except GitFailed as failed:
                if is_known(failed):
                    raise fetch_failed(self._url, failed, hidden=str(folder)) from None
                raise _Unusable from failed
            commit = await _trusted(_commit(git, _TIP))
            tree = await _trusted(self._weigh(git, commit))
        except BaseException:
            kept.put_back()
            raise
        await _trusted(_check_out(git, commit))
        warnings = tree.warnings
        if len(kept.packs) > 2 * MOST_PACKS:  # each has an index
            warnings += await self._repack(git)
        size = await asyncio.to_thread(size_of, folder)
        return Fetched(
            commit, cloned=False, changed=commit != before, size_bytes=size, warnings=warnings
        )

    def _git(self, folder: Path) -> Git:
        return Git(folder, self._clock, self._tell, about=self._url.text)

    async def _fetch(self, git: Git) -> None:
        repository = git.folder / ".git"

        async def watch() -> None:
            if await asyncio.to_thread(size_of, repository) > self._max_bytes:
                raise self._too_large()

        shallow = [f"--depth={self._depth}"] if self._depth is not None else []
        if self._depth is None and (repository / "shallow").exists():
            shallow = ["--unshallow"]
        await git.run(
            "fetch",
            "--progress",
            "--force",
            "--no-tags",
            "--no-prune",
            "--no-recurse-submodules",
            "--no-show-forced-updates",
            "--no-write-fetch-head",
            *shallow,
            "--",
            self._url.text,
            f"+{self._ref}:{_TIP}",
            watch=watch,
        )
        await watch()

    async def _weigh(self, git: Git, commit: str) -> Tree:
        """What the commit holds. It may be far more than was received: trees can be nested."""
        taken = await asyncio.to_thread(size_of, git.folder / ".git")
        tree = Tree(self._url, room_bytes=self._max_bytes - taken, too_large=self._too_large)
        await git.run("ls-tree", "-r", "-t", "-l", "-z", commit, heard=tree.heard)
        return tree

    async def _repack(self, git: Git) -> tuple[str, ...]:
        try:
            await git.run("repack", "-a", "-d", "-q", stall_s=REPACK_STALL_S)
        except GitFailed as failed:
            why = said(failed, hidden=str(git.folder))
        except SourceError as error:
            why = error.message
        else:
            return ()
        return (f"what was fetched could not be put together: {why}",)

    def _too_large(self) -> TooLarge:
        return TooLarge(
            f"{self._url.text} is too large: it takes more than {self._max_bytes:,} bytes",
            hint="[index] max_clone_bytes raises the limit; a depth of 1 leaves its history out",
        )


async def _commit(git: Git, name: str) -> str:
    found = await git.run(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"
    )
    return found.decode("ascii").strip()


async def _check_out(git: Git, commit: str) -> None:
    await git.run("reset", "--hard", "--no-recurse-submodules", commit)
    await git.run("clean", "-ffdxq")


async def _trusted(work: Awaitable[T]) -> T:
    """What concerns the folder here alone: where it fails, the folder is damaged."""
    try:
        return await work
    except (GitFailed, Damaged) as problem:
        raise _Unusable from problem


def _make_room(fresh: Path) -> None:
    delete(fresh)
    fresh.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh.mkdir(mode=0o700)


def _is_folder(folder: Path) -> bool:
    return folder.is_dir() and not folder.is_symlink()
