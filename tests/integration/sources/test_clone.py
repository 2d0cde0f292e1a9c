"""A clone is what its repository is, from the first time on."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from tests.integration.sources.origins import (
    Origin,
    fetched,
    git,
    identity,
    names,
    refused,
    tree,
)

from enrichd.errors import UsageError
from enrichd.sources.folders import remove, size_of
from enrichd.sources.url import GitUrl


async def test_a_repository_is_cloned_whole(origin: Origin, sources: Path) -> None:
    told: list[tuple[int, int, str]] = []
    folder = sources / origin.url.folder()
    found = await fetched(origin, folder, tell=lambda *what: told.append(what))
    assert found.commit == git(origin.work, "rev-parse", "HEAD")
    assert (found.cloned, found.changed, found.warnings) == (True, True, ())
    assert found.size_bytes == size_of(folder)
    assert tree(folder) == {"a.py": "a = 1\n", "pkg/b.py": "b = 1\n"}
    assert git(folder, "status", "--porcelain") == ""
    assert names(sources) == [folder.name]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {what for _, _, what in told} >= {"receiving objects", "updating files"}
    assert all(0 <= done <= total for done, total, _ in told)


async def test_an_update_leaves_alone_what_did_not_change(origin: Origin, sources: Path) -> None:
    folder = sources / "x"
    first = await fetched(origin, folder)
    same = identity(folder / "pkg/b.py")
    commit = origin.commit({"a.py": "a = 2\n", "c.py": "c = 1\n"})
    found = await fetched(origin, folder)
    assert (found.commit, found.cloned, found.changed) == (commit, False, True)
    assert found.commit != first.commit
    assert tree(folder) == {"a.py": "a = 2\n", "c.py": "c = 1\n", "pkg/b.py": "b = 1\n"}
    assert identity(folder / "pkg/b.py") == same
    again = await fetched(origin, folder)
    assert (again.commit, again.cloned, again.changed) == (commit, False, False)
    assert identity(folder / "pkg/b.py") == same


async def test_the_work_tree_equals_the_commit_whatever_was_done_to_it(
    origin: Origin, sources: Path
) -> None:
    origin.commit({".gitignore": "*.log\n"})
    folder = sources / "x"
    await fetched(origin, folder)
    before = tree(folder)
    (folder / "a.py").write_text("mine\n")
    (folder / "pkg/b.py").unlink()
    (folder / "x.log").write_text("ignored")
    (folder / "new").mkdir()
    (folder / "new/n.py").write_text("untracked")
    git(folder, "init", "-q", "nested")
    await fetched(origin, folder)
    assert tree(folder) == before
    assert not (folder / "nested").exists()
    assert not (folder / "new").exists()


async def test_a_forced_push_is_followed(origin: Origin, sources: Path) -> None:
    await fetched(origin, sources / "x")
    git(origin.work, "checkout", "-q", "--orphan", "other")
    (origin.work / "a.py").unlink()
    commit = origin.commit({"z.py": "z\n"})
    found = await fetched(origin, sources / "x")
    assert (found.commit, found.cloned) == (commit, False)
    assert tree(sources / "x") == {"pkg/b.py": "b = 1\n", "z.py": "z\n"}


async def test_a_branch_is_followed_and_no_other(origin: Origin, sources: Path) -> None:
    dev = origin.commit({"a.py": "a = 3\n"}, branch="dev/x")
    assert (await fetched(origin, sources / "x", branch="dev/x")).commit == dev
    git(origin.work, "reset", "-q", "--hard", "HEAD~")
    main = origin.commit({"m.py": "m\n"})
    assert (await fetched(origin, sources / "x", branch="dev/x")).changed is False
    assert (await fetched(origin, sources / "x")).commit == main


async def test_a_branch_that_is_gone_is_said_and_the_clone_stays(
    origin: Origin, sources: Path
) -> None:
    origin.commit({"a.py": "a = 3\n"}, branch="dev")
    await fetched(origin, sources / "x", branch="dev")
    before = tree(sources / "x")
    git(origin.bare, "update-ref", "-d", "refs/heads/dev")
    error = await refused(origin, sources / "x", branch="dev")
    assert "refs/heads/dev" in error.message
    assert "ls-remote --heads" in (error.hint or "")
    assert tree(sources / "x") == before
    assert names(sources) == ["x"]


async def test_a_default_branch_that_was_renamed_is_followed(origin: Origin, sources: Path) -> None:
    await fetched(origin, sources / "x")
    git(origin.bare, "branch", "-m", "main", "trunk")
    git(origin.bare, "symbolic-ref", "HEAD", "refs/heads/trunk")
    commit = origin.commit({"a.py": "a = 4\n"}, branch="trunk")
    found = await fetched(origin, sources / "x")
    assert (found.commit, found.cloned) == (commit, False)


async def test_a_depth_leaves_history_out_and_may_change(origin: Origin, sources: Path) -> None:
    for number in range(5):
        origin.commit({"a.py": f"a = {number}\n"})
    folder = sources / "x"

    def commits() -> int:
        return int(git(folder, "rev-list", "--count", "HEAD"))

    await fetched(origin, folder, depth=1)
    assert commits() == 1
    commit = origin.commit({"a.py": "a = 9\n"})
    assert (await fetched(origin, folder, depth=1)).commit == commit
    assert commits() == 1
    await fetched(origin, folder, depth=3)
    assert commits() == 3
    await fetched(origin, folder)
    assert commits() == 7
    assert (await fetched(origin, folder, depth=1)).cloned is False


async def test_many_updates_do_not_pile_up(
    origin: Origin, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichd.sources.clone.MOST_PACKS", 3)
    folder = sources / "x"
    for number in range(9):
        git(origin.work, "commit", "-q", "--amend", "--allow-empty", "-m", str(number))
        commit = origin.commit({"a.py": f"a = {number}\n"})
        found = await fetched(origin, folder, depth=1)
        assert (found.commit, found.warnings) == (commit, ())
    packs = list((folder / ".git/objects/pack").glob("*.pack"))
    assert len(packs) <= 4
    git(folder, "fsck", "--strict")


@pytest.mark.parametrize("kind", ["sha256"])
async def test_a_repository_with_longer_names_of_objects_is_cloned(
    tmp_path: Path, sources: Path, kind: str
) -> None:
    origin = Origin(tmp_path, f"--object-format={kind}")
    commit = origin.commit({"a.py": "a\n"})
    for again in (False, True):
        found = await fetched(origin, sources / "x")
        assert (found.commit, found.changed) == (commit, not again)


async def test_whoever_watches_is_no_obstacle(origin: Origin, sources: Path) -> None:
    def broken(done: int, total: int, what: str) -> None:
        raise RuntimeError("the watcher's own trouble")

    assert (await fetched(origin, sources / "x", tell=broken)).cloned


async def test_over_ssh_nobody_is_asked_and_nothing_is_forwarded(
    origin: Origin, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/said\nfor last; do :; done\neval "$last"\n')
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    url = GitUrl.parse(f"git@host:{origin.bare}")
    assert (await fetched(url, sources / "x", depth=1)).cloned
    assert tree(sources / "x") == {"a.py": "a = 1\n", "pkg/b.py": "b = 1\n"}
    said = (tmp_path / "said").read_text()
    assert "BatchMode=yes" in said
    assert "ForwardAgent=no" in said
    assert f"git@host git-upload-pack '{origin.bare}'" in said


async def test_submodules_are_left_out_and_named(
    origin: Origin, sources: Path, tmp_path: Path
) -> None:
    git(
        origin.work,
        *("-c", "protocol.file.allow=always", "submodule", "add", "-q"),
        *(str(origin.bare), "libs/sub"),
    )
    origin.commit()
    found = await fetched(origin, sources / "x")
    assert found.warnings == ("1 submodule is left out: libs/sub",)
    assert list((sources / "x/libs/sub").iterdir()) == []
    assert (await fetched(origin, sources / "x")).warnings == found.warnings


async def test_a_clone_is_removed_and_what_its_links_lead_to_is_not(
    origin: Origin, sources: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.py").write_text("precious\n")
    await fetched(origin, sources / "x")
    (sources / "x/out").symlink_to(outside)
    (sources / ".x.partial").mkdir()
    await remove(sources / "x", sources)
    assert names(sources) == []
    (sources / "link").symlink_to(outside)
    await remove(sources / "link", sources)
    await remove(sources / "link", sources)
    assert names(sources) == []
    assert tree(outside) == {"b.py": "precious\n"}


async def test_nothing_else_is_removed(sources: Path, tmp_path: Path) -> None:
    (sources / "x").mkdir(parents=True)
    outside = tmp_path / "outside"
    outside.mkdir()
    (sources / "link").symlink_to(outside)
    (outside / "y").mkdir()
    wrong = [sources, sources / "..", sources / "x" / "y", outside, sources / "link" / "y"]
    for folder in [*wrong, Path("/"), Path(), sources / "x" / ".."]:
        with pytest.raises(UsageError):
            await remove(folder, sources)
    assert (outside / "y").is_dir()
    assert (sources / "x").is_dir()
