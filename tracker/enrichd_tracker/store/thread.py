"""The thread that a connection of the daemon lives on; apart, so that the commands start fast."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import aiosqlite

from enrichd_tracker.errors import StoreDamaged
from enrichd_tracker.store.connection import suspicion, translate

P = ParamSpec("P")
T = TypeVar("T")


class Thread:
    """One connection on a thread of its own; functions are run on it whole, one after another.

    A caller that is cancelled while its function runs does not stop it: what was begun is
    committed or rolled back, never left open.
    """

    def __init__(self, connection: aiosqlite.Connection, database: Path) -> None:
        self._connection = connection
        self._database = database

    @classmethod
    async def start(cls, connector: Callable[[], sqlite3.Connection], database: Path) -> Thread:
        """Open the connection on a new thread."""
        connection = aiosqlite.Connection(connector, iter_chunk_size=64)
        try:
            return cls(await connection, database)
        except BaseException:
            # It is about to end and tells the loop so: the loop must still be there then.
            connection._thread.join()
            raise

    async def run(
        self,
        function: Callable[Concatenate[sqlite3.Connection, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run ``function`` with the connection on its thread."""
        call = partial(function, self._raw(), *args, **kwargs)
        try:
            # aiosqlite has no public name for "run this on your thread".
            result: T = await self._connection._execute(call)  # type: ignore[no-untyped-call]
        except sqlite3.Error as error:
            meaning = translate(error, self._database)
            if isinstance(meaning, StoreDamaged):
                with suppress(OSError):
                    suspicion(self._database).touch()
            raise meaning from error
        return result

    def _raw(self) -> sqlite3.Connection:
        return self._connection._conn

    async def close(self) -> None:
        """Finish what is queued, then close."""
        await self._connection.close()
