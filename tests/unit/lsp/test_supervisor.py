from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.figures import Reached
from tests.servers.fake_process import (
    SILENCE,
    FakeServer,
    FakeSpawn,
    Refusal,
    Request,
    pass_time,
    settle,
    until,
)

from enrichd.clock import FakeClock
from enrichd.lsp.documents import ChangeKind
from enrichd.lsp.positions import path_to_uri, path_to_uri_json
from enrichd.lsp.profiles import BUILT_IN, merge
from enrichd.lsp.readiness import DocumentProbe, Probe
from enrichd.lsp.states import ServerState
from enrichd.lsp.supervisor import Supervisor
from enrichd.lsp.wire import Died, Ending
from enrichd_tracker.model import Canary, Operation, Origin

DEFINITION = "textDocument/definition"
DAY_S = 86_400.0
CANARY = Canary("a.py", 5, 2, 1, 4)


class House:
    """A supervisor on a fake clock, with servers that behave as the test says."""

    def __init__(self, root: Path, **changes: Any) -> None:
        (root / "a.py").write_text("\n".join(["def f(): pass"] * 9))
        self.command = root.parent / f"{root.name}-server"
        self.install()
        self.root = root
        self.clock = FakeClock()
        self.canary: Probe = CANARY
        self.rightly = self.place(1)
        self.states: list[ServerState] = []
        self.spawn = FakeSpawn(self.right)
        profile = merge(BUILT_IN["ty"], {"command": [str(self.command)], **changes})
        self.supervisor = Supervisor(
            profile,
            root,
            clock=self.clock,
            jitter=random.Random(7).random,
            request_timeout_s=25.0,
            canary=self.ask_canary,
            on_change=lambda supervisor: self.states.append(supervisor.state),
            spawn=self.spawn,
        )
        self.task: asyncio.Task[None] | None = None

    def install(self, text: str = "") -> None:
        self.command.write_text(text)
        self.command.chmod(0o755)

    def place(self, line: int) -> dict[str, Any]:
        start = {"line": line, "character": 4}
        return {
            "uri": path_to_uri(self.root / "a.py"),
            "range": {"start": start, "end": start},
        }

    async def ask_canary(self) -> Probe:
        return self.canary

    def right(self, request: Request) -> object:
        return self.rightly if request["method"] == DEFINITION else None

    def empty(self, request: Request) -> object:
        return [] if request["method"] == DEFINITION else None

    def refuse(self, request: Request) -> object:
        if request["method"] == DEFINITION:
            raise Refusal(-32803)
        return None

    def silent(self, request: Request) -> object:
        return SILENCE if request["method"] == DEFINITION else None

    def mute(self, _: Request) -> object:
        return SILENCE

    def run(self) -> None:
        self.task = asyncio.get_running_loop().create_task(self.supervisor.run(), name="run")

    async def until(self, *states: ServerState) -> None:
        await until(self.clock, lambda: self.supervisor.state in states)

    async def ready(self) -> Supervisor:
        self.run()
        await self.until(ServerState.READY)
        return self.supervisor

    async def until_the_breaker_opens(self) -> Supervisor:
        def doom(server: FakeServer) -> None:
            asyncio.get_running_loop().call_soon(server.die)

        self.spawn.on_start = doom
        self.run()
        await until(self.clock, lambda: self.supervisor.snapshot().breaker_open)
        return self.supervisor

    def methods(self) -> list[str]:
        return self.said_by(-1)

    def said_by(self, server: int) -> list[str]:
        received = self.spawn.servers[server].received
        return [message["method"] for message in received if "method" in message]


@pytest.fixture
async def houses(tmp_path: Path) -> AsyncIterator[Callable[..., House]]:
    built: list[House] = []

    def build(**changes: Any) -> House:
        root = tmp_path / f"root{len(built)}"
        root.mkdir()
        built.append(House(root, **changes))
        return built[-1]

    yield build
    for house in built:
        await house.supervisor.stop()
        if house.task is not None:
            await house.task
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


