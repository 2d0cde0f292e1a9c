"""What is too large, too slow, cancelled, killed or damaged is ended, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.integration.sources.origins import (
    Origin,
    fetched,
    git,
    names,
    refused,
    running,
    tree,
)

from enrichd.clock import FakeClock
from enrichd.sources.clone import Fetched
from enrichd.sources.folders import remove, remove_leftovers, size_of
from enrichd.sources.running import STALL_S, WATCH_S
from enrichd.sources.trouble import TooLarge
from enrichd.sources.url import GitUrl


@pytest.mark.parametrize("update", [False, True])
async def test_what_is_too_large_is_given_up_and_leaves_nothing(
    origin: Origin, sources: Path, update: bool
) -> None:
    folder = sources / "x"
    if update:
        await fetched(origin, folder, max_bytes=300_000)
    before = tree(folder)
    (origin.work / "large.bin").write_bytes(os.urandom(500_000))
    origin.commit()
    error = await refused(origin, folder, max_bytes=300_000)
    assert isinstance(error, TooLarge)
    assert "300,000 bytes" in error.message
    assert "[index] max_clone_bytes" in (error.hint or "")
    assert tree(folder) == before
    assert size_of(sources) < 300_000
    assert names(sources) == (["x"] if update else [])
    if update:
        git(folder, "fsck")
        (origin.work / "large.bin").unlink()
        git(origin.work, "add", "-A")
        git(origin.work, "commit", "-q", "--amend", "--allow-empty", "-m", "small again")
        commit = origin.commit()
        found = await fetched(origin, folder, max_bytes=300_000)
        assert (found.commit, found.cloned) == (commit, False)


async def test_the_room_is_watched_while_it_is_received(
    sources: Path, silent: GitUrl, connected: asyncio.Event
) -> None:
    clock = FakeClock()
    task = asyncio.create_task(refused(silent, sources / "x", max_bytes=300_000, clock=clock))
    await connected.wait()
    (sources / ".x.partial/.git/objects/pack/tmp_pack").write_bytes(bytes(300_000))
    clock.advance(WATCH_S)
    assert isinstance(await task, TooLarge)
    assert names(sources) == []


async def test_what_unpacks_to_far_too_much_is_never_checked_out(
    origin: Origin, sources: Path
) -> None:
    with (origin.work / "zeros.bin").open("wb") as file:
        file.truncate(10_000_000)
    origin.commit()
    seen: list[str] = []
    error = await refused(
        origin, sources / "x", max_bytes=1_000_000, tell=lambda *told: seen.append(told[2])
    )
    assert isinstance(error, TooLarge)
    assert "updating files" not in seen


async def test_trees_of_nothing_that_are_nested_without_end_are_too_large(
    origin: Origin, sources: Path
) -> None:
    kind, inner = "100644 blob", git(origin.bare, "hash-object", "-w", "--stdin")
    for _ in range(12):
        entries = "".join(f"{kind} {inner}\t{n}\n" for n in range(10))
        kind, inner = "040000 tree", git(origin.bare, "mktree", given=entries.encode())
    commit = git(origin.bare, "commit-tree", "-m", "a bomb", inner)
    git(origin.bare, "update-ref", "refs/heads/main", commit)
    assert isinstance(await refused(origin, sources / "x", max_bytes=20_000_000), TooLarge)
    assert names(sources) == []


async def test_paths_without_end_are_refused(origin: Origin, sources: Path) -> None:
    inner = git(origin.work, "write-tree")
    for _ in range(12):
        entry = f"040000 tree {inner}\t{'a' * 100}\n"
        inner = git(origin.work, "mktree", given=entry.encode())
    commit = git(origin.work, "commit-tree", "-m", "deep", inner)
    git(origin.work, "push", "-q", "-f", str(origin.bare), f"{commit}:refs/heads/main")
    error = await refused(origin, sources / "x")
    assert "a path of more than 1,024 bytes" in error.message


async def test_a_cancelled_clone_leaves_no_process_and_no_folder(
    origin: Origin, sources: Path, silent: GitUrl, connected: asyncio.Event
) -> None:
    task = asyncio.create_task(fetched(silent, sources / "x"))
    await connected.wait()
    assert running(silent.text)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running(silent.text) == []
    assert names(sources) == []


async def test_an_update_that_is_cancelled_leaves_the_clone_as_it_was(
    origin: Origin, sources: Path, silent: GitUrl, connected: asyncio.Event
) -> None:
    await fetched(origin, sources / "x")
    before = tree(sources / "x")
    task = asyncio.create_task(fetched(silent, sources / "x"))
    await connected.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert tree(sources / "x") == before
    assert (await fetched(origin, sources / "x")).cloned is False


async def test_a_clone_can_be_cancelled_at_any_moment(origin: Origin, sources: Path) -> None:
    for number in range(400):
        (origin.work / f"f{number}.py").write_text(f"{number}\n" * 50)
    origin.commit()
    whole = 0
    for moments in range(0, 40, 2):
        task = asyncio.create_task(fetched(origin, sources / "x", depth=1))
        for _ in range(moments):
            await asyncio.sleep(0.005)
        task.cancel()
        done = (await asyncio.gather(task, return_exceptions=True))[0]
        assert running(str(sources)) == []
        there = names(sources)
        if isinstance(done, Fetched):
            whole += 1
        if there:
            assert there == ["x"]
            assert len(tree(sources / "x")) == 402
            await remove(sources / "x", sources)
    assert whole < 20


async def test_a_server_that_says_nothing_is_given_up(
    origin: Origin, sources: Path, silent: GitUrl, connected: asyncio.Event
) -> None:
    clock = FakeClock()
    task = asyncio.create_task(refused(silent, sources / "x", clock=clock))
    await connected.wait()
    while not task.done():
        clock.advance(STALL_S / 4)
        await asyncio.sleep(0.01)
    error = await task
    assert "git said nothing for 120 s" in error.message
    assert silent.text in error.message
    assert names(sources) == []


async def test_what_a_killed_daemon_left_is_removed(origin: Origin, sources: Path) -> None:
    folder = sources / "x"
    partial, old, other = sources / ".x.partial", sources / ".x.old", sources / ".y.partial"
    for left in (partial, old, other):
        (left / ".git").mkdir(parents=True)
        (left / "f").write_text("left")
    await fetched(origin, folder)
    assert sorted(names(sources)) == [".y.partial", "x"]
    await remove_leftovers(sources)
    assert names(sources) == ["x"]
    await remove_leftovers(sources / "none")


async def test_a_git_that_was_killed_in_an_update_stands_in_nobodys_way(
    origin: Origin, sources: Path
) -> None:
    await fetched(origin, sources / "x")
    repository = sources / "x/.git"
    left = ["index.lock", "HEAD.lock", "shallow.lock", "config.lock", "refs/enrichd/tip.lock"]
    left += ["objects/pack/tmp_pack_1", "objects/pack/pack-1.keep"]
    for name in left:
        (repository / name).write_text("left")
    commit = origin.commit({"a.py": "a = 5\n"})
    found = await fetched(origin, sources / "x")
    assert (found.commit, found.cloned) == (commit, False)
    assert not any((repository / name).exists() for name in left)


def _garbage(path: Path) -> None:
    path.chmod(0o600)
    path.write_bytes(b"garbage" * 20)


def _no_branch(folder: Path) -> None:
    for each in (folder / ".git/refs/heads").iterdir():
        each.unlink()


def _packs(folder: Path) -> None:
    for each in (folder / ".git/objects/pack").glob("*.pack"):
        _garbage(each)


def _a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


def _a_link(folder: Path) -> None:
    folder.rename(elsewhere(folder))
    folder.symlink_to(elsewhere(folder))


def elsewhere(folder: Path) -> Path:
    return folder.parent.parent / "elsewhere"


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no repository": lambda folder: shutil.rmtree(folder / ".git"),
    "no HEAD": lambda folder: (folder / ".git/HEAD").unlink(),
    "no branch": _no_branch,
    "no objects": lambda folder: shutil.rmtree(folder / ".git/objects"),
    "config": lambda folder: (folder / ".git/config").write_text("[core"),
    "HEAD": lambda folder: (folder / ".git/HEAD").write_text("garbage"),
    "index": lambda folder: (folder / ".git/index").write_text("garbage"),
    "tip": lambda folder: (folder / ".git/refs/enrichd/tip").write_text("garbage"),
    "packs": _packs,
    "a file": _a_file,
    "a link": _a_link,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
async def test_a_damaged_clone_is_cloned_anew(
    origin: Origin, sources: Path, damage: Callable[[Path], object]
) -> None:
    folder = sources / "x"
    await fetched(origin, folder)
    damage(folder)
    commit = origin.commit({"a.py": "a = 6\n"})
    found = await fetched(origin, folder)
    assert (found.commit, found.cloned, found.changed) == (commit, True, True)
    assert tree(folder) == {"a.py": "a = 6\n", "pkg/b.py": "b = 1\n"}
    assert names(sources) == ["x"]
    assert tree(elsewhere(folder)).get("a.py", "a = 1\n") == "a = 1\n"


async def test_a_repository_around_the_state_folder_is_not_touched(
    origin: Origin, sources: Path
) -> None:
    around = sources.parent
    around.mkdir()
    git(around, "init", "-q")
    git(
        around,
        "-c",
        "user.name=a",
        "-c",
        "user.email=a",
        "commit",
        "-q",
        "--allow-empty",
        "-m",
        "x",
    )
    (around / "precious.py").write_text("not committed")
    await fetched(origin, sources / "x")
    (sources / "x/.git/HEAD").unlink()
    assert (await fetched(origin, sources / "x")).cloned
    assert (around / "precious.py").read_text() == "not committed"


async def test_it_dies_with_the_daemon(
    sources: Path, silent: GitUrl, connected: asyncio.Event
) -> None:
    script = (
        "import asyncio, pathlib\n"
        "from enrichd.clock import SystemClock\n"
        "from enrichd.sources.clone import fetch\n"
        "from enrichd.sources.url import GitUrl\n"
        f"asyncio.run(fetch(GitUrl.parse({silent.text!r}), pathlib.Path({str(sources / 'x')!r}),"
        " branch=None, depth=None, max_bytes=10**9, clock=SystemClock(), tell=print))\n"
    )
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", script)
    await connected.wait()
    daemon.send_signal(signal.SIGKILL)
    await daemon.wait()
    for _ in range(500):
        if not running(str(sources)) + running(silent.text):
            break
        await asyncio.sleep(0.01)
    assert running(str(sources)) + running(silent.text) == []
    assert names(sources) == [".x.partial"]
