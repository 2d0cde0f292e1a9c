"""A look at a few paths finds what a look at everything would, or says that it can't tell."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.parser import Parser
from tests.running import git

from enrichd.clock import FakeClock
from enrichd.index.job import JobRecord
from enrichd.index.run import IndexOptions, IndexRun
from enrichd.index.survey import Survey, Tree, survey, survey_at
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.sqlite import SqliteStore

OPTIONS = IndexOptions(exclude=("vendor/**",), max_file_bytes=100_000, parse_processes=1)
FILES = {
    "m.py": "def m():\n    pass\n",
    "pkg/__init__.py": "",
    "pkg/a.py": "x = 1\n",
    "pkg/deep/__init__.py": "",
    "pkg/deep/b.py": "y = 1\n",
    "plain/c.py": "z = 1\n",
    ".gitignore": "made_*.py\nbuild/\n",
    "vendor/six.py": "",
}


class Indexed:
    def __init__(self, store: SqliteStore, workspace: Workspace, tree: Tree) -> None:
        self.root = Path(workspace.root)
        self._store = store
        self._workspace = workspace
        self._tree = tree

    async def both(self, *paths: str) -> tuple[Survey | None, Survey]:
        """What a look at these paths finds, and what a look at everything does."""
        rules = {"exclude": OPTIONS.exclude, "max_file_bytes": OPTIONS.max_file_bytes}
        some = await survey_at(self._store, self._workspace, paths, self._tree, **rules)  # type: ignore[arg-type]
        return some, await survey(self._store, self._workspace, **rules)  # type: ignore[arg-type]

    async def agree(self, *paths: str) -> Survey:
        some, whole = await self.both(*paths)
        assert some is not None
        assert some.todo.changed == whole.todo.changed
        assert some.todo.removed == whole.todo.removed
        assert (some.files, some.languages) == (whole.files, whole.languages)
        for file in some.todo.changed:
            folder = os.path.dirname(file.path)  # noqa: PTH120
            there = whole.packages[file.language]
            while folder:
                assert (folder in some.packages[file.language]) == (folder in there)
                folder = os.path.dirname(folder)  # noqa: PTH120
        return some


@pytest.fixture(params=["git", "rules"])
async def indexed(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Indexed]:
    monkeypatch.setattr("enrichd.index.run.ParserPool", Parser)
    root = tmp_path / "tree"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    if request.param == "git":
        git(root, "init", "-q")
    clock = FakeClock()
    store = await SqliteStore.open(tmp_path / "graph.db", clock)
    workspace = await store.add_workspace("tree", str(root))
    run = IndexRun(
        store,
        workspace,
        OPTIONS,
        clock=clock,
        record=JobRecord(store, workspace, clock=clock, owner="test"),
        before_change=lambda: None,
    )
    result = await run.run()
    assert result.tree is not None
    yield Indexed(store, workspace, result.tree)
    await store.close()


async def test_changed_new_and_removed_files(indexed: Indexed) -> None:
    (indexed.root / "pkg/a.py").write_text("x = 2222\n")
    (indexed.root / "pkg/deep/new.py").write_text("")
    (indexed.root / "plain/c.py").unlink()
    found = await indexed.agree("pkg/a.py", "pkg/deep/new.py", "plain/c.py")
    assert [file.path for file in found.todo.changed] == ["pkg/a.py", "pkg/deep/new.py"]
    assert found.todo.removed == ["plain/c.py"]


async def test_what_was_only_touched_by_name_is_nothing(indexed: Indexed) -> None:
    found = await indexed.agree("m.py", "was.py")
    assert found.todo.changed == []
    assert found.todo.removed == []


async def test_what_is_ignored_or_excluded_does_not_come_in(indexed: Indexed) -> None:
    (indexed.root / "pkg/made_by.py").write_text("")
    (indexed.root / "vendor/more.py").write_text("")
    found = await indexed.agree("pkg/made_by.py")
    assert not found.todo.changed


async def test_a_file_that_became_a_link_or_a_folder_goes(indexed: Indexed) -> None:
    (indexed.root / "m.py").unlink()
    (indexed.root / "m.py").symlink_to("pkg/a.py")
    assert (await indexed.agree("m.py")).todo.removed == ["m.py"]


@pytest.mark.parametrize(
    "path", ["pkg/__init__.py", "plain/__init__.py", "elsewhere/d.py", "pkg/deep", "build/e.py"]
)
async def test_what_may_concern_others_takes_a_look_at_everything(
    indexed: Indexed, path: str
) -> None:
    file = indexed.root / path
    if path == "pkg/__init__.py":
        file.unlink()
    elif path != "pkg/deep":
        file.parent.mkdir(exist_ok=True)
        file.write_text("")
    some, _ = await indexed.both(path)
    assert some is None


@pytest.mark.parametrize("seed", range(5))
async def test_they_agree_whatever_was_done(indexed: Indexed, seed: int) -> None:
    chance = random.Random(seed)
    folders = ["", "pkg/", "pkg/deep/", "plain/"]
    touched = set()
    for number in range(12):
        path = f"{chance.choice(folders)}{chance.choice(['a', 'b', 'c', 'n', 'made_x'])}.py"
        touched.add(path)
        if chance.random() < 0.3:
            (indexed.root / path).unlink(missing_ok=True)
        else:
            (indexed.root / path).write_text(f"v = {number}\n" * chance.randrange(4))
    await indexed.agree(*sorted(touched))
