"""Writing into the database where no daemon has it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from enrichd_tracker.store.port import Store

T = TypeVar("T")


def write(database: Path, change: Callable[[Store], Coroutine[Any, Any, T]]) -> T:
    """What ``change`` gives of the open store; raises AlreadyLocked where somebody has it."""
    import asyncio  # noqa: PLC0415

    from enrichd.clock import SystemClock  # noqa: PLC0415
    from enrichd_tracker.store.sqlite import SqliteStore  # noqa: PLC0415

    async def written() -> T:
        store = await SqliteStore.open(database, SystemClock())
        try:
            return await change(store)
        finally:
            await store.close()

    return asyncio.run(written())
