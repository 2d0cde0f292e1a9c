from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from enrichd.clock import Clock, FakeClock, SystemClock, within
from enrichd.lsp.documents import ChangeKind
from enrichd.lsp.positions import path_to_uri, path_to_uri_json, to_server
from enrichd.lsp.profiles import BUILT_IN, merge
from enrichd.lsp.readiness import DocumentProbe, Probe
from enrichd.lsp.states import ServerState
from enrichd.lsp.supervisor import Supervisor
from enrichd.lsp.wire import Answered, Died, Ending, Refused, Reply, Target, TimedOut
from enrichd_tracker.model import Canary, Operation

SERVERS = Path(__file__).parents[2] / "servers"
DEFINITION = "textDocument/definition"
CLOCK = SystemClock()

MODULE = """\
'''\U0001f600''' ; from helpers import aid


def first():
    return 1


def second():
    '''ä'''; first(); aid()
"""
CANARY = Canary("pkg/module.py", 8, 14, 3, 4)
WRITTEN = {
    "pkg/__init__.py": "",
    "pkg/module.py": MODULE,
    "helpers.py": "def aid():\n    pass\n",
}


class Project:
    """A small workspace and a supervisor on it.

    With a FakeClock no time passes but in ``until``, and there only while it is not the server's
    turn to do something.
    """

    def __init__(
        self, root: Path, command: list[str], clock: Clock = CLOCK, **changes: Any
    ) -> None:
        self.root = root
        for name, text in WRITTEN.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        self.canary: Probe = CANARY
        timeout_s = changes.pop("request_timeout_s", 5.0)
        self.clock = clock
        self.changed = asyncio.Event()
        self.states: list[ServerState] = []
        self.since: dict[ServerState, float] = {}
        self.supervisor = Supervisor(
            merge(BUILT_IN["ty"], {"command": command, "ready_timeout_s": 10.0, **changes}),
            root,
            clock=clock,
            jitter=random.Random(7).random,
            request_timeout_s=timeout_s,
            canary=self.ask_canary,
            on_change=self.note,
        )
        self.task = asyncio.create_task(self.supervisor.run(), name="supervisor")

    async def ask_canary(self) -> Probe:
        return self.canary

    def note(self, supervisor: Supervisor) -> None:
        self.states.append(supervisor.state)
        self.since[supervisor.state] = time.monotonic()
        self.changed.set()

    async def until(self, state: ServerState) -> None:
        await self.until_true(lambda: self.supervisor.state is state)

    async def until_true(self, condition: Callable[[], bool]) -> None:
        async def wait() -> None:
            while not condition():
                self.changed.clear()
                if isinstance(self.clock, FakeClock):
                    await self.pass_time(self.clock)
                else:
                    await self.changed.wait()

        await within(CLOCK, 20.0, wait())

    async def pass_time(self, clock: FakeClock) -> None:
        await asyncio.sleep(0.002)
        status = self.supervisor.snapshot()
        turn = status.state is ServerState.STARTING or (
            status.state is ServerState.BACKING_OFF and status.pid
        )
        if not turn and not status.in_flight and not self.changed.is_set():
            clock.jump()

    async def ask(self, path: str, line: int, column: int) -> Reply[list[Target]]:
        client = self.supervisor.client
        assert client is not None
        text = (self.root / path).read_bytes().split(b"\n")[line]
        character = to_server(text, column, self.supervisor.encoding)
        answer: asyncio.Future[Reply[list[Target]]] = asyncio.get_running_loop().create_future()
        uri = path_to_uri_json(self.root / path)
        client.ask_position(DEFINITION, uri, line, character, answer.set_result)
        return await answer


@pytest.fixture
async def project(tmp_path: Path) -> AsyncIterator[Callable[..., Project]]:
    made: list[Project] = []

    def make(command: list[str], clock: Clock = CLOCK, **changes: Any) -> Project:
        made.append(Project(tmp_path / "root", command, clock, **changes))
        return made[-1]

    yield make
    for each in made:
        await asyncio.wait_for(each.supervisor.stop(), 20)
        await each.task
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


def pygls(**options: Any) -> list[str]:
    return [sys.executable, str(SERVERS / "pygls_server.py"), json.dumps(options)]


def is_there(pid: int | None) -> bool:
    return Path(f"/proc/{pid}").exists()


def raw(*modes: str) -> list[str]:
    return [sys.executable, str(SERVERS / "raw_server.py"), *modes]


