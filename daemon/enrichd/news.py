"""Telling whoever waits that something has happened, so that nobody has to look again and again."""

from __future__ import annotations

import asyncio


class News:
    """A count that can be waited on. Who remembers it before he looks misses nothing after."""

    def __init__(self) -> None:
        self.count = 0
        """How often there was news."""
        self._event = asyncio.Event()

    def tell(self) -> None:
        """Something has happened: all who wait go on."""
        self.count += 1
        self._event.set()
        self._event = asyncio.Event()

    async def after(self, count: int) -> None:
        """Return once there was news after that many; at once where there was already."""
        while self.count <= count:
            await self._event.wait()
