"""Programs are looked for in no folder of a workspace, however it is written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enrichd.search_path import leave_out


def left(root: Path, *folders: str | Path) -> list[str]:
    os.environ["PATH"] = os.pathsep.join(map(str, folders))
    leave_out(root)
    return os.environ["PATH"].split(os.pathsep)


@pytest.fixture(autouse=True)
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")


def test_folders_of_the_workspace_and_relative_ones_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "root"
    folders: list[str | Path] = [
        root,
        root / "bin",
        root / "x" / ".." / "bin",
        "bin",
        ".",
        "",
        tmp_path / "rooted",
    ]
    assert left(root, "/usr/bin", *folders, "/bin") == [
        "/usr/bin",
        str(tmp_path / "rooted"),
        "/bin",
    ]


def test_links_into_the_workspace_and_out_of_it_are_left_out(tmp_path: Path) -> None:
    root, alias = tmp_path / "root", tmp_path / "alias"
    (root / "bin").mkdir(parents=True)
    alias.symlink_to(root)
    (tmp_path / "tools").symlink_to(root / "bin")
    (root / "out").symlink_to("/usr/bin")
    folders = [alias / "bin", tmp_path / "tools", root / "out"]
    assert left(root, *folders, "/usr/bin") == ["/usr/bin"]
    assert left(alias, *folders, "/usr/bin") == ["/usr/bin"]


def test_something_is_always_left(tmp_path: Path) -> None:
    assert left(tmp_path, tmp_path / "bin") == os.defpath.split(os.pathsep)
