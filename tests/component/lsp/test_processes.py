from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.figures import Reached

from enrichd.clock import SystemClock, within
from enrichd.lsp.client import Client
from enrichd.lsp.errors import ServerEnded
from enrichd.lsp.hello import initialize_params
from enrichd.lsp.life import Life
from enrichd.lsp.manners import Manners
from enrichd.lsp.process import ServerProcess
from enrichd.lsp.profiles import merge
from enrichd.lsp.wire import Answered, Died, Ending, Refused, Reply, Target, TimedOut

RAW = str(Path(__file__).parents[2] / "servers" / "raw_server.py")
DEFINITION = "textDocument/definition"
URI = b'"file:///a.py"'
CLOCK = SystemClock()


class Connection:
    """A real process that misbehaves as its modes say, and a client on it."""

    def __init__(self, root: Path, *modes: str, request_timeout_s: float = 5.0) -> None:
        self.root = root
        command = [sys.executable, RAW, *modes]
        environment = dict(os.environ)
        self.process = ServerProcess(command, cwd=root, environment=environment, clock=CLOCK)
        self.client = Client(
            self.process,
            manners=Manners({"raw": {"depth": 7}}, "file:///root", "root"),
            clock=CLOCK,
            request_timeout_s=request_timeout_s,
        )

    async def start(self) -> None:
        await self.process.start()
        params = initialize_params(self.root, {})
        await self.client.call("initialize", params, timeout_s=10.0)
        self.client.notify("initialized", {})

    async def ask(self) -> Reply[list[Target]]:
        (reply,) = await self.ask_many(1)
        return reply

    async def ask_many(self, count: int) -> list[Reply[list[Target]]]:
        replies: list[Reply[list[Target]]] = []
        done = asyncio.Event()

        def take(reply: Reply[list[Target]]) -> None:
            replies.append(reply)
            if len(replies) == count:
                done.set()

        for line in range(count):
            self.client.ask_position(DEFINITION, URI, line, 0, take)
        await within(CLOCK, 20.0, done.wait())
        return replies

    async def end(self) -> None:
        await self.process.kill()
        await self.client.aclose()


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Callable[..., Connection]]:
    made: list[Connection] = []

    def make(*modes: str, request_timeout_s: float = 5.0) -> Connection:
        made.append(Connection(tmp_path, *modes, request_timeout_s=request_timeout_s))
        return made[-1]

    yield make
    for connection in made:
        await connection.end()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def gone(pid: int, within_s: float) -> bool:
    for _ in range(int(within_s / 0.01)):
        if not alive(pid):
            return True
        await asyncio.sleep(0.01)
    return False


ODD = {
    "lower-case": "headers in lower case, and more than one",
    "dribbles": "byte by byte",
    "unknown-ids": "unknown ids before each right one",
    "twice": "each id twice",
}


@pytest.mark.parametrize(
    "mode",
    [
        pytest.param("plain", marks=pytest.mark.fault(5, "nothing odd at all, for comparison")),
        *(pytest.param(mode, marks=pytest.mark.fault(5, what)) for mode, what in ODD.items()),
    ],
)
async def test_odd_but_right_servers_are_understood(
    connect: Callable[..., Connection], reached: Reached, mode: str
) -> None:
    server = connect(mode)
    await server.start()
    right = Answered([Target("file:///a.py", 0, 0)])
    replies = await server.ask_many(3)
    reached("answers that were not understood", sum(each != right for each in replies), 0, times=3)
    await server.client.call("a/ping", {}, timeout_s=5.0)
    assert server.client.unknown_answers == (4 if mode == "unknown-ids" else 0)
    assert (server.client.late_answers >= 3) == (mode == "twice")


GARBAGE = [
    ("bad-json", Ending.GARBLED, "not JSON-RPC", "JSON that breaks off"),
    ("truncated", Ending.CRASHED, "in the middle of a message", "half a message, then its end"),
    ("gigabyte", Ending.GARBLED, "1073741824", "a gigabyte is declared"),
    ("noise-later", Ending.GARBLED, "Traceback", "noise on stdout"),
    ("eof", Ending.CRASHED, "closed its stdout", "the end of file from a living process"),
    ("dies", Ending.CRASHED, "status 3", "its end"),
]


