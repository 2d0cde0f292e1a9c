"""Servers that are not ready, not there, or not alive: the server's trouble, nobody's symbol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.figures import Reached
from tests.integration.enrich.house import ALL, ASKED, House

from enrichd.lsp.profiles import Profile
from enrichd.lsp.states import ServerState
from enrichd_tracker.model import Lane

Build = Callable[..., House]
CALLS = ("shop.py/main().", "calls", "base.py/helper().")


async def check_the_graph_is_right(house: House) -> None:
    edges = await house.edges()
    assert CALLS in edges
    assert ("shop.py/", "imports", "base.py/helper().") in edges
    assert ("shop.py/Shop#", "inherits", "base.py/Base#") in edges
    assert await house.said("none") == {}
    assert await house.said("error") == {}
    assert await house.failures() == {}
    assert await house.orphans() == []
    await house.is_sound()


@pytest.mark.fault(6, "empty answers while the server loads, then right ones")
async def test_empty_answers_while_the_server_loads_are_waited_out(
    build: Build, reached: Reached
) -> None:
    house = build()
    house.serve_with(empty_for_requests=10**9)
    await house.open()
    await house.pass_time(30.0)
    assert house.supervisor.state is ServerState.WARMING
    assert await house.orphans() == ALL
    reached("symbols with a false `none`", len(await house.said("none")), 0, times=len(ALL))
    house.change_server(empty_for_requests=0)
    await house.until_state(ServerState.READY, within_s=5.0)
    await house.until_settled(within_s=5.0)
    await check_the_graph_is_right(house)


@pytest.mark.fault(6, "empty answers beyond the time to load, then right ones")
async def test_empty_answers_beyond_the_time_to_load_are_unproved_until_the_canary_comes_back(
    build: Build, reached: Reached
) -> None:
    house = build()
    house.serve_with(empty_for_requests=10**9)
    await house.open()
    await house.pass_time(61.0)
    assert house.supervisor.state is ServerState.DEGRADED
    records = await house.failures()
    assert sorted(records) == ASKED
    assert {each.reason.partition(":")[0] for each in records.values()} == {"unproved"}
    assert await house.said("none") == {}
    await house.pass_time(20.0)
    assert {each.attempts for each in (await house.failures()).values()} == {3}
    reached("symbols with a false `none`", len(await house.said("none")), 0, times=len(ASKED))
    house.change_server(empty_for_requests=0)
    await house.until_state(ServerState.READY, within_s=61.0)
    await house.pass_time(20.0)
    await check_the_graph_is_right(house)


async def test_an_empty_answer_of_a_proved_server_is_none(build: Build) -> None:
    house = build({**house_with_nothing_there(), "base.py": "def a(): ...\ndef b():\n    a()\n"})
    house.serve_with()
    await house.open()
    await house.until_settled()
    none = await house.said("none")
    assert sorted(none) == ["lost.py/", "lost.py/lost()."]
    assert none["lost.py/lost()."].server == "fake"


def house_with_nothing_there() -> dict[str, str]:
    return {"lost.py": "from nowhere import thing\n\ndef lost():\n    thing.zzz()\n    thing()\n"}


async def test_a_server_that_never_answers_is_restarted_and_no_symbol_is_charged(
    build: Build,
) -> None:
    house = build()
    house.serve_with(silent=True)
    house.patience_s = 0.01
    await house.open()
    await house.pass_time(200.0)
    assert house.starts >= 3
    (server,) = house.app.servers()
    assert server.restarts == house.starts - 1
    assert await house.failures() == {}
    assert await house.orphans() == ALL
    house.change_server(silent=False)
    await house.until_settled(400.0)
    await check_the_graph_is_right(house)


@pytest.mark.fault(6, "a server that is not installed")
async def test_a_server_that_is_not_installed_is_unavailable_and_nobody_is_charged(
    build: Build, tmp_path: Path, reached: Reached
) -> None:
    house = build()
    missing = tmp_path / "bin" / "not-there"
    house.serve_with(profile={"command": (str(missing), "server")})
    await house.open()
    assert house.supervisor.state is ServerState.UNAVAILABLE
    (server,) = house.app.servers()
    assert (server.state, server.pid, server.restarts) == ("unavailable", None, 0)
    assert server.last_error == f"{missing} is not installed"
    ticks, rounds = house.ticks, house.rounds
    for _ in range(200):
        await asyncio.sleep(0.001)
    assert (house.ticks, house.rounds) == (ticks, rounds)
    await house.pass_time(300.0)
    assert house.starts == 0
    assert await house.orphans() == ALL
    reached("starts in 300 s", house.starts, 0)
    reached("symbols that were charged", len(await house.failures()), 0, times=len(ALL))
    assert house.ticks - ticks <= 300 / 5 + 2 * 300 / 60 + 2
    assert house.rounds - rounds <= 2 * 300 / 60 + 2


@pytest.mark.fault(6, "a server that is not installed, beside one that is")
async def test_the_lanes_of_other_languages_know_nothing_of_a_missing_server(
    build: Build, tmp_path: Path, reached: Reached
) -> None:
    house = build()
    house.serve_with()
    app = await house.open()
    workspace = await house.workspace()
    missing = Profile(
        name="other",
        languages=["other"],
        command=[str(tmp_path / "not-there")],
        install_hint="install it so",
    )
    lane = Lane(workspace.id, "other")
    await app.enrichment.add_lane(lane, workspace, missing)
    await house.pass_time(600.0)
    other = app.enrichment.lanes[lane].supervisor.snapshot()
    assert (other.state, other.install_hint) == (ServerState.UNAVAILABLE, "install it so")
    by_language = {each.language: each for each in (await app.status()).servers}
    assert by_language["other"].install_hint == "install it so"
    assert (by_language["python"].state, by_language["python"].restarts) == ("ready", 0)
    began = house.clock.monotonic()
    house.write({"shop.py": (house.root / "shop.py").read_text() + "\n\nmain()\n"})
    await house.index()
    await house.until(lambda: app.enrichment.lanes[Lane(workspace.id, "python")].idle)
    reached("an edit of another language", house.clock.monotonic() - began, 5.0, "s")
    reached("starts in 600 s", other.restarts + (other.pid is not None), 0, times=1)
    await check_the_graph_is_right(house)


async def test_the_built_in_profile_of_a_missing_server_says_how_to_install_it(
    build: Build, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = build()
    house.profiles = {}
    house.languages = {"python": "basedpyright"}
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("enrichd.lsp.profiles.sys.executable", str(tmp_path / "python"))
    await house.open()
    status = await house.app.status()
    (server,) = status.servers
    assert server.state == "unavailable"
    assert server.install_hint == "pip install basedpyright"


async def test_a_server_that_is_installed_later_is_found_within_a_minute(
    build: Build, tmp_path: Path
) -> None:
    house = build()
    house.serve_with()
    python, script, options = house.profiles["fake"].command  # type: ignore[misc]
    program = tmp_path / "late-server"
    house.serve_with(profile={"command": (str(program), options)})
    await house.open()
    await house.pass_time(10.0)
    program.write_text(f'#!/bin/sh\nexec {python} {script} "$@"\n')
    program.chmod(0o755)
    await house.pass_time(61.0)
    assert house.supervisor.state is ServerState.READY
    await house.until_settled()
    await check_the_graph_is_right(house)


async def test_nine_tenths_that_cannot_be_served_do_not_hold_up_the_tenth(
    build: Build, tmp_path: Path
) -> None:
    """Two workspaces: one with a server, one, much larger, whose server always dies."""
    house = build()
    large = tmp_path / "large"
    text = "from base import helper\n" + "".join(
        f"def f{number}():\n    helper()\n" for number in range(90)
    )
    base = "class Base: ...\ndef helper():\n    return Base()\n"
    house.write({"base.py": base, "many.py": text}, large)
    house.roots["large"] = large
    house.queue_size = 20
    house.serve_with(die_on=str(large))
    await house.open()
    await house.pass_time(30.0)
    states = {each.workspace: each.state for each in house.app.servers()}
    assert states["tree"] == "ready"
    assert states["large"] in {"starting", "backing off", "warming"}
    orphans = await house.orphans()
    assert set(ASKED).isdisjoint(orphans)
    assert len(orphans) == 92
    assert CALLS in await house.edges()


async def test_an_idle_daemon_ticks_at_its_interval_and_its_lanes_sleep(build: Build) -> None:
    house = build()
    house.serve_with()
    await house.open()
    await house.until_settled()
    await house.pass_time(30.0)
    ticks, rounds, questions = house.ticks, house.rounds, len(house.questions)
    for _ in range(300):
        await asyncio.sleep(0.001)
    assert (house.ticks, house.rounds) == (ticks, rounds)
    await house.pass_time(600.0)
    assert house.ticks - ticks <= 600 / 5 + 1
    assert house.rounds == rounds
    assert len(house.questions) == questions