SHAPES = ["links", "locations", "location"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
async def test_right_answers_in_every_encoding_and_shape(
    project: Callable[..., Project], tmp_path: Path, encoding: str
) -> None:
    """The canary's answer has the first shape, and the others come from the living server."""
    live = tmp_path / "live"
    live.write_text(json.dumps({"shape": SHAPES[0]}))
    house = project(pygls(encoding=encoding, live=str(live)))
    await house.until(ServerState.READY)
    assert house.supervisor.encoding == encoding
    for shape in SHAPES:
        live.write_text(json.dumps({"shape": shape}))
        reply = await house.ask("pkg/module.py", 8, 23)
        assert reply == Answered([Target(path_to_uri(house.root / "helpers.py"), 0, 4)]), shape


async def test_empty_then_right_is_ready_only_when_right(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    house = project(pygls(empty_for_requests=6, trace=str(trace)), FakeClock())
    await house.until(ServerState.READY)
    assert trace.read_text().count("\ndefinition ") == 7


async def test_progress_is_waited_for(project: Callable[..., Project]) -> None:
    house = project(pygls(progress_s=0.3), ready="progress")
    await house.until(ServerState.READY)
    assert house.since[ServerState.READY] - house.since[ServerState.WARMING] >= 0.3


@pytest.mark.parametrize(
    "options", [{"fail_with": -32803}, {"empty_for_s": 3600}, {"method_not_found": True}]
)
async def test_errors_and_emptiness_degrade(
    project: Callable[..., Project], options: dict[str, Any]
) -> None:
    house = project(pygls(**options), FakeClock())
    await house.until(ServerState.DEGRADED)
    assert house.supervisor.servable
    assert not house.supervisor.proved
    reply = await house.ask("pkg/module.py", 8, 14)
    assert isinstance(reply, Refused | Answered)


async def test_silence_is_hung(project: Callable[..., Project]) -> None:
    house = project(pygls(silent=True), ready_timeout_s=0.5, request_timeout_s=0.5)
    await house.until(ServerState.BACKING_OFF)
    assert not house.supervisor.servable


async def test_a_server_that_dies_on_a_file_serves_the_others_after_its_return(
    project: Callable[..., Project],
) -> None:
    house = project(pygls(die_on="helpers"), FakeClock())
    await house.until(ServerState.READY)
    reply = await house.ask("helpers.py", 0, 4)
    assert reply == Died("it exited with status 3", Ending.CRASHED)
    await house.until(ServerState.BACKING_OFF)
    await house.until(ServerState.READY)
    assert house.supervisor.epoch == 2
    assert isinstance(await house.ask("pkg/module.py", 8, 14), Answered)


async def test_a_slow_server_times_out_and_is_told_so(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    command = pygls(delay_s=30, only="helpers", trace=str(trace))
    house = project(command, request_timeout_s=0.5)
    await house.until(ServerState.READY)
    assert await house.ask("helpers.py", 0, 4) == TimedOut()
    assert isinstance(await house.ask("pkg/module.py", 8, 14), Answered)
    await house.supervisor.stop()
    words = [line.split()[0] for line in trace.read_text().splitlines()]
    assert words[-1] == "exit"
    assert "shutdown" in words


async def test_documents_are_opened_for_servers_that_need_them(
    project: Callable[..., Project],
) -> None:
    house = project(pygls(needs_open=True), documents="per-file")
    await house.until(ServerState.READY)
    assert await house.ask("pkg/module.py", 8, 14) == Answered([])
    await house.supervisor.open_document("pkg/module.py")
    reply = await house.ask("pkg/module.py", 8, 14)
    assert isinstance(reply, Answered)
    assert len(reply.result) == 1


async def test_what_is_not_declared_is_not_offered_and_an_outline_proves(
    project: Callable[..., Project],
) -> None:
    house = project(pygls(undeclared=True))
    await house.until(ServerState.READY)
    assert not house.supervisor.offers(Operation.DEFINITION)


@pytest.mark.parametrize("mode", ["noise", "exits", "mute", "bad-json", "gigabyte", "eof", "dies"])
async def test_a_server_that_never_works_backs_off(
    project: Callable[..., Project], mode: str
) -> None:
    house = project(raw(mode), ready_timeout_s=0.6)
    await house.until_true(lambda: house.supervisor.snapshot().next_start_in_s is not None)
    status = house.supervisor.snapshot()
    assert status.last_error
    assert status.pid is None
    if mode == "exits":
        assert status.stderr == ["nothing works here"]


async def test_a_server_that_grows_is_started_afresh_again_and_again_at_nobodys_charge(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichd.lsp.life.MEMORY_CHECK_S", 0.02)
    house = project(raw("grows"), max_rss_bytes=100 << 20)
    house.canary = None
    supervisor = house.supervisor
    replies: list[Reply[list[Target]]] = []
    pids: list[int | None] = []
    while len(pids) < 3:
        if supervisor.client is None:
            await house.until(ServerState.READY)
        pid = supervisor.snapshot().pid
        if pid not in pids:
            pids.append(pid)
        replies.append(await house.ask("helpers.py", 0, 0))
    here = Answered([Target(path_to_uri(house.root / "helpers.py"), 0, 0)])
    died = [reply for reply in replies if reply != here]
    assert [(type(each), getattr(each, "ending", None)) for each in died] == [
        (Died, Ending.STOPPED)
    ] * len(died)
    assert ServerState.BACKING_OFF not in house.states
    status = supervisor.snapshot()
    assert (status.restarts, status.restart_reasons) == (2, {"memory": 2})
    assert "100 are allowed" in status.last_error
    assert not any(is_there(pid) for pid in pids[:2])


async def test_a_limit_below_what_a_server_needs_is_its_own_trouble(
    project: Callable[..., Project],
) -> None:
    house = project(raw(), max_rss_bytes=1 << 20)
    house.canary = None
    await house.until(ServerState.BACKING_OFF)
    status = house.supervisor.snapshot()
    assert (status.restarts, status.restart_reasons) == (1, {"memory": 1})
    assert status.last_error.endswith("MiB of memory, 1 are allowed")


async def test_a_person_starts_a_living_server_afresh_politely(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    house = project(pygls(delay_s=30, only="helpers", trace=str(trace)))
    await house.until(ServerState.READY)
    before = house.supervisor.snapshot().pid
    asked = asyncio.create_task(house.ask("helpers.py", 0, 4))
    await asyncio.sleep(0)  # it is sent
    house.supervisor.restart()
    assert await asked == Died("enrichd is ending it", Ending.STOPPED)
    await house.until_true(
        lambda: house.supervisor.proved and house.supervisor.snapshot().pid != before
    )
    assert not is_there(before)
    assert ServerState.BACKING_OFF not in house.states
    words = [line.split()[0] for line in trace.read_text().splitlines()]
    assert words[words.index("shutdown") :][:3] == ["shutdown", "exit", "start"]
    assert house.supervisor.snapshot().restart_reasons == {"asked": 1}


async def test_ty_is_ready_and_right(project: Callable[..., Project]) -> None:
    house = project(["ty", "server"])
    await house.until(ServerState.READY)
    identity = house.supervisor.identity
    assert identity is not None
    assert identity.version[0].isdigit()
    assert house.supervisor.encoding == "utf-8"
    reply = await house.ask("pkg/module.py", 8, 23)
    assert reply == Answered([Target(path_to_uri(house.root / "helpers.py"), 0, 4)])


async def test_ty_sees_a_changed_file_at_once(project: Callable[..., Project]) -> None:
    house = project(["ty", "server"])
    await house.until(ServerState.READY)
    (house.root / "helpers.py").write_text("\n\ndef aid():\n    pass\n")
    await house.supervisor.files_changed([("helpers.py", ChangeKind.CHANGED)])
    reply = await house.ask("pkg/module.py", 8, 23)
    assert reply == Answered([Target(path_to_uri(house.root / "helpers.py"), 2, 4)])


async def test_ty_proves_itself_with_an_outline_where_there_is_no_canary(
    project: Callable[..., Project],
) -> None:
    house = project(["ty", "server"])
    house.canary = DocumentProbe("helpers.py")
    await house.until(ServerState.READY)


async def test_ty_finds_sources_in_src_in_a_declared_folder_and_tests_of_their_own(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    files = {
        "pyproject.toml": '[tool.setuptools.packages.find]\nwhere = ["lib"]\n',
        "src/one/__init__.py": "def f(): pass\n",
        "lib/two/__init__.py": "def g(): pass\n",
        "tests/__init__.py": "",
        "tests/aid.py": "def h(): pass\n",
        ".venv/pyvenv.cfg": "home = /usr/bin\nversion = 3.11.2\n",
        ".venv/lib/python3.11/site-packages/three/__init__.py": "def k(): pass\n",
        "tests/test_all.py": (
            "from one import f\nfrom two import g\nfrom tests.aid import h\nfrom three import k\n"
        ),
    }
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    house = project(["ty", "server"])
    await house.until(ServerState.READY)
    found = []
    for line, column in enumerate((16, 16, 22, 18)):
        reply = await house.ask("tests/test_all.py", line, column)
        assert isinstance(reply, Answered)
        found += [target.uri for target in reply.result]
    assert found == [
        path_to_uri(house.root / name)
        for name in (
            "src/one/__init__.py",
            "lib/two/__init__.py",
            "tests/aid.py",
            ".venv/lib/python3.11/site-packages/three/__init__.py",
        )
    ]
