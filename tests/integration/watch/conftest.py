"""The parts of a daemon that watch and index, on a real folder and the machine's own clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from enrichd.app import App, Servers
from enrichd.clock import SystemClock
from enrichd.config import Config
from enrichd.query.status import Freshness
from enrichd.settings import DaemonSettings, IndexSettings, WorkspaceSettings
from enrichd.watch.changes import Watching

PATIENCE_S = 30.0
"""Machines are shared; what is tested comes within a second."""


class Watched:
    """Workspaces that are watched; no language server is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.roots = {"tree": folder / "tree"}
        self.exclude: tuple[str, ...] = ()
        self._app: App | None = None

    @property
    def root(self) -> Path:
        return self.roots["tree"]

    @property
    def app(self) -> App:
        assert self._app is not None
        return self._app

    @property
    def config(self) -> Config:
        return Config(
            daemon=DaemonSettings(database=self.folder / "enrichd.db"),
            workspaces=tuple(
                WorkspaceSettings(name=name, root=root) for name, root in self.roots.items()
            ),
            index=IndexSettings(parse_processes=1, exclude=self.exclude),
        )

    async def open(self) -> None:
        """Watch, and have indexed what is there."""
        for root in self.roots.values():
            root.mkdir(exist_ok=True)
        self._app = await App.open(self.config, SystemClock(), Servers.NEVER)
        await self._app.serve()
        await self.until("all is indexed", lambda: not self.app.indexing.unseen)
        await self.until_calm()

    async def close(self) -> None:
        app, self._app = self._app, None
        if app is not None:
            await app.close()

    def write(self, files: dict[str, str], root: Path | None = None) -> None:
        for name, text in files.items():
            path = (root or self.root) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def id_of(self, name: str = "tree") -> int:
        return next(each.id for each in self.app.indexing.workspaces.values() if each.name == name)

    def freshness(self, name: str = "tree") -> Freshness:
        found = self.app.indexing.freshness(self.id_of(name))
        assert found is not None
        return found

    async def paths(self, name: str = "tree") -> set[str]:
        workspace_id = self.id_of(name)
        return set(await self.app.store.read(lambda reader: reader.files(workspace_id)))

    async def names(self, name: str = "tree") -> set[str]:
        """Of all symbols but modules."""
        workspace_id = self.id_of(name)

        return await self.app.store.read(
            lambda reader: {
                symbol.name
                for path in reader.files(workspace_id)
                for symbol in reader.symbols_in(workspace_id, path)
                if symbol.kind != "module"
            }
        )

    async def until(
        self, what: str, condition: Callable[[], object], within_s: float = PATIENCE_S
    ) -> None:
        """Look at every news of the indexing, until it holds."""
        deadline = time.monotonic() + within_s
        while True:
            seen = self.app.indexing.news.count
            if condition():
                return
            left = deadline - time.monotonic()
            assert left > 0, f"not within {within_s} s: {what}"
            try:
                await asyncio.wait_for(self.app.indexing.news.after(seen), min(left, 1.0))
            except TimeoutError:
                assert not self.app.services.failed

    async def until_calm(self) -> None:
        await self.until(
            "nothing is pending",
            lambda: (
                all(map(self.app.indexing.is_calm, self.app.indexing.workspaces))
                and all(self.freshness(name).watching != Watching.OFF for name in self.roots)
            ),
        )

    async def until_paths(self, *expected: str, name: str = "tree") -> None:
        await self._until_equal(lambda: self.paths(name), set(expected))

    async def until_names(self, *expected: str, name: str = "tree") -> None:
        await self._until_equal(lambda: self.names(name), set(expected))

    async def _until_equal(
        self, ask: Callable[[], Awaitable[set[str]]], expected: set[str]
    ) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            seen = self.app.indexing.news.count
            found = await ask()
            if found == expected:
                return
            left = deadline - time.monotonic()
            assert left > 0, f"{found} and not {expected}"
            try:
                await asyncio.wait_for(self.app.indexing.news.after(seen), min(left, 1.0))
            except TimeoutError:
                assert not self.app.services.failed


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[Watched]:
    """Not open yet."""
    own = Watched(tmp_path)
    own.root.mkdir()
    yield own
    await own.close()