@pytest.fixture
def house(houses: Callable[..., House]) -> House:
    return houses()


async def test_a_good_server_becomes_ready_and_may_be_asked(house: House) -> None:
    supervisor = await house.ready()
    assert house.states == [ServerState.STARTING, ServerState.WARMING, ServerState.READY]
    assert supervisor.servable
    assert supervisor.proved
    assert supervisor.client is not None
    assert supervisor.epoch == 1
    assert supervisor.encoding == "utf-8"
    assert supervisor.identity == Origin("ty", "1")
    assert house.methods()[:3] == ["initialize", "initialized", DEFINITION]


async def test_an_empty_answer_does_not_make_ready_but_the_right_one_does(house: House) -> None:
    house.spawn.behave = house.empty
    house.run()
    await pass_time(house.clock, 10.0)
    assert house.supervisor.state is ServerState.WARMING
    assert not house.supervisor.servable
    house.spawn.last.behave = house.right
    await pass_time(house.clock, 2.1)
    assert house.supervisor.proved


async def test_another_definition_than_the_known_one_proves_nothing(house: House) -> None:
    house.rightly = house.place(2)
    house.run()
    await pass_time(house.clock, 10.0)
    assert house.supervisor.state is ServerState.WARMING


async def test_a_right_answer_counts_only_when_progress_has_ended(house: House) -> None:
    def begin(request: Request) -> object:
        if request["method"] == "initialize":
            value = {"kind": "begin", "title": "loading"}
            house.spawn.last.say({"method": "$/progress", "params": {"token": 1, "value": value}})
        return house.right(request)

    house.spawn.behave = begin
    house.run()
    await pass_time(house.clock, 20.0)
    assert house.supervisor.state is ServerState.WARMING
    value = {"kind": "end"}
    house.spawn.last.say({"method": "$/progress", "params": {"token": 1, "value": value}})
    await pass_time(house.clock, 2.1)
    assert house.supervisor.proved


@pytest.mark.parametrize("wrong", ["empty", "refuse"])
async def test_a_server_whose_canary_never_comes_back_is_degraded_and_asked_all_the_same(
    house: House, wrong: str
) -> None:
    house.spawn.behave = getattr(house, wrong)
    house.run()
    await pass_time(house.clock, 62.0)
    assert house.supervisor.state is ServerState.DEGRADED
    assert house.supervisor.servable
    assert not house.supervisor.proved
    assert house.supervisor.last_error


async def test_a_degraded_server_becomes_ready_the_moment_its_canary_is_right(
    house: House,
) -> None:
    house.spawn.behave = house.refuse
    house.run()
    await house.until(ServerState.DEGRADED)
    await pass_time(house.clock, 600.0)
    house.spawn.last.behave = house.right
    await pass_time(house.clock, 61.0)
    assert house.supervisor.proved
    assert house.supervisor.epoch == 1
    assert len(house.spawn.servers) == 1


async def test_a_degraded_server_is_not_pestered(house: House) -> None:
    house.spawn.behave = house.refuse
    house.run()
    await house.until(ServerState.DEGRADED)
    before = len(house.spawn.last.received)
    await pass_time(house.clock, 3600.0)
    assert len(house.spawn.last.received) - before < 70
    house.spawn.last.behave = house.right
    house.supervisor.poke()
    await settle()
    assert house.supervisor.proved


async def test_a_server_that_answers_nothing_is_hung_and_started_afresh(house: House) -> None:
    house.spawn.behave = house.silent
    house.run()
    await house.until(ServerState.BACKING_OFF)
    assert house.clock.monotonic() < 90.0
    assert not house.spawn.servers[0].alive
    house.spawn.behave = house.right
    await house.until(ServerState.READY)
    assert len(house.spawn.servers) == 2


async def test_a_server_that_never_answers_initialize_is_started_afresh(house: House) -> None:
    house.spawn.behave = lambda _: SILENCE
    house.run()
    await house.until(ServerState.BACKING_OFF)
    assert "initialize" in house.supervisor.last_error
    house.spawn.behave = house.right
    await house.until(ServerState.READY)


