"""What happens in the middle of enriching: changes, reloads, removals, a store that fails."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.integration.enrich.house import ASKED, SHOP, House
from tests.integration.enrich.oracle import Oracle

from enrichd.enrich.resolve import Resolver
from enrichd.enrich.sources import Sources
from enrichd.lsp.positions import path_to_uri
from enrichd.lsp.states import ServerState
from enrichd.lsp.wire import Target
from enrichd.services import ServiceEnded
from enrichd_tracker.errors import StoreUnavailable
from enrichd_tracker.store.port import Definition
from enrichd_tracker.store.thread import Thread

Build = Callable[..., House]
EDGES = {
    ("base.py/helper().", "instantiates", "base.py/Base#"),
    ("shop.py/", "imports", "base.py/"),
    ("shop.py/", "imports", "base.py/Base#"),
    ("shop.py/", "imports", "base.py/helper()."),
    ("shop.py/Shop#", "inherits", "base.py/Base#"),
    ("shop.py/Shop#run().", "calls", "base.py/helper()."),
    ("shop.py/Shop#run().", "overrides", "base.py/Base#run()."),
    ("shop.py/main().", "calls", "base.py/helper()."),
    ("shop.py/main().", "instantiates", "base.py/Base#"),
}


async def test_the_oracle_gives_the_whole_graph(oracle: Oracle) -> None:
    house = oracle.house
    await house.open()
    await house.until_settled()
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_what_is_in_hand_when_the_configuration_is_read_again_is_asked_anew(
    oracle: Oracle,
) -> None:
    house = oracle.house
    oracle.silent_about = "shop.py"
    await house.open()
    await house.pass_time(10.0)
    assert await house.orphans() == ASKED
    house.request_timeout_s = 20.0
    await house.app.reload(house.config)
    oracle.silent_about = ""
    await house.until_settled(within_s=10.0)
    assert await house.edges() == EDGES
    assert len(house.app.servers()) == 1
    await house.is_sound()


async def test_an_answer_about_files_as_they_were_is_not_located_in_those_that_are(
    oracle: Oracle,
) -> None:
    """The server answers from its old text after the new one was indexed."""
    house = oracle.house
    oracle.silent_about = "shop.py"
    await house.open()
    await house.until_state(ServerState.READY)
    await house.settle()
    late = [each for each in oracle.asked if "shop.py" in each["params"]["textDocument"]["uri"]]
    answers = [(each["id"], oracle.answer(each)) for each in late]
    house.write({"base.py": "def other(): ...\nclass Other: ...\n" + SHOP["base.py"]})
    await house.index()
    oracle.silent_about = ""
    for request_id, answer in answers:
        oracle.server.say({"id": request_id, "result": answer})
    await house.until_settled(within_s=20.0)
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_a_removed_workspace_is_not_missed_by_a_tick_or_a_run_under_way(
    oracle: Oracle, tmp_path: Path
) -> None:
    house = oracle.house
    oracle.silent_about = "shop.py"
    app = await house.open()
    for number in range(3):
        other = tmp_path / f"other{number}"
        house.write(SHOP, other)
        workspace = await app.workspaces.add(other, None)
        await house.settle()
        await house.pass_time(number * 0.7)
        app.indexing.request(workspace.id)
        for _ in range(number * 7):
            await asyncio.sleep(0)
        app.enrichment.monitor.new_work()
        await app.workspaces.remove(workspace.name)
        await house.pass_time(6.0)
    assert not app.services.failed
    assert len(app.servers()) == 1
    gauge = app.metrics.server_state.labels("fake", ServerState.READY)
    assert gauge._value.get() == 1
    await house.is_sound()


async def test_a_file_that_is_needed_is_never_the_one_that_is_forgotten(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichd.enrich.resolve._KEPT_FILES", 2)
    house = oracle.house
    house.write({"odd.py": "import base\n"})
    await house.open()
    workspace = await house.workspace()
    resolver = Resolver(house.app.store, workspace.id, house.root, Sources())
    target = Target(path_to_uri(house.root / "base.py"), 3, 4)
    for own in ("base.py", "shop.py"):
        await resolver.load([], {own})
    await resolver.load([target], {"odd.py"})
    found = resolver.locate(target, "helper", "utf-8")
    assert isinstance(found, Definition)
    assert found.name == "helper"


async def test_answers_of_an_unproved_server_that_lead_nowhere_are_no_none(
    oracle: Oracle,
) -> None:
    """They are not empty, but what they point at is no symbol."""
    house = oracle.house
    house.external = "off"
    outside = house.folder / "outside.py"
    outside.write_text("thing = 1\n")
    oracle.answer = lambda request: {  # type: ignore[method-assign]
        **oracle.place("base.py", 0, 0),
        "uri": path_to_uri(outside),
    }
    await house.open()
    await house.pass_time(61.0)
    assert house.supervisor.state is ServerState.DEGRADED
    records = await house.failures()
    assert sorted(records) == ASKED
    assert {each.reason.partition(":")[0] for each in records.values()} == {"unproved"}
    assert await house.said("none") == {}
    await house.pass_time(1000.0)
    assert await house.said("none") == {}


async def test_a_large_graph_does_not_make_known_files_foreign(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many files' definitions are kept, but always those that are needed just now."""
    monkeypatch.setattr("enrichd.enrich.resolve._KEPT_FILES", 1)
    house = oracle.house
    house.external = "all"
    await house.open()
    await house.until_settled()
    assert await house.edges() == EDGES


