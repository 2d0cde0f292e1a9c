"""Parsing in worker processes: all cores busy, and a file that kills its worker costs itself alone.

The processes are this package's own (worker.py), spoken to over pipes, rather than those of
``concurrent.futures``: after a crash the files that are not done are handed out one by one, so
that it is known which one it was, and no thread takes part.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from enrichd.child_process import ChildDied, ChildProcess
from enrichd.file_stat import stat_of
from enrichd.index.parse import NOT_READ, ParseRequest, failed
from enrichd_tracker.model import ErrorType, Failure, ParsedFile, Stage

WORKER = (sys.executable, "-P", "-m", "enrichd.index.worker")
"""The command of a worker; ``-P`` keeps modules of the current folder out of it."""
_CHUNK_FILES = 32
_MOST_CHUNK_FILES = 128
_CHUNKS = 16
"""A run has as many at least, where its chunks are not the smallest already."""
_CHUNK_BYTES = 256 * 1024
_FEW_FILES = 40
_FEW_BYTES = 1024 * 1024
_BATCHES_WAITING = 8  # for whoever reads the results
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(ParsedFile)


class ParserPool:
    """Worker processes that are started when first needed and kept until the pool is closed."""

    def __init__(self, processes: int = 0, *, command: Sequence[str] = WORKER) -> None:
        """``processes``: 0 for one a core that this process may use."""
        self._command = command
        self._workers: list[_Worker | None] = [None] * (processes or len(os.sched_getaffinity(0)))
        self._one_run = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End all workers."""
        workers = [worker for worker in self._workers if worker is not None]
        self._workers = [None] * len(self._workers)
        await asyncio.gather(*(worker.end() for worker in workers))

    async def parse(
        self, requests: Sequence[ParseRequest]
    ) -> AsyncGenerator[list[ParsedFile], None]:
        """Yield a result for each request, in batches, in no particular order.

        Leave it early only through ``contextlib.aclosing``. Raises EnrichdError when workers
        can't be started at all.
        """
        async with self._one_run:
            run = _Run(requests)
            service = asyncio.create_task(self._serve_all(run), name="parser-pool")
            try:
                while (batch := await run.results.get()) is not None:
                    run.room.release()
                    yield [_DECODER.decode(each) for each in batch]
                await service
            finally:
                service.cancel()
                await asyncio.gather(service, return_exceptions=True)
                await self._drop_the_busy()

    async def _serve_all(self, run: _Run) -> None:
        count = min(len(self._workers), run.worth_workers())
        try:
            async with asyncio.TaskGroup() as group:
                for place in range(count):
                    group.create_task(self._serve(run, place), name=f"parser-{place}")
        except ExceptionGroup as problems:
            raise problems.exceptions[0] from None
        finally:
            run.results.put_nowait(None)

    async def _serve(self, run: _Run, place: int) -> None:
        """Keep one worker busy, and put another in its place when it dies."""
        while run.work_is_left():
            worker = self._workers[place]
            if worker is None:
                worker = self._workers[place] = await _Worker.start(self._command)
            try:
                await _feed(worker, run)
            except ChildDied as death:
                self._workers[place] = None
                await worker.end()
                await run.bury(worker, death)

    async def _drop_the_busy(self) -> None:
        """End workers that a run was broken off on: their answers are no longer wanted."""
        for place, worker in enumerate(self._workers):
            if worker is not None and worker.outstanding:
                self._workers[place] = None
                await worker.end()


async def _feed(worker: _Worker, run: _Run) -> None:
    """Let the worker do what there is to do; raises ChildDied, with all its results given."""
    batch: list[bytes] = []
    while True:
        while len(worker.outstanding) <= run.chunk_files and (chunk := run.take()):
            worker.send(chunk)
        if not worker.outstanding or len(batch) >= run.chunk_files:
            await run.give(batch)
            batch = []
        if not worker.outstanding:
            return
        try:
            batch.append(await worker.receive())
        except ChildDied:
            await run.give(batch)
            raise


class _Run:
    """One call of ``parse``: what is still to do, and what is done."""

    def __init__(self, requests: Sequence[ParseRequest]) -> None:
        self._todo = deque(requests)
        self.chunk_files = min(max(_CHUNK_FILES, len(requests) // _CHUNKS), _MOST_CHUNK_FILES)
        self._alone: set[str] = set()  # a worker died on one of them: who is it?
        self._few = len(requests) < _FEW_FILES and sum(r.size for r in requests) < _FEW_BYTES
        self.results: asyncio.Queue[list[bytes] | None] = asyncio.Queue()
        """Packed, which takes a fifth of the memory, till somebody wants to read them."""
        self.room = asyncio.Semaphore(_BATCHES_WAITING)

    def worth_workers(self) -> int:
        """How many workers can be of use: for a few files a second one costs more than it gives."""
        if self._few:
            return min(1, len(self._todo))
        return -(-len(self._todo) // _CHUNK_FILES)

    def work_is_left(self) -> bool:
        return bool(self._todo)

    def take(self) -> list[ParseRequest]:
        """The next requests for one worker; none when there are no more."""
        chunk: list[ParseRequest] = []
        size = 0
        while self._todo and len(chunk) < self.chunk_files and size < _CHUNK_BYTES:
            if self._todo[0].path in self._alone and chunk:
                break
            chunk.append(self._todo.popleft())
            size += chunk[-1].size
            if chunk[0].path in self._alone:
                break
        return chunk

    async def give(self, batch: list[bytes]) -> None:
        """Hand over results, once there is room for them."""
        if not batch:
            return
        await self.room.acquire()
        self.results.put_nowait(batch)

    async def bury(self, worker: _Worker, death: ChildDied) -> None:
        """Have done again what a dead worker left undone, but for a file that it died on alone."""
        left = worker.outstanding
        if left and left[0].path in self._alone:
            await self.give([_ENCODER.encode(_killer(left.popleft(), death))])
        self._alone.update(request.path for request in left)
        self._todo.extendleft(reversed(left))
        left.clear()


def _killer(request: ParseRequest, death: ChildDied) -> ParsedFile:
    """The result for a file that kills; its stat lets it alone until it changes."""
    message = f"the parser's process {death} on this file"
    found = stat_of(Path(request.root, request.path)) or NOT_READ
    return failed(request, Failure(ErrorType.UNEXPECTED, Stage.PARSING, message), found)


class _Worker:
    """One worker process and what it was asked."""

    def __init__(self, process: ChildProcess) -> None:
        self._process = process
        self.outstanding: deque[ParseRequest] = deque()
        """Asked and not answered, in order; what the process is at is among them."""

    @classmethod
    async def start(cls, command: Sequence[str]) -> Self:
        """Start a process and wait until it is ready."""
        return cls(await ChildProcess.start(command, "parses files", ChildProcess.receive))

    def send(self, chunk: list[ParseRequest]) -> None:
        """Ask for these."""
        self._process.send(_ENCODER.encode(chunk))
        self.outstanding.extend(chunk)

    async def receive(self) -> bytes:
        """The answer to the first outstanding request; raises ChildDied."""
        parsed = await self._process.receive()
        self.outstanding.popleft()
        return parsed

    async def end(self) -> None:
        """End the process."""
        await self._process.end()
