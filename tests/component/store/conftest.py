"""Stores on real files, made by a fixture so that another kind of store can be run through."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.component.store.driving import Driver

from enrichd.clock import FakeClock
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.sqlite import SqliteStore


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(tmp_path: Path, clock: FakeClock) -> AsyncIterator[SqliteStore]:
    store = await SqliteStore.open(tmp_path / "graph.db", clock)
    yield store
    await store.close()


@pytest.fixture
async def workspace(store: SqliteStore) -> Workspace:
    return await store.add_workspace("tree", "/tree")


@pytest.fixture
async def driver(store: SqliteStore, workspace: Workspace) -> Driver:
    return Driver(store, workspace)