async def test_a_target_that_could_not_be_read_is_no_reason_to_index_for_ever(
    oracle: Oracle,
) -> None:
    house = oracle.house
    house.write({"huge.py": "x = 1\n" * 400_000})
    answer = oracle.answer
    oracle.answer = lambda request: (  # type: ignore[method-assign]
        oracle.place("huge.py", 3, 0)
        if request["params"]["position"]["line"] == 7
        else answer(request)
    )
    await house.open()
    await house.until_settled(within_s=30.0)
    runs = house.app.indexing.runs
    await house.pass_time(60.0)
    assert house.app.indexing.runs == runs
    assert await house.orphans() == []


async def test_names_and_definitions_are_not_read_again_where_nothing_changed(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = oracle.house
    await house.open()
    await house.until_settled()
    forgotten: list[Resolver] = []
    monkeypatch.setattr(Resolver, "forget", forgotten.append)
    rounds = house.rounds
    await house.index()
    await house.index()
    assert forgotten == []
    assert house.rounds - rounds <= 4


async def test_open_documents_are_closed_after_deaths(oracle: Oracle) -> None:
    house = oracle.house
    house.serve_with(profile={"command": (sys.executable,), "documents": "per-file"})
    oracle.silent_about = "shop.py"
    await house.open()
    await house.until_state(ServerState.READY)
    for _ in range(3):
        oracle.server.die()
        await house.until_state(ServerState.BACKING_OFF)
        await house.until_state(ServerState.READY)
    oracle.silent_about = ""
    await house.until_settled()
    (worker,) = house.app.enrichment.lanes.values()
    assert dict(worker._documents._needed) == {}
    holders = [each.holders for each in worker.supervisor._documents._open.values()]
    assert set(holders) == {1}


async def test_the_end_waits_neither_for_a_silent_server_nor_for_a_full_disk(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = oracle.house
    app = await house.open()
    await house.until_state(ServerState.READY)

    async def commit(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(app.store, "commit", commit)
    house.write({"shop.py": SHOP["shop.py"] + "\n\ndef late():\n    late()\n"})
    await house.index()
    assert app.enrichment.recorder.problem == "the disk is full"
    assert app.health() == ["can't write to the database: the disk is full"]
    before = house.clock.monotonic()
    await house.close()
    assert house.clock.monotonic() - before < 5.0


async def test_closing_is_no_failure(oracle: Oracle, capsys: pytest.CaptureFixture[str]) -> None:
    house = oracle.house
    app = await house.open()
    await house.until_settled()
    failure = asyncio.ensure_future(app.services.failure())
    await house.close()
    with pytest.raises(asyncio.CancelledError):
        await failure
    assert "service ended" not in capsys.readouterr().out


async def test_a_service_that_ends_by_itself_is_a_failure_of_the_app(oracle: Oracle) -> None:
    house = oracle.house
    app = await house.open()
    app.services._tasks["monitor"].cancel()
    with pytest.raises(ServiceEnded, match="the service monitor ended"):
        await app.services.failure()
    assert not app.alive()
    assert app.readiness() != []


@pytest.mark.parametrize("every", [1, 3])
async def test_a_store_that_fails_now_and_then_loses_nothing(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    """Each call fails so many times before it goes through, one run for each number."""
    house = oracle.house
    app = await house.open()
    await house.until_settled()
    run = Thread.run
    calls = 0
    failing = True

    async def failing_run(self: Thread, function: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if failing and calls % (every + 1):
            raise StoreUnavailable("the disk is full")
        return await run(self, function, *args, **kwargs)

    house.write({"shop.py": "\n" + SHOP["shop.py"]})
    monkeypatch.setattr(Thread, "run", failing_run)
    app.indexing.request(await _workspace_id(house))
    for _ in range(80):
        if house.clock.next_deadline() is not None:
            house.clock.jump()
        for _ in range(20):
            await asyncio.sleep(0.0002)
        assert not app.services.failed
    failing = False
    await house.index()
    await house.until_settled(within_s=400.0)
    assert await house.edges() == EDGES
    await house.is_sound()


async def test_workspaces_that_could_not_be_taken_up_are_as_soon_as_they_can(
    oracle: Oracle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = oracle.house
    app = await house.open()
    house.roots["other"] = tmp_path / "other"
    house.write(SHOP, tmp_path / "other")
    add = app.store.add_workspace

    async def refuse(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(app.store, "add_workspace", refuse)
    await app.reload(house.config)
    await house.pass_time(10.0)
    assert [each.name for each in await house.workspaces()] == ["tree"]
    monkeypatch.setattr(app.store, "add_workspace", add)
    await house.pass_time(1.5)
    assert [each.name for each in await house.workspaces()] == ["other", "tree"]
    await house.until_settled()
    await house.is_sound()


async def _workspace_id(house: House) -> int:
    return next(iter(house.app.indexing.workspaces))


async def test_symbols_that_are_settled_by_the_text_have_no_server_as_origin(
    build: Build,
) -> None:
    house = build({**SHOP, "plain.py": "def plain():\n    print(len('x'))\n"})
    house.serve_with()
    await house.open()
    await house.until_settled()
    (none,) = (await house.outcomes())["plain.py/plain()."]
    assert (none.target.name, none.server) == ("none", "syntax")
    assert [each for each in house.questions if each.path == "plain.py"] == []


async def test_retry_tries_skipped_symbols_again_at_once(build: Build) -> None:
    house = build()
    house.serve_with(fail_with=-32602, only="shop.py")
    app = await house.open()
    await house.pass_time(1.0)
    records = await house.failures()
    assert sorted(records) == ASKED
    house.change_server(fail_with=None)
    await app.retry([each.symbol_id for each in records.values()])
    await house.pass_time(1.0)
    assert await house.failures() == {}
    assert ("shop.py/main().", "calls", "base.py/helper().") in await house.edges()
    await house.is_sound()


async def test_another_version_of_the_server_is_a_reason_to_try_again(build: Build) -> None:
    house = build()
    house.serve_with(fail_with=-32602, only="shop.py")
    await house.open()
    await house.pass_time(1.0)
    assert sorted(await house.said("error")) == ASKED
    house.serve_with(version="2")
    await house.restart()
    await house.until_settled(within_s=10.0)
    assert await house.failures() == {}
    assert await house.said("error") == {}
    await house.is_sound()
