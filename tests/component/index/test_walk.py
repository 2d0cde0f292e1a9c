"""Which files are found: in real folders, with a real git and without."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from enrichd.errors import ConfigError, PermissionRefused, StorageError, UsageError
from enrichd.file_stat import stat_of
from enrichd.index.survey import walk_through
from enrichd.index.walk import Abandoned, Skip, Walk, walk
from enrichd_tracker.model import Workspace

SUFFIXES = {".py": "python"}


def write(root: Path, *paths: str, text: str = "x = 1\n") -> None:
    for path in paths:
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@example.org")
    subprocess.run(
        ("git", "-c", "init.defaultBranch=main", *identity, *arguments),
        cwd=folder,
        check=True,
        capture_output=True,
    )


def found(root: Path, exclude: Sequence[str] = ()) -> list[str]:
    return [file.path for file in walked(root, exclude).files]


def walked(root: Path, exclude: Sequence[str] = ()) -> Walk:
    return walk(root, exclude=exclude, languages=SUFFIXES)


@pytest.fixture(params=["git", "rules"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder, once under git and once not."""
    folder = tmp_path / "root"
    folder.mkdir()
    if request.param == "git":
        git(folder, "init")
    return folder


def test_files_of_a_language_are_found_in_order_with_their_stat(root: Path) -> None:
    write(root, "b.py", "a/z.py", "a.py", "readme.txt", "a/b/c.py")
    result = walked(root)
    assert [file.path for file in result.files] == ["a.py", "a/b/c.py", "a/z.py", "b.py"]
    assert result.files[0].language == "python"
    assert result.files[0].stat == stat_of(root / "a.py")
    assert result.root == str(root.resolve())
    assert result.by_git == (root / ".git").exists()


def test_source_in_other_languages_is_named_and_nothing_else_about_it(
    root: Path, tmp_path: Path
) -> None:
    write(root, "a.py", "b.rb", "c/d.hs", "readme.md", "data.json", "logo.png", "no_suffix")
    write(root, "node_modules/e.rb", "venv/f.rb", "venv/pyvenv.cfg", "vendor/g.rb", "build/h.rb")
    write(root, ".gitignore", text="build/\n")
    write(tmp_path, "outside.rb")
    (root / "link.rb").symlink_to(tmp_path / "outside.rb")
    os.mkfifo(root / "pipe.rb")
    (root / os.fsdecode(b"\xff.rb")).touch()
    others = {".rb": "ruby", ".hs": "haskell"}
    result = walk(root, exclude=["vendor/"], languages=SUFFIXES, others=others)
    assert result.unsupported == {"b.rb": "ruby", "c/d.hs": "haskell"}
    assert [file.path for file in result.files] == ["a.py"]
    assert result.problems == []
    assert walked(root).unsupported == {}


def test_ignored_files_are_left_out_and_nearer_rules_win(root: Path) -> None:
    write(root, "keep.py", "out/a.py", "gen_a.py", "sub/gen_b.py", "sub/local.py", "sub/x/y.py")
    (root / ".gitignore").write_text("out/\ngen_*.py\n")
    (root / "sub" / ".gitignore").write_text("!gen_b.py\n/local.py\nx\n")
    assert found(root) == ["keep.py", "sub/gen_b.py"]


def test_excluded_files_are_left_out(root: Path) -> None:
    write(root, "a.py", "vendor/b.py", "vendor/c/d.py", "lib/vendor/e.py", "lib/f_pb2.py")
    result = walked(root, ["vendor/**", "*_pb2.py"])
    assert [file.path for file in result.files] == ["a.py", "lib/vendor/e.py"]
    assert result.skipped[Skip.EXCLUDED] >= 2


def test_virtual_environments_and_tools_folders_are_left_out(root: Path) -> None:
    write(root, "a.py", "env/lib/b.py", "node_modules/c.py", "x/__pycache__/d.py", ".tox/e.py")
    write(root, "env/pyvenv.cfg")
    write(root, "venv/is_a_package.py")
    if (root / ".git").exists():
        git(root, "add", "-A", "-f")
    assert found(root) == ["a.py", "venv/is_a_package.py"]


def test_links_are_never_followed(root: Path, tmp_path: Path) -> None:
    write(root, "a.py", "inner/b.py")
    write(tmp_path, "outside/secret.py")
    (root / "link.py").symlink_to(root / "a.py")
    (root / "loop").symlink_to(root)
    (root / "inner" / "out.py").symlink_to(tmp_path / "outside" / "secret.py")
    (root / "outdir").symlink_to(tmp_path / "outside")
    (root / "dangling.py").symlink_to(root / "nothing.py")
    (root / "self.py").symlink_to(root / "self.py")
    result = walked(root)
    assert [file.path for file in result.files] == ["a.py", "inner/b.py"]
    assert result.skipped[Skip.LINK_OUTSIDE] == 1
    assert result.skipped[Skip.LINK] == 3
    assert result.problems == []


def test_odd_names_are_names(root: Path) -> None:
    names = ["a b.py", "c%20d.py", "e#f.py", "g\nh.py", "ü.py", "'q\".py", "-r.py"]
    write(root, *names)
    assert found(root) == sorted(names)


def test_a_name_that_is_not_utf8_is_a_problem_and_no_more(root: Path) -> None:
    write(root, "a.py")
    Path(os.fsdecode(os.fsencode(root) + b"/b\xff.py")).write_text("x")
    result = walked(root)
    assert [file.path for file in result.files] == ["a.py"]
    [(path, failure)] = result.problems
    assert path == "b\\xff.py"
    assert "not valid UTF-8" in failure.message


