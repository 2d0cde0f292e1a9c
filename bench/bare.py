"""A language server and as little as one can do with it: frames out, frames counted."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import msgspec

from bench.recording import Message, Notice, Question
from enrichd.lsp.profiles import Profile, find_command, server_environment
from enrichd.lsp.python_environment import adapt

_PATIENCE_S = 600.0


class Incoming(msgspec.Struct):
    """What is looked at in what is no answer to a question."""

    id: Any = None
    method: str = ""
    params: Any = None


class BareClient(asyncio.SubprocessProtocol):
    """Starts a server as enrichd would, asks what it is given, and throws the answers away."""

    def __init__(self, profile: Profile, root: Path) -> None:
        self._profile = adapt(profile, root)
        self._root = root
        self._rest = b""
        self._left: deque[bytes] = deque()
        self._in_flight = 0
        self._ended = asyncio.Event()
        self._done = asyncio.get_running_loop().create_future()
        self._process: asyncio.SubprocessTransport
        self._input: asyncio.WriteTransport

    async def __aenter__(self) -> Self:
        command = find_command(self._profile)
        assert command is not None, f"{self._profile.name} is not installed"
        loop = asyncio.get_running_loop()
        self._process, _ = await loop.subprocess_exec(
            lambda: self,
            *command,
            cwd=self._root,
            env=server_environment(self._profile),
            stderr=subprocess.DEVNULL,
        )
        pipe = self._process.get_pipe_transport(0)
        assert isinstance(pipe, asyncio.WriteTransport)
        self._input = pipe
        uri = self._root.as_uri()
        hello = {
            "processId": None,
            "rootUri": uri,
            "workspaceFolders": [{"uri": uri, "name": self._root.name}],
            "capabilities": {
                "general": {"positionEncodings": ["utf-8"]},
                "workspace": {
                    "configuration": True,
                    "workspaceFolders": True,
                    "didChangeWatchedFiles": {"dynamicRegistration": True},
                },
            },
        }
        await self._answered([_encode("initialize", hello, number=0)])
        self._input.write(_encode("initialized", {}))
        return self

    async def __aexit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._ended.wait()
        self._process.close()

    async def play(self, messages: Iterable[Message]) -> float:
        """Seconds until the last question is answered; as many are in flight as enrichd has."""
        started = time.perf_counter()
        # Told at once, as enrichd does, between the questions before it and those after it.
        frames: list[bytes] = []
        for number, message in enumerate(messages, start=1):
            match message:
                case Notice(method, params):
                    await self._answered(frames)
                    frames = []
                    self._input.write(_encode(method, params))
                case Question(uri, line, character):
                    frames.append(
                        _frame(
                            b'{"jsonrpc":"2.0","id":%d,"method":"textDocument/definition","params":'
                            b'{"textDocument":{"uri":%b},"position":{"line":%d,"character":%d}}}'
                            % (number, uri, line, character)
                        )
                    )
        await self._answered(frames)
        return time.perf_counter() - started

    async def _answered(self, frames: list[bytes]) -> None:
        if not frames:
            return
        self._done = asyncio.get_running_loop().create_future()
        self._left = deque(frames)
        self._send()
        async with asyncio.timeout(_PATIENCE_S):
            await self._done

    def _send(self) -> None:
        out = []
        while self._in_flight < self._profile.window and self._left:
            out.append(self._left.popleft())
            self._in_flight += 1
        if out:
            self._input.write(b"".join(out))
        elif not self._in_flight and not self._done.done():
            self._done.set_result(None)

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        data = self._rest + data
        at = answers = 0
        while (head := data.find(b"\r\n\r\n", at)) >= 0:
            body = head + 4
            end = body + int(data[data.rindex(b":", at, head) + 1 : head])
            if len(data) < end:
                break
            if data.find(b'"method":', body, min(end, body + 200)) < 0:
                answers += 1
            else:
                self._oblige(data[body:end])
            at = end
        self._rest = data[at:]
        if answers:
            self._in_flight -= answers
            self._send()

    def _oblige(self, body: bytes) -> None:
        """A server that is not answered may wait for ever."""
        asked = msgspec.json.decode(body, type=Incoming)
        if asked.id is None:
            return
        result = None
        if asked.method == "workspace/configuration":
            result = [self._profile.settings.get(each["section"]) for each in asked.params["items"]]
        self._input.write(
            _frame(msgspec.json.encode({"jsonrpc": "2.0", "id": asked.id, "result": result}))
        )

    def process_exited(self) -> None:
        self._ended.set()
        if not self._done.done():
            self._done.set_exception(RuntimeError("the bare server has ended"))


def _encode(method: str, params: object, number: int | None = None) -> bytes:
    message: dict[str, object] = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        message["id"] = number
    return _frame(msgspec.json.encode(message))


def _frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
