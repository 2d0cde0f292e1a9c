"""What an event means; each row is an event and what comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from watchfiles import Change

from enrichd.index.walk import patterns
from enrichd.watch.filter import Filter, Touched

FOLDERS = frozenset({"src", "src/app"})
LANGUAGES = {".py": "python"}


def judge(root: Path, path: str, change: Change = Change.modified) -> Touched | None:
    judge_of = Filter(str(root), LANGUAGES, patterns(["vendor/**"]), {"pyproject.toml"})
    return judge_of.judge({(change, f"{root}/{path}")}, FOLDERS)


@pytest.mark.parametrize(
    "path",
    [
        "README.md",
        "sub/pyproject.toml",
        "src/app.py~",
        "src/.app.py.swp",
        "src/4913",
        ".git/objects/ab/cdef",
        ".git/refs/heads/main",
        ".git/index.lock",
        ".venv/lib/x.py",
        "src/__pycache__/app.cpython-311.pyc",
        "src/__pycache__",
        "node_modules/a/b.py",
        "vendor/six.py",
    ],
)
def test_what_can_be_no_source_means_nothing(tmp_path: Path, path: str) -> None:
    for change in Change:
        assert judge(tmp_path, path, change) is None


@pytest.mark.parametrize("change", Change)
def test_a_source_is_to_be_looked_at(tmp_path: Path, change: Change) -> None:
    found = Touched(frozenset({"src/app/x.py"}), whole=False, folders=False)
    assert judge(tmp_path, "src/app/x.py", change) == found


@pytest.mark.parametrize(
    "path",
    [
        ".gitignore",
        "src/.gitignore",
        ".git",
        ".git/HEAD",
        ".git/index",
        ".git/info/exclude",
        "sub/.git/HEAD",
        "env/pyvenv.cfg",
        ".venv/pyvenv.cfg",
        "pyproject.toml",
    ],
)
def test_what_decides_about_others_leads_to_a_look_at_everything(tmp_path: Path, path: str) -> None:
    assert judge(tmp_path, path) == Touched(frozenset({path}), whole=True, folders=False)


def test_a_new_folder_leads_to_a_look_at_everything(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    found = Touched(frozenset({"new"}), whole=True, folders=True)
    assert judge(tmp_path, "new", Change.added) == found


def test_a_folder_that_held_sources_and_is_gone_leads_to_a_look_at_everything(
    tmp_path: Path,
) -> None:
    found = judge(tmp_path, "src/app", Change.deleted)
    assert found == Touched(frozenset({"src/app"}), whole=True, folders=True)


def test_a_temporary_file_that_is_gone_is_no_folder_that_was(tmp_path: Path) -> None:
    assert judge(tmp_path, "src/app.py.tmp", Change.deleted) is None


def test_the_root_itself_leads_to_a_look_at_everything(tmp_path: Path) -> None:
    found = Filter(str(tmp_path), LANGUAGES, patterns([])).judge(
        {(Change.deleted, str(tmp_path))}, FOLDERS
    )
    assert found == Touched(frozenset(), whole=True, folders=False)
