"""What happens to files shows in the index soon, by events, whatever way it happened."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest
import watchfiles
from tests.integration.watch.conftest import Watched
from tests.running import git

from enrichd.errors import AnswerIsNo
from enrichd.watch import limits, vigil
from enrichd.watch.changes import Watching

A = "def a():\n    pass\n"
B = "def b():\n    pass\n"


def looks_at_everything(watched: Watched) -> float | None:
    """When the last one began."""
    kept = next(iter(watched.app.indexing._kept.values()))
    return kept.changes.looked_at


async def test_a_saved_file_is_taken_up_and_nothing_else_is_looked_at(watched: Watched) -> None:
    watched.write({"m.py": A, "pkg/__init__.py": "", "pkg/n.py": ""})
    await watched.open()
    assert watched.freshness().watching == Watching.EVENTS
    before = looks_at_everything(watched)
    watched.write({"pkg/n.py": B})
    await watched.until_names("a", "b")
    assert looks_at_everything(watched) == before
    known = await watched.app.store.read(
        lambda reader: reader.symbols_in(watched.id_of(), "pkg/n.py")
    )
    assert {symbol.qualified_name for symbol in known} == {"pkg.n", "b"}


async def test_a_file_that_is_saved_by_rename_is_taken_up(watched: Watched) -> None:
    watched.write({"m.py": A})
    await watched.open()
    before = looks_at_everything(watched)
    for number in range(3):
        draft = watched.root / f".m.py.{number}.tmp"
        draft.write_text(f"def a{number}():\n    pass\n")
        draft.replace(watched.root / "m.py")
        await watched.until_names(f"a{number}")
    assert looks_at_everything(watched) == before


async def test_a_new_file_in_a_known_folder_is_taken_up_alone(watched: Watched) -> None:
    watched.write({"pkg/m.py": A})
    await watched.open()
    before = looks_at_everything(watched)
    watched.write({"pkg/new.py": B})
    await watched.until_names("a", "b")
    assert looks_at_everything(watched) == before


async def test_a_deleted_file_is_forgotten_and_comes_back(watched: Watched) -> None:
    watched.write({"m.py": A, "n.py": B})
    await watched.open()
    (watched.root / "n.py").unlink()
    await watched.until_names("a")
    watched.write({"n.py": B})
    await watched.until_names("a", "b")


async def test_files_in_new_nested_folders_are_all_found(watched: Watched) -> None:
    watched.write({"m.py": A})
    await watched.open()
    new = {f"f{i}/g{j}/h{k}.py": "" for i in range(5) for j in range(5) for k in range(5)}
    watched.write(new)
    await watched.until_paths("m.py", *new)


async def test_a_renamed_folder_is_followed_there_and_back(watched: Watched) -> None:
    watched.write({"old/m.py": A, "old/deep/n.py": B})
    await watched.open()
    (watched.root / "old").rename(watched.root / "new")
    await watched.until_paths("new/m.py", "new/deep/n.py")
    watched.write({"new/deep/n.py": "def c():\n    pass\n"})
    await watched.until_names("a", "c")
    (watched.root / "new").rename(watched.root / "old")
    await watched.until_paths("old/m.py", "old/deep/n.py")


async def test_a_removed_folder_is_forgotten(watched: Watched) -> None:
    watched.write({"m.py": A, "gone/deep/n.py": B, "gone/o.py": B})
    await watched.open()
    shutil.rmtree(watched.root / "gone")
    await watched.until_paths("m.py")


async def test_a_file_that_makes_a_package_changes_the_names_of_others(watched: Watched) -> None:
    watched.write({"pkg/m.py": A})
    await watched.open()

    async def names() -> set[str]:
        return await watched.app.store.read(
            lambda reader: {
                symbol.qualified_name for symbol in reader.symbols_in(watched.id_of(), "pkg/m.py")
            }
        )

    assert await names() == {"m", "a"}
    watched.write({"pkg/__init__.py": ""})
    await watched.until_paths("pkg/m.py", "pkg/__init__.py")
    assert await names() == {"pkg.m", "a"}
    (watched.root / "pkg/__init__.py").unlink()
    await watched.until_paths("pkg/m.py")
    assert await names() == {"m", "a"}


@pytest.mark.parametrize("by_git", [True, False])
async def test_what_becomes_ignored_leaves_the_index_and_comes_back(
    watched: Watched, by_git: bool
) -> None:
    if by_git:
        git(watched.root, "init", "-q")
    watched.write({"m.py": A, "made/n.py": B, "made/deep/o.py": B, "k.py": A})
    await watched.open()
    watched.write({".gitignore": "made/\nk.py\n"})
    await watched.until_paths("m.py")
    watched.write({"k.py": A + B})  # an ignored file that is saved does not come in
    watched.write({"l.py": A})
    await watched.until_paths("m.py", "l.py")
    await watched.until_calm()
    assert await watched.paths() == {"m.py", "l.py"}
    (watched.root / ".gitignore").unlink()
    await watched.until_paths("m.py", "l.py", "k.py", "made/n.py", "made/deep/o.py")


async def test_what_git_tracks_after_all_comes_in(watched: Watched) -> None:
    git(watched.root, "init", "-q")
    watched.write({"m.py": A, "made.py": B, ".gitignore": "made.py\n"})
    await watched.open()
    assert await watched.paths() == {"m.py"}
    git(watched.root, "add", "-f", "made.py")
    await watched.until_paths("m.py", "made.py")
    watched.write({".git/info/exclude": "l.py\n", "l.py": A, "o.py": A})
    await watched.until_paths("m.py", "made.py", "o.py")


async def test_a_touch_and_another_mode_cost_no_more_than_a_look(watched: Watched) -> None:
    watched.write({"m.py": A})
    await watched.open()
    runs = watched.app.runs.count
    (watched.root / "m.py").chmod(0o600)
    watched.write({"n.py": B})
    await watched.until_names("a", "b")
    await watched.until_calm()
    assert watched.app.runs.count == runs + 1


async def test_what_is_excluded_wakes_nobody(watched: Watched) -> None:
    watched.exclude = ("made/**",)
    watched.write({"m.py": A, "made/n.py": B})
    await watched.open()
    before = looks_at_everything(watched)
    watched.write({"made/n.py": A, "made/deep/o.py": A, ".tox/lib/p.py": A, "notes.txt": "x"})
    watched.write({"n.py": B})
    await watched.until_names("a", "b")
    await watched.until_calm()
    assert await watched.paths() == {"m.py", "n.py"}
    assert looks_at_everything(watched) == before


async def test_a_root_that_vanishes_and_comes_back_is_picked_up_again(watched: Watched) -> None:
    watched.write({"m.py": A})
    await watched.open()
    away = watched.folder / "away"
    watched.root.rename(away)
    await watched.until(
        "its absence is noticed", lambda: watched.freshness().watching == Watching.OFF
    )
    assert await watched.paths() == {"m.py"}
    watched.write({"n.py": B}, away)
    away.rename(watched.root)
    await watched.until_paths("m.py", "n.py")
    await watched.until(
        "it is watched again", lambda: watched.freshness().watching == Watching.EVENTS
    )
    await watched.until_calm()
    watched.write({"o.py": "def c():\n    pass\n"})
    await watched.until_names("a", "b", "c")


async def test_another_folder_in_the_place_of_the_root_is_the_root_from_then_on(
    watched: Watched,
) -> None:
    watched.write({"m.py": A})
    await watched.open()
    watched.root.rename(watched.folder / "away")
    watched.write({"n.py": B})
    await watched.until_paths("n.py")
    await watched.until_calm()
    watched.write({"o.py": A})
    await watched.until_paths("n.py", "o.py")


async def test_an_edit_in_a_workspace_inside_another_goes_to_both(watched: Watched) -> None:
    watched.write({"m.py": A, "inner/n.py": B})
    watched.roots["inner"] = watched.root / "inner"
    await watched.open()
    watched.write({"inner/o.py": "def c():\n    pass\n"})
    await watched.until_names("b", "c", name="inner")
    await watched.until_names("a", "b", "c")


async def test_worktrees_of_one_repository_are_workspaces_of_their_own(watched: Watched) -> None:
    git(watched.root, "init", "-q", "-b", "main")
    watched.write({"m.py": A})
    git(watched.root, "add", ".")
    git(watched.root, "commit", "-q", "-m", "one")
    other = watched.folder / "other"
    git(watched.root, "worktree", "add", "-q", "-b", "side", str(other))
    watched.roots["other"] = other
    await watched.open()
    watched.write({"m.py": B}, other)
    await watched.until_names("b", name="other")
    assert await watched.names() == {"a"}
    git(other, "commit", "-q", "-a", "-m", "two")
    git(watched.root, "merge", "-q", "side")
    await watched.until_names("b")
    git(other, "checkout", "-q", "--detach", "HEAD~1")
    await watched.until_names("a", name="other")
    assert await watched.names() == {"b"}


async def test_a_workspace_is_watched_from_when_it_is_added_until_it_is_removed(
    watched: Watched,
) -> None:
    await watched.open()
    other = watched.folder / "late"
    watched.write({"m.py": A}, other)
    await watched.app.workspaces.add(other, None)
    await watched.until_names("a", name="late")
    await watched.until(
        "it is watched", lambda: watched.freshness("late").watching == Watching.EVENTS
    )
    watched.write({"n.py": B}, other)
    await watched.until_names("a", "b", name="late")
    removed = watched.id_of("late")
    await watched.app.workspaces.remove("late")
    assert watched.app.indexing.freshness(removed) is None
    with pytest.raises(AnswerIsNo):
        await watched.app.indexing.looked(removed)


async def test_while_git_holds_its_lock_a_burst_waits(watched: Watched) -> None:
    git(watched.root, "init", "-q")
    watched.write({"m.py": A})
    await watched.open()
    runs = watched.app.runs.count

    def has_pending(number: int) -> bool:
        return watched.freshness().pending_changes >= number

    lock = watched.root / ".git" / "index.lock"
    lock.touch()
    for number in range(10):
        watched.write({f"n{number}.py": ""})
        await watched.until("it is known", partial(has_pending, number + 1))
    assert watched.app.runs.count == runs
    lock.unlink()
    await watched.until_calm()
    assert watched.app.runs.count == runs + 1
    assert len(await watched.paths()) == 11


async def test_a_lock_that_was_left_behind_holds_nobody_up(watched: Watched) -> None:
    git(watched.root, "init", "-q")
    lock = watched.root / ".git" / "index.lock"
    lock.touch()
    os.utime(lock, (1_000_000_000, 1_000_000_000))
    await watched.open()
    watched.write({"m.py": A})
    await watched.until_names("a")


# Where the system tells of no events


def cannot_watch(error: Exception) -> Callable[..., AsyncIterator[object]]:
    async def awatch(*_: object, **__: object) -> AsyncIterator[object]:
        for each in (error,):
            raise each
        yield set()

    return awatch


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError("OS file watch limit reached. about [...]"), "fs.inotify.max_user_watches"),
        (RuntimeError("Too many open files (os error 24)"), "fs.inotify.max_user_instances"),
        (RuntimeError("Unable to decode path"), "watching for changes broke"),
    ],
)
async def test_where_events_cannot_be_had_files_are_looked_at_and_status_says_so(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, error: Exception, told: str
) -> None:
    monkeypatch.setattr(watchfiles, "awatch", cannot_watch(error))
    watched.write({"m.py": A})
    await watched.open()
    assert watched.freshness().watching == Watching.POLLING
    problems = (await watched.app.status()).problems
    assert any(told in problem for problem in problems), problems
    watched.write({"n.py": B})
    await watched.until_names("a", "b")


async def test_a_watcher_that_got_only_some_folders_is_not_trusted(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    monkeypatch.setattr(limits, "no_more_watches", lambda _: full[0])
    watched.write({"deep/m.py": A})
    await watched.open()
    assert watched.freshness().watching == Watching.POLLING
    assert any("max_user_watches" in each for each in (await watched.app.status()).problems)
    full[0] = False
    await watched.app.workspaces.take_up_all()  # as at SIGHUP, after the limit was raised
    await watched.until("it is watched", lambda: watched.freshness().watching == Watching.EVENTS)
    await watched.until_calm()
    assert (await watched.app.status()).problems == []


async def test_a_name_that_is_no_text_does_not_end_the_watching(watched: Watched) -> None:
    watched.write({"m.py": A})
    await watched.open()
    watched.write({os.fsdecode(b"\xff.py"): A})
    watched.write({"n.py": B})
    await watched.until_names("a", "b")
    await watched.until(
        "it is watched again", lambda: watched.freshness().watching == Watching.EVENTS
    )


async def test_every_one_of_very_many_workspaces_is_watched_and_let_go_of_in_time(
    watched: Watched,
) -> None:
    for number in range(45):  # more than there are threads by default
        watched.roots[f"w{number}"] = watched.folder / f"w{number}"
    await watched.open()
    for root in watched.roots.values():
        watched.write({"m.py": A}, root)
    for name in watched.roots:
        await watched.until_paths("m.py", name=name)
    began = time.monotonic()
    await watched.close()
    assert time.monotonic() - began < 5.0


async def test_a_save_is_suspect_the_moment_it_is_made_until_it_is_indexed(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vigil, "LINGER_S", 0.2)
    watched.write({"m.py": A, "pkg/n.py": ""})
    await watched.open()

    def suspects() -> list[str] | None:
        return watched.app.unindexed()(watched.id_of()).suspects

    assert suspects() is None
    await watched.until("all are vouched for", lambda: suspects() == [])
    watched.write({"pkg/n.py": B})
    assert suspects() == ["pkg/n.py"]
    await watched.until_names("a", "b")
    await watched.until("all are vouched for again", lambda: suspects() == [])
    watched.write({"fresh/deep/o.py": "def o():\n    pass\n"})
    await watched.until_names("a", "b", "o")
    await watched.until("the new one is vouched for too", lambda: suspects() == [])
    watched.write({"fresh/deep/o.py": A})
    assert suspects() == ["fresh/deep/o.py"]