def test_what_is_no_regular_file_is_a_problem_and_never_opened(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    os.mkfifo(tmp_path / "fifo.py")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "socket.py"))
        result = walked(tmp_path)
    assert [file.path for file in result.files] == ["a.py"]
    assert [(path, failure.message) for path, failure in result.problems] == [
        ("fifo.py", "not a regular file but a FIFO"),
        ("socket.py", "not a regular file but a socket"),
    ]


def test_a_part_of_a_repository_can_be_the_root(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, "a.py", "part/b.py", "part/gen.py")
    (tmp_path / ".gitignore").write_text("gen.py\n")
    assert found(tmp_path / "part") == ["b.py"]


def test_tracked_files_are_found_though_ignored_and_once_though_in_conflict(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, "a.py")
    git(tmp_path, "add", "a.py")
    git(tmp_path, "commit", "-m", "one")
    git(tmp_path, "checkout", "-b", "other")
    write(tmp_path, "a.py", text="x = 2\n")
    git(tmp_path, "commit", "-am", "two")
    git(tmp_path, "checkout", "main")
    write(tmp_path, "a.py", text="x = 3\n")
    git(tmp_path, "commit", "-am", "three")
    with pytest.raises(subprocess.CalledProcessError):
        git(tmp_path, "merge", "other")
    (tmp_path / ".gitignore").write_text("a.py\n")
    assert found(tmp_path) == ["a.py"]


def test_a_file_that_git_remembers_and_is_gone_is_left_out(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, "a.py", "b.py")
    git(tmp_path, "add", ".")
    (tmp_path / "b.py").unlink()
    result = walked(tmp_path)
    assert [file.path for file in result.files] == ["a.py"]
    assert result.skipped[Skip.GONE] == 1
    assert result.problems == []


def test_repositories_inside_are_part_of_the_workspace(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, "a.py", "nested/b.py", "nested/gen.py")
    (tmp_path / "nested" / ".gitignore").write_text("gen.py\n")
    git(tmp_path / "nested", "init")
    git(tmp_path / "nested", "add", ".")
    git(tmp_path / "nested", "commit", "-m", "one")
    assert found(tmp_path) == ["a.py", "nested/b.py"]
    git(tmp_path, "add", "nested")  # now a gitlink, as a submodule is
    assert found(tmp_path) == ["a.py", "nested/b.py"]


def test_a_root_that_a_repository_around_ignores_is_walked_by_the_rules(tmp_path: Path) -> None:
    git(tmp_path, "init")
    write(tmp_path, "build/a.py")
    (tmp_path / ".gitignore").write_text("build/\n")
    assert found(tmp_path / "build") == ["a.py"]


@pytest.mark.parametrize("broken", ["no git", "refuses"])
def test_without_gits_help_the_rules_do(
    broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, programs = tmp_path / "root", tmp_path / "bin"
    write(root, "a.py", "gen.py")
    (root / ".gitignore").write_text("gen.py\n")
    git(root, "init")
    programs.mkdir()
    if broken == "refuses":
        (programs / "git").write_text("#!/bin/sh\necho 'dubious ownership' >&2\nexit 128\n")
        (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    result = walked(root)
    assert [file.path for file in result.files] == ["a.py"]
    assert not result.by_git


def test_a_hooks_environment_does_not_lead_git_astray(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, other = tmp_path / "root", tmp_path / "other"
    write(root, "a.py")
    write(other, "b.py")
    for folder in (root, other):
        git(folder, "init")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert found(root) == ["a.py"]


def test_no_program_of_the_repositorys_choice_is_run(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root, "a.py")
    git(root, "init")
    git(root, "config", "core.fsmonitor", f"touch {tmp_path / 'was-run'}; false")
    assert found(root) == ["a.py"]
    assert not (tmp_path / "was-run").exists()


def test_a_root_that_is_not_there_is_said_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nothing-here") as error:
        walked(tmp_path / "nothing-here")
    assert error.value.hint


def test_a_file_in_place_of_a_folder_is_a_usage_error(tmp_path: Path) -> None:
    write(tmp_path, "a.py")
    with pytest.raises(UsageError, match=r"a\.py is a file") as error:
        walked(tmp_path / "a.py")
    assert str(tmp_path) in (error.value.hint or "")


def test_a_bad_pattern_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exclude"):
        walked(tmp_path, ["!"])


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_an_unreadable_root_is_a_refusal_and_an_unreadable_folder_a_problem(
    tmp_path: Path,
) -> None:
    write(tmp_path, "a.py", "closed/b.py")
    (tmp_path / "closed").chmod(0)
    try:
        assert [path for path, _ in walked(tmp_path).problems] == ["closed"]
        with pytest.raises(PermissionRefused, match="closed"):
            walked(tmp_path / "closed")
    finally:
        (tmp_path / "closed").chmod(0o700)


async def test_a_walk_ends_soon_after_nobody_waits_for_it(tmp_path: Path) -> None:
    write(tmp_path, *(f"d{number}/m{each}.py" for number in range(40) for each in range(50)))
    walking = asyncio.ensure_future(walk_through(Workspace(1, "tree", str(tmp_path)), ()))
    await asyncio.sleep(0.001)
    walking.cancel()
    await asyncio.gather(walking, return_exceptions=True)
    began = time.monotonic()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert walking.cancelled()
    assert time.monotonic() - began < 1.0
    with pytest.raises(Abandoned):
        walk(tmp_path, languages=SUFFIXES, abandoned=lambda: True)
