"""Writing into the database where no daemon has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from enrichd_tracker.store.port import Store


@asynccontextmanager
async def writing(database: Path) -> AsyncIterator[Store]:
    """The store, open; raises AlreadyLocked where somebody has it."""
    from enrichd.clock import SystemClock  # noqa: PLC0415
    from enrichd_tracker.store.sqlite import SqliteStore  # noqa: PLC0415

    store = await SqliteStore.open(database, SystemClock())
    try:
        yield store
    finally:
        await store.close()
