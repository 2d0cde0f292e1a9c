"""Is the server alive at all? Asked when a request timed out and nothing was answered since."""

from __future__ import annotations

import asyncio
from pathlib import Path

from enrichd.lsp.client import Client
from enrichd.lsp.errors import LanguageServerError, RequestRefused
from enrichd.lsp.positions import path_to_uri
from enrichd.lsp.protocol import TEXT_DOCUMENT_DEFINITION, TEXT_DOCUMENT_DOCUMENT_SYMBOL
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.model import Canary, Lane
from enrichd_tracker.store.port import Reader, Store

PROBE_TIMEOUT_S = 5.0


class Probe:
    """One question to a lane's server; any answer will do, an error too."""

    def __init__(self, store: Store, lane: Lane, root: Path) -> None:
        self._store = store
        self._lane = lane
        self._root = root
        self._running: asyncio.Task[bool] | None = None

    async def answers(self, client: Client) -> bool:
        """Whether the server answers; who asks at the same time shares one question."""
        if self._running is None or self._running.done():
            self._running = asyncio.get_running_loop().create_task(
                self._ask(client), name=f"probe of {self._lane}"
            )
        return await asyncio.shield(self._running)

    async def _ask(self, client: Client) -> bool:
        try:
            method, params = await self._store.read(self._question)
        except StoreUnavailable:  # nothing can be said: whatever hangs will time out again
            return True
        try:
            await client.call(method, params, timeout_s=PROBE_TIMEOUT_S)
        except RequestRefused:
            return True
        except LanguageServerError:
            return False
        return True

    def _question(self, reader: Reader) -> tuple[str, dict[str, object]]:
        canary: Canary | None = reader.canary(self._lane)
        path = canary.path if canary else reader.file_with_symbols(self._lane)
        document = {"uri": path_to_uri(self._root / (path or ""))}
        if canary is None:
            return TEXT_DOCUMENT_DOCUMENT_SYMBOL, {"textDocument": document}
        position = {"line": canary.line, "character": canary.column}
        return TEXT_DOCUMENT_DEFINITION, {"textDocument": document, "position": position}
