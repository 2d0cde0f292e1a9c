"""The ports of the daemon, each made to fail at one call: store, server, files, parsers."""

from __future__ import annotations

import asyncio
import builtins
import errno
import functools
import io
import os
import signal
import sqlite3
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import pytest
from tests.integration.enrich.oracle import Oracle
from tests.servers.fake_process import SILENCE, FakeServer, Refusal

from enrichd.errors import EnrichdError
from enrichd.index.parse import ParseRequest, parse_file
from enrichd.index.pool import ParserPool, _Worker
from enrichd_tracker.errors import StorageError, StoreUnavailable
from enrichd_tracker.model import ParsedFile
from enrichd_tracker.store.thread import Thread

MINE: ContextVar[bool] = ContextVar("MINE", default=False)
"""Whether it is the test itself that calls."""


Patch = pytest.MonkeyPatch
Install = Callable[["Fault", Oracle, Patch], None]


class Fault:
    """Strikes once, at the call of this number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.calls = 0
        self.armed = False

    def strikes(self) -> bool:
        """One call more; whether it is the one to fail."""
        if not self.armed or MINE.get():
            return False
        self.calls += 1
        return self.calls == self.number


@contextmanager
def by_the_test() -> Iterator[None]:
    token = MINE.set(True)
    try:
        yield
    finally:
        MINE.reset(token)


def store_call(error: StorageError) -> Install:
    def install(fault: Fault, _: Oracle, patch: Patch) -> None:
        run = Thread.run

        async def faulty(self: Thread, function: Any, *args: Any, **kwargs: Any) -> Any:
            if fault.strikes():
                raise error
            return await run(self, function, *args, **kwargs)

        patch.setattr(Thread, "run", faulty)

    return install


def statement(code: int) -> Install:
    """SQLite refuses a statement, also in the middle of a transaction and at its end."""

    def install(fault: Fault, _: Oracle, patch: Patch) -> None:
        class Faulty(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if not sql.startswith("ROLLBACK") and fault.strikes():
                    raise refusal(code)
                return super().execute(sql, *values)

            def executemany(self, sql: str, *values: Any) -> sqlite3.Cursor:
                if fault.strikes():
                    raise refusal(code)
                return super().executemany(sql, *values)

        patch.setattr(sqlite3, "connect", functools.partial(sqlite3.connect, factory=Faulty))

    return install


def refusal(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("as it was told to")
    error.sqlite_errorcode = code
    return error


def answer(how: Callable[[FakeServer], object]) -> Install:
    """What a server does in place of answering."""

    def install(fault: Fault, oracle: Oracle, _: Patch) -> None:
        def behave(request: dict[str, Any]) -> object:
            if fault.strikes():
                return how(oracle.server)
            with by_the_test():
                return oracle(request)

        oracle.spawn.behave = behave

    return install


def refused(_: FakeServer) -> object:
    raise Refusal(-32803)


def nothing(_: FakeServer) -> object:
    return SILENCE


def dies(server: FakeServer) -> object:
    server.die()
    return SILENCE


def garbage(server: FakeServer) -> object:
    server.say_bytes(b'Content-Length: 7\r\n\r\n{"id": ')
    return SILENCE


def start_of_a_server(fault: Fault, oracle: Oracle, patch: Patch) -> None:
    answer(refused)(fault, oracle, patch)
    oracle.spawn.behave = unfaulty(oracle)

    def on_start(server: FakeServer) -> None:
        server.cannot_start = fault.strikes()

    oracle.spawn.on_start = on_start


def unfaulty(oracle: Oracle) -> Callable[[dict[str, Any]], object]:
    def behave(request: dict[str, Any]) -> object:
        with by_the_test():
            return oracle(request)

    return behave


def file_access(fault: Fault, oracle: Oracle, patch: Patch) -> None:
    """Whatever the daemon asks the system about a file of the workspace."""
    oracle.spawn.behave = unfaulty(oracle)
    root = str(oracle.house.root)

    def faulty(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **kwargs: Any) -> Any:
            inside = isinstance(path, str | os.PathLike) and os.fspath(path).startswith(root)
            if inside and fault.strikes():
                raise OSError(errno.EIO, os.strerror(errno.EIO), os.fspath(path))
            return function(path, *args, **kwargs)

        return call

    for place, name in (
        (os, "stat"),
        (os, "lstat"),
        (os, "open"),
        (os, "scandir"),
        (os, "listdir"),
        (os, "readlink"),
        (io, "open"),
        (builtins, "open"),
    ):
        patch.setattr(place, name, faulty(getattr(place, name)))


def parser_start(fault: Fault, oracle: Oracle, patch: Patch) -> None:
    """There is no room for one more process."""
    real_parsers(oracle, patch)
    start = _Worker.start

    async def faulty(command: Sequence[str]) -> _Worker:
        if fault.strikes():
            raise EnrichdError("the process that parses files can't be started")
        return await start(command)

    patch.setattr(_Worker, "start", faulty)


def parser_answer(fault: Fault, oracle: Oracle, patch: Patch) -> None:
    """The process is killed instead of answering."""
    real_parsers(oracle, patch)
    receive = _Worker.receive

    async def faulty(self: _Worker) -> bytes:
        if fault.strikes():
            os.kill(self._process.pid, signal.SIGKILL)
        return await receive(self)

    patch.setattr(_Worker, "receive", faulty)


def real_parsers(oracle: Oracle, patch: Patch) -> None:
    patch.setattr("enrichd.index.run.ParserPool", ParserPool)


class ParserHere:
    """The parsers' pool without processes, which would be most of the time that a run takes."""

    def __init__(self, processes: int) -> None:
        self._processes = processes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def parse(
        self, requests: Sequence[ParseRequest]
    ) -> AsyncGenerator[list[ParsedFile], None]:
        for request in requests:
            yield [await asyncio.to_thread(parse_file, request)]


PORTS: dict[str, Install] = {
    "store: unavailable": store_call(StoreUnavailable("the disk is full")),
    "store: a mistake": store_call(StorageError("no such table")),
    "store: a statement of it": statement(sqlite3.SQLITE_IOERR),
    "server: an error": answer(refused),
    "server: no answer": answer(nothing),
    "server: its death": answer(dies),
    "server: garbage": answer(garbage),
    "server: no process": start_of_a_server,
    "files: a bad disk": file_access,
    "parser: no process": parser_start,
    "parser: its death": parser_answer,
}
REAL_PARSERS = (parser_start, parser_answer)
