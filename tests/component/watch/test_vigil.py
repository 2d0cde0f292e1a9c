"""Whom the vigil vouches for is as it was indexed, whatever was done a moment before."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from enrichd.clock import FakeClock
from enrichd.file_stat import fingerprint
from enrichd.query.disk import drifted
from enrichd.watch import vigil as vigils
from enrichd.watch.inotify import Inotify
from enrichd.watch.vigil import LINGER_S, Vigil
from enrichd_tracker.model import ParsedFile, ParseStatus, Workspace
from enrichd_tracker.store.sqlite import SqliteStore

FILES = ("m.py", "pkg/a.py", "pkg/b.py", "pkg/deep/c.py", "other/d.py")

MOST_EVENTS = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())


class Watched:
    """A tree that is indexed, and the vigil over it."""

    def __init__(self, store: SqliteStore, workspace: Workspace, clock: FakeClock) -> None:
        self.root = Path(workspace.root)
        self.clock = clock
        self.vigil = Vigil(workspace, store, clock)
        self._store = store
        self._workspace = workspace

    async def index(self, *paths: str) -> None:
        """Store these as they are now, or that they are gone."""
        there = [each for each in paths if (self.root / each).is_file()]
        gone = [each for each in paths if each not in there]
        with self.vigil.storing(paths):
            files = [_parsed(each, (self.root / each).lstat()) for each in there]
            await self._store.store_files(self._workspace.id, files, gone)

    async def begin(self, *, relied_on: bool = True) -> None:
        """Ask, wait until all files have been looked at, and until that is relied on."""
        before = self.clock.next_deadline()
        await self._ask_until(lambda _: self.clock.next_deadline() != before)
        if relied_on:
            self.clock.advance(LINGER_S)
        await asyncio.sleep(0)

    async def until(self, suspects: list[str]) -> None:
        """Ask till the answer is this one."""
        await self._ask_until(lambda found: found == suspects)

    async def _ask_until(self, holds: Callable[[list[str] | None], bool]) -> None:
        async with asyncio.timeout(10):
            while not holds(self.vigil.suspects()):  # noqa: ASYNC110 (asking is what moves it on)
                await asyncio.sleep(0)  # the store's thread is at work

    async def changed(self) -> set[str]:
        """What a look at everything finds."""
        found = await self._store.read(lambda reader: drifted(reader, self._workspace))
        return {path for path, _ in found}


def _parsed(path: str, stat: os.stat_result) -> ParsedFile:
    return ParsedFile(
        path=path,
        language="python",
        stat=fingerprint(stat),
        digest=b"digest",
        status=ParseStatus.OK,
        symbols=[],
    )


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    clock = FakeClock()
    root = tmp_path / "tree"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x = 1\n")
    store = await SqliteStore.open(tmp_path / "graph.db", clock)
    tree = Watched(store, await store.add_workspace("tree", str(root)), clock)
    await tree.index(*FILES)
    running = asyncio.create_task(tree.vigil.run())
    await asyncio.sleep(0)
    yield tree
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await store.close()


async def test_nobody_is_vouched_for_before_all_were_looked_at(watched: Watched) -> None:
    assert watched.vigil.suspects() is None
    await watched.begin()
    assert watched.vigil.suspects() == []


async def test_nobody_is_vouched_for_soon_after_the_look(watched: Watched) -> None:
    """Who asks may have begun to read before it."""
    await watched.begin(relied_on=False)
    watched.clock.advance(LINGER_S - 0.1)
    assert watched.vigil.suspects() is None
    watched.clock.advance(0.2)
    assert watched.vigil.suspects() == []


async def test_a_vigil_that_is_not_run_vouches_for_nobody(watched: Watched, tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "other.db", watched.clock)
    idle = Vigil(await store.add_workspace("tree", str(watched.root)), store, watched.clock)
    assert idle.suspects() is None
    await store.close()


def _rewrite(root: Path) -> None:
    (root / "pkg/a.py").write_text("x = 2\n")


def _replace(root: Path) -> None:
    (root / "pkg/new").write_text("x = 2\n")
    (root / "pkg/new").replace(root / "pkg/a.py")


def _touch(root: Path) -> None:
    os.utime(root / "pkg/a.py", (1, 1))


def _cut(root: Path) -> None:
    os.truncate(root / "pkg/a.py", 1)


def _remove(root: Path) -> None:
    (root / "pkg/a.py").unlink()


def _link(root: Path) -> None:
    (root / "pkg/a.py").unlink()
    (root / "pkg/a.py").symlink_to(root / "m.py")


def _folder(root: Path) -> None:
    (root / "pkg/a.py").unlink()
    (root / "pkg/a.py").mkdir()


@pytest.mark.parametrize("change", [_rewrite, _replace, _touch, _cut, _remove, _link, _folder])
async def test_a_change_is_known_the_moment_it_is_made(
    watched: Watched, change: Callable[[Path], None]
) -> None:
    await watched.begin()
    change(watched.root)
    suspects = watched.vigil.suspects()
    assert suspects is not None
    assert "pkg/a.py" in suspects
    assert "pkg/b.py" not in suspects


@pytest.mark.parametrize("folder", ["pkg", "pkg/deep", "other"])
@pytest.mark.parametrize("how", ["moved", "removed", "replaced", "a link now"])
async def test_a_folder_that_goes_takes_all_certainty_with_it(
    watched: Watched, folder: str, how: str
) -> None:
    await watched.begin()
    path, away = watched.root / folder, watched.root / "away"
    if how == "removed":
        shutil.rmtree(path)
    else:
        path.rename(away)
    if how == "replaced":
        shutil.copytree(away, path)
    if how == "a link now":
        path.symlink_to(away)
    assert watched.vigil.suspects() is None
    await watched.begin()
    suspects = watched.vigil.suspects()
    assert suspects is not None
    assert {each for each in FILES if each.startswith(f"{folder}/")} <= set(suspects)


async def test_a_root_that_is_another_folder_now_takes_all_certainty(watched: Watched) -> None:
    await watched.begin()
    watched.root.rename(watched.root.with_name("was"))
    assert watched.vigil.suspects() is None
    shutil.copytree(watched.root.with_name("was"), watched.root)
    assert watched.vigil.suspects() is None
    assert await watched.changed() == set(FILES)


async def test_an_indexed_file_is_vouched_for_again_after_a_while(watched: Watched) -> None:
    await watched.begin()
    _rewrite(watched.root)
    assert watched.vigil.suspects() == ["pkg/a.py"]
    await watched.index("pkg/a.py")
    assert watched.vigil.suspects() == ["pkg/a.py"], "somebody may have begun to read before"
    watched.clock.advance(LINGER_S)
    await watched.until([])
    _rewrite(watched.root)
    assert watched.vigil.suspects() == ["pkg/a.py"]


async def test_a_changed_file_stays_suspect_until_it_is_indexed(watched: Watched) -> None:
    await watched.begin()
    _rewrite(watched.root)
    for _ in range(5):
        assert watched.vigil.suspects() == ["pkg/a.py"]
        watched.clock.advance(LINGER_S)
        for _ in range(50):
            await asyncio.sleep(0)
    assert watched.vigil.suspects() == ["pkg/a.py"]


async def test_what_is_being_stored_is_suspect(watched: Watched) -> None:
    await watched.begin()
    with watched.vigil.storing(["pkg/b.py"]):
        assert watched.vigil.suspects() == ["pkg/b.py"]
    assert watched.vigil.suspects() == ["pkg/b.py"]


async def test_files_in_a_new_folder_are_watched_before_they_are_vouched_for(
    watched: Watched,
) -> None:
    await watched.begin()
    new = watched.root / "new/deeper/e.py"
    new.parent.mkdir(parents=True)
    new.write_text("")
    await watched.index("new/deeper/e.py")
    assert watched.vigil.suspects() == ["new/deeper/e.py"]
    watched.clock.advance(LINGER_S)
    await watched.until([])
    new.write_text("x = 1\n")
    assert watched.vigil.suspects() == ["new/deeper/e.py"]
    (watched.root / "new").rename(watched.root / "newer")
    assert watched.vigil.suspects() is None


async def test_a_file_with_two_names_is_always_looked_at(watched: Watched, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").hardlink_to(watched.root / "m.py")
    await watched.begin()
    assert watched.vigil.suspects() == ["m.py"]


async def test_what_lies_behind_a_link_out_of_the_tree_is_always_looked_at(
    watched: Watched, tmp_path: Path
) -> None:
    (tmp_path / "outside/deep").mkdir(parents=True)
    (tmp_path / "outside/deep/f.py").write_text("")
    (watched.root / "linked").symlink_to(tmp_path / "outside")
    await watched.index("linked/deep/f.py")
    await watched.begin()
    assert watched.vigil.suspects() == ["linked/deep/f.py"]


async def test_lost_events_take_all_certainty(watched: Watched) -> None:
    await watched.begin()
    for number in range(MOST_EVENTS // 2 + 1):
        for name in ("m.py", "pkg/a.py"):  # the same twice in a row would be one
            os.utime(watched.root / name, (number, number))
    assert watched.vigil.suspects() is None


async def test_without_watches_nobody_is_vouched_for(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(28, "no more watches")

    monkeypatch.setattr(Inotify, "add", refuse)
    await watched.begin()
    assert watched.vigil.suspects() is None


async def test_on_a_file_system_that_others_change_nobody_is_vouched_for(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vigils, "tells_all", lambda _: False)
    await watched.begin()
    assert watched.vigil.suspects() is None


async def test_a_file_that_changed_before_the_vigil_began_is_suspect(watched: Watched) -> None:
    _rewrite(watched.root)
    await watched.begin()
    assert watched.vigil.suspects() == ["pkg/a.py"]


class Someone:
    """Does whatever comes to mind."""

    def __init__(self, watched: Watched, chance: Random) -> None:
        self._watched = watched
        self._root = watched.root
        self._chance = chance
        self._known = list(FILES)
        self._step = 0

    async def do(self) -> None:
        self._step += 1
        path = self._chance.choice(self._known)
        deeds = (
            self._write,
            self._write,
            self._remove,
            self._rename,
            self._move_folder,
            self._touch,
            self._invent,
        )
        what = self._chance.randrange(len(deeds) + 5)
        if what < len(deeds):
            deeds[what](self._root / path)
        elif what < len(deeds) + 3:
            await self._watched.index(*self._known)
        else:
            self._watched.clock.advance(self._chance.choice((LINGER_S / 2, 2 * LINGER_S)))
        for _ in range(self._chance.randrange(6)):
            await asyncio.sleep(self._chance.choice((0, 0, 0.001)))

    def _write(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("y" * self._step)

    def _remove(self, file: Path) -> None:
        file.unlink(missing_ok=True)

    def _rename(self, file: Path) -> None:
        if file.exists():
            file.rename(self._root / f"was_{self._step}.py")

    def _move_folder(self, file: Path) -> None:
        if file.parent.is_dir() and file.parent != self._root:
            file.parent.rename(self._root / f"folder_{self._step}")

    def _touch(self, file: Path) -> None:
        if file.exists():
            os.utime(file, (self._step, self._step))

    def _invent(self, _: Path) -> None:
        self._known.append(f"new_{self._step % 3}/deep/n_{self._step}.py")


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_done_nobody_who_changed_is_vouched_for(
    watched: Watched, seed: int
) -> None:
    someone = Someone(watched, Random(seed))
    await watched.begin()
    vouched = 0
    for _ in range(60):
        await someone.do()
        suspects = watched.vigil.suspects()
        if suspects is not None:
            vouched += 1
            assert await watched.changed() <= set(suspects)
    assert vouched, "it never vouched for anybody"
