"""Enriching against a bare client that sends the same requests and throws the answers away.

The requests are those of an enriching run, recorded; the bare client sends them in the same order
with as many in flight, to the same server, and only counts frames.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

from bench.figures import Figure
from enrichd.config import load
from enrichd.lsp.client import Client
from enrichd.lsp.profiles import BUILT_IN, find_command
from enrichd.once import run_index
from enrichd.report import IndexReport, NoProgress

_PROFILE = BUILT_IN["ty"]
_PATIENCE_S = 300.0


def measure(repo: Path, pairs: int) -> list[Figure]:
    """Wall time of enriching, from symbols stored to settled, in bare clients."""
    requests = _record(repo)
    mine, bare = [], []
    for _ in range(pairs):
        mine.append(_index(repo).enrich_seconds)
        bare.append(asyncio.run(_bare(repo, requests)))
    ratio = statistics.median(mine) / statistics.median(bare)
    note = f"{len(requests)} requests, {statistics.median(bare):.2f} s bare"
    return [Figure("limit", "enriching / a bare client with the same requests", ratio, 1.3, note)]


def _index(repo: Path) -> IndexReport:
    with tempfile.TemporaryDirectory() as scratch:
        config = load(None, dict(os.environ), {"daemon.database": Path(scratch) / "graph.db"})
        return run_index(config, repo, enrich=True, timeout_s=None, progress=NoProgress())


def _record(repo: Path) -> list[tuple[bytes, int, int]]:
    """Every question of a run, in its order."""
    asked: list[tuple[bytes, int, int]] = []
    original = Client.ask_position

    def recording(
        self: Client, method: str, uri: bytes, line: int, character: int, on_reply: object
    ) -> int:
        asked.append((uri, line, character))
        return original(self, method, uri, line, character, on_reply)  # type: ignore[arg-type]

    Client.ask_position = recording  # type: ignore[method-assign, assignment]
    try:
        _index(repo)
    finally:
        Client.ask_position = original  # type: ignore[method-assign]
    return asked


async def _bare(repo: Path, requests: list[tuple[bytes, int, int]]) -> float:
    command = find_command(_PROFILE)
    assert command is not None, "ty is not installed"
    started = time.perf_counter()
    loop = asyncio.get_running_loop()
    protocol = _Bare(requests, loop.create_future())
    transport, _ = await loop.subprocess_exec(
        lambda: protocol, *command, cwd=repo, stderr=subprocess.DEVNULL
    )
    protocol.begin(transport.get_pipe_transport(0), repo.as_uri())  # type: ignore[arg-type]
    async with asyncio.timeout(_PATIENCE_S):
        await protocol.done
    elapsed = time.perf_counter() - started
    transport.kill()
    transport.close()
    return elapsed


class _Bare(asyncio.SubprocessProtocol):
    """As little as one can do: frames out, frames counted."""

    def __init__(self, requests: list[tuple[bytes, int, int]], done: asyncio.Future[None]) -> None:
        self.done = done
        self._frames = [
            _frame(
                b'{"jsonrpc":"2.0","id":%d,"method":"textDocument/definition","params":{'
                b'"textDocument":{"uri":%b},"position":{"line":%d,"character":%d}}}'
                % (number, *request)
            )
            for number, request in enumerate(requests, start=1)
        ]
        self._frames.reverse()
        self._waiting = 0
        self._buffer = b""
        self._input: asyncio.WriteTransport

    def begin(self, transport: asyncio.WriteTransport, root: str) -> None:
        self._input = transport
        capabilities = b'{"general":{"positionEncodings":["utf-8"]}}'
        transport.write(
            _frame(
                b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"processId":null,'
                b'"rootUri":"%b","workspaceFolders":[{"uri":"%b","name":"x"}],"capabilities":%b}}'
                % (root.encode(), root.encode(), capabilities)
            )
        )

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        self._buffer += data
        answers = 0
        while (head := self._buffer.find(b"\r\n\r\n")) >= 0:
            end = head + 4 + int(self._buffer[:head].rpartition(b":")[2])
            if len(self._buffer) < end:
                break
            body, self._buffer = self._buffer[head + 4 : end], self._buffer[end:]
            if b'"method":' not in body[:200]:
                answers += 1
                if b'"capabilities":' in body[:200]:
                    self._input.write(
                        _frame(b'{"jsonrpc":"2.0","method":"initialized","params":{}}')
                    )
                    answers = _PROFILE.window
                    self._waiting = _PROFILE.window
        self._waiting -= answers
        out = []
        while self._waiting < _PROFILE.window and self._frames:
            out.append(self._frames.pop())
            self._waiting += 1
        if out:
            self._input.write(b"".join(out))
        elif not self._waiting and not self.done.done():
            self.done.set_result(None)


def _frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