@pytest.mark.parametrize(
    "answer", [5, {"capabilities": 7}, [], {"capabilities": {"positionEncoding": "utf-7"}}]
)
async def test_a_garbled_initialize_answer_is_survived(house: House, answer: object) -> None:
    house.spawn.behave = lambda request: answer if request["method"] == "initialize" else None
    house.run()
    await house.until(ServerState.BACKING_OFF)
    assert house.supervisor.last_error


async def test_a_missing_command_is_unavailable_and_spawns_nothing(house: House) -> None:
    house.command.unlink()
    house.run()
    await pass_time(house.clock, 3600.0)
    assert house.supervisor.state is ServerState.UNAVAILABLE
    assert house.spawn.servers == []
    status = house.supervisor.snapshot()
    assert status.install_hint == "pip install ty"
    assert "not installed" in status.last_error


async def test_a_command_that_appears_is_found_within_a_minute(house: House) -> None:
    house.command.unlink()
    house.run()
    await pass_time(house.clock, 100.0)
    house.install()
    await pass_time(house.clock, 61.0)
    assert house.supervisor.proved


async def test_a_poke_finds_it_at_once(house: House) -> None:
    house.command.unlink()
    house.run()
    await pass_time(house.clock, 1.0)
    house.install()
    house.supervisor.poke()
    await settle()
    assert house.supervisor.proved


async def test_a_dead_server_is_never_handed_out(house: House) -> None:
    supervisor = await house.ready()
    house.spawn.last.die()
    assert supervisor.client is None
    assert not supervisor.servable
    assert not supervisor.proved
    await settle()
    assert supervisor.state is ServerState.BACKING_OFF
    assert supervisor.last_error == "it exited with status 3"


async def test_a_dead_server_comes_back_after_about_a_second_with_a_new_epoch(
    house: House,
) -> None:
    supervisor = await house.ready()
    house.spawn.last.die()
    await pass_time(house.clock, 1.25)
    assert supervisor.proved
    assert supervisor.epoch == 2
    assert supervisor.snapshot().restarts == 1


async def test_what_the_workers_find_hung_is_killed_and_nobody_is_suspect(house: House) -> None:
    supervisor = await house.ready()
    replies: list[object] = []
    house.spawn.last.behave = house.silent
    assert supervisor.client is not None
    supervisor.client.ask_position(DEFINITION, path_to_uri_json("/a"), 0, 0, replies.append)
    assert supervisor.client is not None
    supervisor.client.end("all of 8 requests timed out", Ending.HUNG)
    assert replies == [Died("all of 8 requests timed out", Ending.HUNG)]
    await settle()
    assert supervisor.state is ServerState.BACKING_OFF
    assert not house.spawn.servers[0].alive
    await house.until(ServerState.READY)


def dead_at_once(server: FakeServer) -> None:
    asyncio.get_running_loop().call_soon(server.die)


def dead_at_initialize(server: FakeServer) -> None:
    server.behave = lambda _: server.die()


def dead_at_its_canary(server: FakeServer) -> None:
    server.behave = lambda request: server.die() if request["method"] == DEFINITION else None


def dead_when_ready(server: FakeServer) -> None:
    rightly = server.behave

    def answer_and_die(request: Request) -> object:
        if request["method"] == DEFINITION:
            dead_at_once(server)
        return rightly(request)

    server.behave = answer_and_die


def never_started(server: FakeServer) -> None:
    server.cannot_start = True


async def live_through_a_day(
    house: House, doom: Callable[[FakeServer], None]
) -> tuple[int, int, float]:
    """Deaths until the breaker is open, starts in a day, and seconds to recovery."""
    servers = house.spawn.servers
    house.spawn.on_start = doom
    house.run()
    await until(house.clock, lambda: house.supervisor.snapshot().breaker_open)
    assert house.clock.monotonic() <= 180.0
    deaths = len(servers)
    await pass_time(house.clock, DAY_S - house.clock.monotonic())
    starts = len(servers)
    await until(house.clock, lambda: len(servers) > starts)
    assert house.supervisor.state is ServerState.BACKING_OFF
    assert house.supervisor.snapshot().breaker_open
    house.spawn.on_start = None  # just after a death: no time could be worse
    ended_at = house.clock.monotonic()
    await house.until(ServerState.READY)
    await settle()
    assert house.supervisor.proved
    return deaths, starts, house.clock.monotonic() - ended_at