@pytest.mark.parametrize(
    ("mode", "ending", "said"),
    [
        pytest.param(mode, ending, said, marks=pytest.mark.fault(5, f"{what}: a typed error"))
        for mode, ending, said, what in GARBAGE
    ],
)
async def test_garbage_and_ends_are_told_to_every_request_at_once(
    connect: Callable[..., Connection], reached: Reached, mode: str, ending: Ending, said: str
) -> None:
    server = connect(mode)
    await server.start()
    asked_at = time.monotonic()
    replies = await server.ask_many(8)
    reached("until every request has ended", time.monotonic() - asked_at, 1.0, "s", times=8)
    assert {type(reply) for reply in replies} == {Died}
    for reply in replies:
        assert isinstance(reply, Died)
        assert reply.ending is ending
        assert said in reply.reason


@pytest.mark.parametrize(
    ("mode", "said"), [("noise", "Welcome to the raw server"), ("exits", "status 3")]
)
async def test_a_server_that_never_begins_is_a_typed_error(
    connect: Callable[..., Connection], mode: str, said: str
) -> None:
    server = connect(mode)
    with pytest.raises(ServerEnded, match=said):
        await server.start()


async def test_a_command_that_cannot_be_run_says_so(tmp_path: Path) -> None:
    process = ServerProcess(
        [str(tmp_path / "nothing-here")], cwd=tmp_path, environment={}, clock=CLOCK
    )
    await process.start()
    assert await process.wait() == 127
    await process.kill()
    assert process.stderr_tail() == [
        f"cannot run {tmp_path / 'nothing-here'}: No such file or directory"
    ]


async def test_a_folder_that_is_gone_is_a_typed_error(tmp_path: Path) -> None:
    process = ServerProcess(["true"], cwd=tmp_path / "gone", environment={}, clock=CLOCK)
    with pytest.raises(ServerEnded, match="cannot start"):
        await process.start()
    await process.kill()


async def test_ten_megabytes_of_stderr_block_nobody_and_only_the_last_lines_stay(
    connect: Callable[..., Connection],
) -> None:
    server = connect("stderr")
    await server.start()
    assert isinstance(await server.ask(), Answered)
    tail = server.process.stderr_tail()
    assert len(tail) == 50
    assert sum(map(len, tail)) <= 16 * 1024


async def test_string_ids_are_dropped_and_the_request_still_ends_in_time(
    connect: Callable[..., Connection],
) -> None:
    server = connect("string-ids", request_timeout_s=0.3)
    await server.start()
    assert await server.ask() == TimedOut()
    assert server.client.unknown_answers == 1