@pytest.mark.fault(2, "dies at once, at initialize, at its canary, when ready; can't be started")
async def test_a_day_of_crash_loop_takes_at_most_300_spawns_and_heals_within_360_s(
    houses: Callable[..., House], reached: Reached, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [await live_through_a_day(houses(), dead_at_once)]
    monkeypatch.setattr("enrichd.lsp.resting.LOOK_S", 60.0)  # it takes a day to look every 10 s
    for doom in (dead_at_initialize, dead_at_its_canary, dead_when_ready, never_started):
        days.append(await live_through_a_day(houses(), doom))  # noqa: PERF401
    deaths, starts, recovery_s = (max(each) for each in zip(*days, strict=True))
    reached("spawns in a day", starts, 300, times=len(days))
    reached("deaths until the breaker is open", deaths, 5, times=len(days))
    reached("from the end of the fault to ready", recovery_s, 360, "s", times=len(days))


async def test_a_server_that_dies_at_every_question_is_not_started_without_end(
    house: House,
) -> None:
    supervisor = house.supervisor
    house.run()
    for _ in range(200):
        await house.until(ServerState.READY)
        house.spawn.last.die()
        await settle()
    assert supervisor.snapshot().breaker_open
    assert house.clock.monotonic() > 190 * 300.0


async def test_after_proven_health_the_first_rest_is_short_again(house: House) -> None:
    await house.ready()
    for _ in range(4):
        house.spawn.last.die()
        await settle()
        await house.until(ServerState.READY)
    await pass_time(house.clock, 601.0)
    house.spawn.last.die()
    await pass_time(house.clock, 1.25)
    assert house.supervisor.proved


async def test_a_broken_canary_source_or_listener_breaks_nothing(house: House) -> None:
    async def broken() -> Probe:
        raise OSError("the database is locked")

    def fail(_: Supervisor) -> None:
        raise RuntimeError("a bug of the listener")

    source = house.supervisor._canary
    house.supervisor._canary = broken
    house.supervisor._on_change = fail
    house.run()
    await pass_time(house.clock, 30.0)
    assert house.supervisor.state is not ServerState.READY
    house.supervisor._canary = source
    await house.until(ServerState.READY)


async def test_without_a_canary_an_outline_stands_in(houses: Callable[..., House]) -> None:
    house = houses()
    house.canary = DocumentProbe("a.py")
    outline: list[object] = []

    def outlined(request: Request) -> object:
        return outline if request["method"] == "textDocument/documentSymbol" else None

    def declare(server: FakeServer) -> None:
        server.capabilities["documentSymbolProvider"] = {}

    house.spawn.behave = outlined
    house.spawn.on_start = declare
    house.run()
    await pass_time(house.clock, 5.0)
    assert house.supervisor.state is ServerState.WARMING
    outline.append({"name": "f"})
    await pass_time(house.clock, 2.1)
    assert house.supervisor.proved


async def test_with_no_file_at_all_it_is_ready_after_initialize(house: House) -> None:
    house.canary = None
    await house.ready()
    assert DEFINITION not in house.methods()


async def test_only_what_profile_and_server_both_offer_is_offered(
    houses: Callable[..., House],
) -> None:
    house = houses(operations=["definition", "references", "supertypes"])
    supervisor = house.supervisor
    assert supervisor.offers(Operation.REFERENCES)  # not known better before the first start
    assert not supervisor.offers(Operation.SUBTYPES)

    def declare(server: FakeServer) -> None:
        server.capabilities |= {"referencesProvider": False, "typeHierarchyProvider": {}}

    house.spawn.on_start = declare
    await house.ready()
    offered = {operation for operation in Operation if supervisor.offers(operation)}
    assert offered == {Operation.DEFINITION, Operation.SUPERTYPES}
    supervisor.drop(Operation.SUPERTYPES)
    assert not supervisor.offers(Operation.SUPERTYPES)
    house.spawn.last.die()
    await settle()
    await house.until(ServerState.READY)
    assert not supervisor.offers(Operation.SUPERTYPES)


async def test_a_document_is_open_while_somebody_asks_about_it(
    houses: Callable[..., House],
) -> None:
    house = houses(documents="per-file")
    supervisor = await house.ready()
    await settle()
    start = len(house.spawn.last.received)
    await supervisor.open_document("a.py")
    await supervisor.open_document("a.py")
    await supervisor.close_document("a.py")
    (house.root / "a.py").write_text("changed = 1")
    await supervisor.files_changed([("a.py", ChangeKind.CHANGED), ("b.py", ChangeKind.CREATED)])
    await supervisor.close_document("a.py")
    await settle()
    said = house.spawn.last.received[start:]
    assert [message["method"] for message in said] == [
        "textDocument/didOpen",
        "textDocument/didChange",
        "workspace/didChangeWatchedFiles",
        "textDocument/didClose",
    ]
    assert said[0]["params"]["textDocument"]["languageId"] == "python"
    assert said[1]["params"]["contentChanges"] == [{"text": "changed = 1"}]
    assert [change["type"] for change in said[2]["params"]["changes"]] == [2, 1]


async def test_open_documents_are_opened_again_in_a_new_server(
    houses: Callable[..., House],
) -> None:
    house = houses(documents="per-file")
    supervisor = await house.ready()
    await supervisor.open_document("a.py")
    house.spawn.last.die()
    await settle()
    await house.until(ServerState.READY)
    assert "textDocument/didOpen" in house.methods()


async def test_a_server_that_wants_no_documents_is_told_of_none(house: House) -> None:
    supervisor = await house.ready()
    await supervisor.open_document("a.py")
    await supervisor.close_document("a.py")
    await settle()
    assert "textDocument/didOpen" not in house.methods()


async def test_a_server_that_grows_too_big_is_started_afresh_and_nobody_is_suspect(
    houses: Callable[..., House],
) -> None:
    house = houses(max_rss_bytes=1 << 30)
    supervisor = await house.ready()
    house.spawn.last.memory = 2 << 30
    house.states.clear()
    replies: list[object] = []
    house.spawn.last.behave = house.silent
    assert supervisor.client is not None
    supervisor.client.ask_position(DEFINITION, path_to_uri_json("/a"), 0, 0, replies.append)
    await pass_time(house.clock, 11.0)
    assert replies == [Died("enrichd is ending it", Ending.STOPPED)]
    assert not house.spawn.servers[0].alive
    assert house.said_by(0)[-2:] == ["shutdown", "exit"]
    assert "2048 MiB" in supervisor.last_error
    assert house.states == [ServerState.STARTING, ServerState.WARMING, ServerState.READY]
    assert house.clock.monotonic() <= 11.0
    status = supervisor.snapshot()
    assert (status.restarts, status.restart_reasons) == (1, {"memory": 1})
    assert not status.breaker_open


async def test_growing_again_and_again_is_never_a_death_while_it_is_of_use(
    houses: Callable[..., House],
) -> None:
    house = houses(max_rss_bytes=1 << 30)
    supervisor = await house.ready()
    for _ in range(20):
        await pass_time(house.clock, 61.0)
        house.spawn.last.memory = 2 << 30
        await pass_time(house.clock, 11.0)
        assert supervisor.proved
    assert ServerState.BACKING_OFF not in house.states
    assert supervisor.snapshot().restart_reasons == {"memory": 20}
    house.spawn.last.die()
    await pass_time(house.clock, 1.25)
    assert supervisor.proved


async def test_a_limit_that_is_too_low_is_trouble_of_the_server_and_does_not_spin(
    houses: Callable[..., House],
) -> None:
    def grow(server: FakeServer) -> None:
        server.memory = 2 << 30

    house = houses(max_rss_bytes=1 << 30)
    house.spawn.on_start = grow
    house.run()
    while house.clock.monotonic() < 6 * 3600.0:
        await settle()  # twice: nothing but the memory ends these lives, and that takes its turns
        await settle()
        house.clock.jump()
    assert len(house.spawn.servers) <= 300 / 4
    status = house.supervisor.snapshot()
    assert status.breaker_open
    assert "1024 are allowed" in status.last_error
    assert status.restart_reasons == {"memory": len(house.spawn.servers) - 1}
    house.spawn.on_start = None
    await pass_time(house.clock, 360.0)
    assert house.supervisor.proved


async def test_memory_is_that_of_the_process_while_there_is_one(house: House) -> None:
    house.spawn.on_start = lambda server: setattr(server, "memory", 5 << 20)
    assert house.supervisor.rss_bytes() is None
    supervisor = await house.ready()
    assert supervisor.rss_bytes() == 5 << 20
    house.spawn.last.die()
    await settle()
    assert supervisor.rss_bytes() is None


# Starting afresh, and trying earlier.


async def test_a_person_has_a_ready_server_started_afresh_at_once(house: House) -> None:
    supervisor = await house.ready()
    house.states.clear()
    replies: list[object] = []
    house.spawn.last.behave = house.silent
    assert supervisor.client is not None
    supervisor.client.ask_position(DEFINITION, path_to_uri_json("/a"), 0, 0, replies.append)
    supervisor.restart()
    await settle()
    assert replies == [Died("enrichd is ending it", Ending.STOPPED)]
    assert house.said_by(0)[-2:] == ["shutdown", "exit"]
    assert not house.spawn.servers[0].alive
    assert house.states == [ServerState.STARTING, ServerState.WARMING, ServerState.READY]
    assert supervisor.epoch == 2
    assert house.clock.monotonic() == 0.0
    assert supervisor.snapshot().restart_reasons == {"asked": 1}
    assert supervisor.last_error == ""


async def test_a_person_ends_a_long_rest_and_its_reasons_are_forgotten(house: House) -> None:
    supervisor = await house.until_the_breaker_opens()
    house.spawn.on_start = None
    supervisor.restart()
    await settle()
    assert supervisor.proved
    assert not supervisor.snapshot().breaker_open
    house.spawn.last.die()
    await pass_time(house.clock, 1.25)
    assert supervisor.proved


@pytest.mark.parametrize("behaviour", ["silent", "empty", "refuse", "mute"])
@pytest.mark.parametrize("after_s", [0.0, 5.0, 70.0])
async def test_a_person_is_obeyed_whatever_the_server_does(
    house: House, behaviour: str, after_s: float
) -> None:
    house.spawn.behave = getattr(house, behaviour)
    house.run()
    await pass_time(house.clock, after_s)
    house.spawn.behave = house.right
    house.supervisor.restart()
    await pass_time(house.clock, 2.0)  # who does not answer shutdown is given a second
    assert house.supervisor.proved
    assert [server.alive for server in house.spawn.servers[:-1]] == [False] * (
        len(house.spawn.servers) - 1
    )


async def test_a_person_has_a_missing_command_looked_for(house: House) -> None:
    house.command.unlink()
    house.run()
    await pass_time(house.clock, 1.0)
    house.install()
    house.supervisor.restart()
    await settle()
    assert house.supervisor.proved
    assert house.supervisor.snapshot().restarts == 0


async def test_asking_twice_at_once_is_asking_once(house: House) -> None:
    supervisor = await house.ready()
    supervisor.restart()
    supervisor.restart()
    await settle()
    assert supervisor.proved
    assert len(house.spawn.servers) == 2


async def test_a_reload_ends_a_rest_but_forgets_nothing(house: House) -> None:
    supervisor = await house.until_the_breaker_opens()
    spawned = len(house.spawn.servers)
    supervisor.hurry()
    await settle()
    assert len(house.spawn.servers) == spawned + 1
    assert supervisor.state is ServerState.BACKING_OFF
    assert supervisor.snapshot().breaker_open
    assert (supervisor.snapshot().next_start_in_s or 0.0) > 300.0
    house.spawn.on_start = None
    supervisor.hurry()
    await settle()
    assert supervisor.proved
    assert supervisor.snapshot().breaker_open


async def test_a_change_of_a_file_does_not_end_the_rest_of_a_server_that_died(
    house: House,
) -> None:
    supervisor = await house.until_the_breaker_opens()
    spawned = len(house.spawn.servers)
    supervisor.poke()
    await pass_time(house.clock, 100.0)
    assert len(house.spawn.servers) == spawned


async def test_another_program_ends_a_rest_and_the_deaths_of_the_old_one_are_forgotten(
    house: House,
) -> None:
    supervisor = await house.until_the_breaker_opens()
    house.spawn.on_start = None
    house.install("another")
    await pass_time(house.clock, 10.0)
    assert supervisor.proved
    assert not supervisor.snapshot().breaker_open


async def test_a_program_that_was_only_taken_away_does_not_end_a_rest(house: House) -> None:
    supervisor = await house.until_the_breaker_opens()
    house.command.unlink()
    await pass_time(house.clock, 100.0)
    assert supervisor.state is ServerState.BACKING_OFF
    house.spawn.on_start = None
    house.install("another")
    await pass_time(house.clock, 10.0)
    assert supervisor.proved


async def test_a_program_that_is_installed_is_found_within_seconds(house: House) -> None:
    house.command.unlink()
    house.run()
    await pass_time(house.clock, 100.0)
    house.install()
    await pass_time(house.clock, 10.0)
    assert house.supervisor.proved


async def test_another_program_is_nothing_to_a_ready_server_until_its_next_start(
    house: House,
) -> None:
    supervisor = await house.ready()
    house.install("another")
    await pass_time(house.clock, 3600.0)
    assert supervisor.epoch == 1
    assert len(house.spawn.servers) == 1
    assert house.spawn.last.alive


async def test_a_program_that_changes_with_every_start_is_not_started_on_end(
    house: House,
) -> None:
    def doom(server: FakeServer) -> None:
        house.install("x" * len(house.spawn.servers))
        asyncio.get_running_loop().call_soon(server.die)

    house.spawn.on_start = doom
    house.run()
    await pass_time(house.clock, 3600.0)
    assert len(house.spawn.servers) <= 6 * 60


async def test_stop_says_goodbye_and_leaves_nothing(house: House) -> None:
    supervisor = await house.ready()
    await supervisor.stop()
    assert house.methods()[-2:] == ["shutdown", "exit"]
    assert supervisor.state is ServerState.STOPPED
    assert not house.spawn.last.alive
    assert house.task is not None
    await house.task


@pytest.mark.parametrize("behaviour", ["silent", "refuse"])
async def test_stop_is_quick_at_any_time(house: House, behaviour: str) -> None:
    house.spawn.behave = getattr(house, behaviour)
    house.run()
    await pass_time(house.clock, 5.0)
    stop = asyncio.ensure_future(house.supervisor.stop())
    await pass_time(house.clock, 5.0)
    assert stop.done()
    assert not house.spawn.last.alive


async def test_a_cancelled_run_leaves_nothing_either(house: House) -> None:
    await house.ready()
    assert house.task is not None
    house.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await house.task
    assert not house.spawn.last.alive
    house.task = None


async def test_counts_are_kept_over_restarts(house: House) -> None:
    supervisor = await house.ready()
    before = supervisor.snapshot()
    house.spawn.last.die()
    await settle()
    status = supervisor.snapshot()
    assert status.requests == before.requests > 0
    assert status.stderr == ["last words"]
    assert status.pid is None
    assert status.next_start_in_s is not None
    assert 0.8 <= status.next_start_in_s <= 1.2