@pytest.mark.fault(4, "a request is never answered, and cancelled")
async def test_a_request_ends_within_its_timeout_and_100_ms_and_is_cancelled(
    connect: Callable[..., Connection], reached: Reached, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    server = connect("silent", f"trace={trace}", request_timeout_s=0.4)
    await server.start()
    asked_at = time.monotonic()
    assert await server.ask() == TimedOut()
    late_s = time.monotonic() - asked_at - 0.4
    assert late_s >= 0
    reached("it ends after its time-out", late_s, 0.1, "s")
    await server.client.goodbye(2.0)
    assert await server.process.wait() == 0
    words = trace.read_text().splitlines()
    assert words == [
        "initialize",
        "initialized",
        DEFINITION,
        "$/cancelRequest 1",
        "shutdown",
        "exit",
    ]


async def test_a_late_answer_is_counted_and_harms_no_later_request(
    connect: Callable[..., Connection],
) -> None:
    server = connect("late", request_timeout_s=0.2)
    await server.start()
    assert await server.ask() == TimedOut()
    await asyncio.sleep(0.5)
    assert server.client.late_answers == 1
    assert server.client.death is None


async def test_everything_that_a_server_asks_is_answered(
    connect: Callable[..., Connection],
) -> None:
    server = connect("asks")
    await server.start()
    for _ in range(500):
        if len(server.client.manners.log) == 10:
            break
        await asyncio.sleep(0.01)
    assert list(server.client.manners.log) == [
        '{"id": 1, "result": [7, null]}',
        '{"id": "two", "result": null}',
        '{"id": 3, "result": null}',
        '{"id": 4, "result": null}',
        '{"id": 5, "result": [{"uri": "file:///root", "name": "root"}]}',
        '{"id": 6, "result": null}',
        '{"id": 7, "result": {"applied": false}}',
        '{"id": 8, "result": {"success": false}}',
        '{"id": 9, "error": {"code": -32601, "message": "enrichd does not know never/heard"}}',
        (
            '{"id": 10, "error": {"code": -32602,'
            ' "message": "Expected `array`, got `int` - at `$.items`"}}'
        ),
    ]


async def test_a_server_that_does_not_read_blocks_nobody(
    connect: Callable[..., Connection],
) -> None:
    server = connect("deaf", request_timeout_s=0.5)
    await server.start()
    for _ in range(100):
        server.client.notify("a/blob", {"text": "x" * 100_000})
    assert await server.ask() == TimedOut()


async def test_killed_at_random_points_requests_end_within_250_ms(
    connect: Callable[..., Connection],
) -> None:
    chance = random.Random(11)
    for round_ in range(25):
        server = connect("stderr" if round_ % 2 else "late")
        await server.start()
        asked = asyncio.ensure_future(server.ask_many(8))
        await asyncio.sleep(chance.uniform(0.0, 0.05))
        killed_at = time.monotonic()
        os.kill(server.process.pid, signal.SIGKILL)
        replies = await asked
        assert time.monotonic() - killed_at < 0.25
        assert len(replies) == 8
        assert {type(reply) for reply in replies} <= {Died, Answered}
        await server.end()


async def test_the_kill_ladder_ends_even_a_stubborn_server(
    connect: Callable[..., Connection],
) -> None:
    server = connect("stubborn")
    await server.start()
    await server.client.goodbye(1.0)
    started = time.monotonic()
    await server.process.stop(0.2)
    assert time.monotonic() - started < 1.5
    assert server.process.returncode == -signal.SIGKILL
    assert not alive(server.process.pid)


async def test_a_polite_server_is_never_killed(connect: Callable[..., Connection]) -> None:
    server = connect()
    await server.start()
    await server.client.goodbye(2.0)
    await server.process.stop(5.0)
    assert server.process.returncode == 0


@pytest.mark.parametrize("signal_first", [True, False])
async def test_grandchildren_that_hold_the_pipes_do_not_survive(
    connect: Callable[..., Connection], signal_first: bool
) -> None:
    server = connect("child")
    await server.start()
    child = int(server.process.stderr_tail()[0])
    assert alive(child)
    if signal_first:
        os.kill(server.process.pid, signal.SIGKILL)
        await server.process.wait()
    await server.end()
    assert await gone(child, 1.0)


async def test_no_server_outlives_a_killed_daemon_by_a_second(tmp_path: Path) -> None:
    daemon = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from enrichd.clock import SystemClock\n"
        "from enrichd.lsp.process import ServerProcess\n"
        "async def main():\n"
        "    process = ServerProcess([sys.executable, *sys.argv[1:]], cwd=Path('.'),\n"
        "        environment=dict(os.environ), clock=SystemClock())\n"
        "    await process.start()\n"
        "    print(process.pid, flush=True)\n"
        "    await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen(  # noqa: ASYNC220 - it only has to be there
        [sys.executable, "-c", daemon, RAW, "stubborn"],
        stdout=subprocess.PIPE,
        cwd=tmp_path,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.kill()
        parent.wait()
        assert await gone(pid, 1.0)


async def test_memory_is_counted_with_the_children(tmp_path: Path) -> None:
    life = Life(
        [sys.executable, RAW, "child"],
        merge(None, {"name": "raw", "languages": ["python"], "command": ["raw"]}),
        tmp_path,
        clock=CLOCK,
        request_timeout_s=5.0,
        observe=None,
        spawn=ServerProcess,
    )
    await life.begin()
    assert life.process.rss_bytes() > 5_000_000
    await life.end(politely=True)
    assert life.process.rss_bytes() == 0


HOLDER = "held = b'z' * 40_000_000; print(flush=True); import sys; sys.stdin.read()"
PARENT = """
import subprocess, sys, threading

def hold(**how):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], **pipes, **how)
    child.stdout.readline()
    print("it holds its part", file=sys.stderr, flush=True)
    child.wait()

threading.Thread(target=hold, daemon=True).start()
hold(start_new_session=sys.argv[2] == "foreign")
"""


@pytest.mark.parametrize(("second", "least"), [("own", 80_000_000), ("foreign", 40_000_000)])
async def test_memory_is_that_of_the_session_whatever_thread_started_a_child(
    tmp_path: Path, second: str, least: int
) -> None:
    command = [sys.executable, "-c", PARENT, HOLDER, second]
    process = ServerProcess(command, cwd=tmp_path, environment=dict(os.environ), clock=CLOCK)
    await process.start()
    for _ in range(2000):
        if len(process.stderr_tail()) == 2:
            break
        await asyncio.sleep(0.01)
    found = process.rss_bytes()
    await process.kill()
    assert least < found < least + 40_000_000
    assert process.rss_bytes() == 0


async def test_an_error_answer_is_refused_with_its_code(
    connect: Callable[..., Connection],
) -> None:
    server = connect()
    await server.start()
    replies: list[object] = []
    server.client.request("a/b", {"textDocument": {"uri": 5}}, replies.append)
    reply = await server.ask()
    assert isinstance(reply, Answered | Refused)
    assert len(replies) == 1
