"""A server that is started afresh, for its size or because a person asked: nobody is charged."""

from __future__ import annotations

import pytest
from tests.integration.enrich.house import ALL, ASKED, House
from tests.integration.enrich.oracle import Oracle

from enrichd.errors import AnswerIsNo
from enrichd.lsp.states import ServerState
from enrichd.query.servers import RestartedServer

CALLS = ("shop.py/main().", "calls", "base.py/helper().")
LIMIT = 1 << 30


async def check_nobody_was_charged(house: House) -> None:
    assert await house.failures() == {}
    assert house.app.metrics.attempts._value.get() == len(ALL)
    assert CALLS in await house.edges()
    assert await house.said("error") == {}
    assert await house.said("none") == {}
    assert await house.orphans() == []
    await house.is_sound()


async def with_requests_in_flight(oracle: Oracle) -> House:
    house = oracle.house
    oracle.silent_about = "shop.py"
    await house.open()
    await house.until(lambda: house.app.servers()[0].in_flight > 1, within_s=10.0)
    assert sorted(await house.orphans()) == ASKED
    oracle.silent_about = ""
    return house


async def test_requests_in_flight_of_a_server_that_grew_too_big_go_back_to_the_queue(
    oracle: Oracle,
) -> None:
    oracle.house.serve_with(profile={"command": ("/bin/true",), "max_rss_bytes": LIMIT})
    house = await with_requests_in_flight(oracle)
    old = oracle.server
    old.memory = LIMIT + 1
    began = house.clock.monotonic()
    await house.until_settled(within_s=16.0)
    assert house.clock.monotonic() - began < 16.0  # a look at the memory, and the next tick
    assert not old.alive
    [server] = house.app.server_list().servers
    assert (server.state, server.restart_reasons) == ("ready", {"memory": 1})
    assert house.app.metrics.server_restarts.labels("fake")._value.get() == 1
    await check_nobody_was_charged(house)


async def test_requests_in_flight_of_a_server_that_a_person_restarts_go_back_to_the_queue(
    oracle: Oracle,
) -> None:
    house = await with_requests_in_flight(oracle)
    old = oracle.server
    found = house.app.restart_servers("fake", "tree")
    assert found == [RestartedServer("fake", "python", "tree")]
    await house.until_settled(within_s=6.0)
    assert not old.alive
    assert [each["method"] for each in old.received][-2:] == ["shutdown", "exit"]
    [server] = house.app.server_list().servers
    assert (server.state, server.restart_reasons) == ("ready", {"asked": 1})
    assert house.app.metrics.server_restarts.labels("fake")._value.get() == 1
    await check_nobody_was_charged(house)


async def test_a_server_that_is_not_there_is_named_with_those_that_are(oracle: Oracle) -> None:
    house = oracle.house
    await house.open()
    await house.until_settled()
    with pytest.raises(AnswerIsNo, match="there is no server named gopls") as unknown:
        house.app.restart_servers("gopls", None)
    assert unknown.value.hint == "there are: fake"
    with pytest.raises(AnswerIsNo, match="fake serves no workspace named garden") as foreign:
        house.app.restart_servers("fake", "garden")
    assert foreign.value.hint == "it serves: tree"
    assert len(oracle.spawn.servers) == 1


async def test_a_reload_tries_at_once_a_server_that_backs_off(oracle: Oracle) -> None:
    house = oracle.house
    oracle.spawn.on_start = lambda server: setattr(server, "cannot_start", True)
    await house.open()
    await house.until(lambda: house.supervisor.snapshot().breaker_open)
    oracle.spawn.on_start = None
    assert house.supervisor.state is ServerState.BACKING_OFF
    now = house.clock.monotonic()
    await house.app.reload(house.config)
    await house.until_settled(within_s=6.0)
    assert house.clock.monotonic() - now < 6.0
    await check_nobody_was_charged(house)


async def test_the_rests_of_an_open_breaker_are_spread_by_a_twentieth(oracle: Oracle) -> None:
    house = oracle.house
    oracle.spawn.on_start = lambda server: setattr(server, "cannot_start", True)
    await house.open()
    await house.until(lambda: house.supervisor.snapshot().breaker_open)
    rests = set()
    for _ in range(30):
        house.supervisor.hurry()
        await house.settle()
        rests.add(house.supervisor.snapshot().next_start_in_s or 0.0)
    assert len(rests) == 30
    assert 304.0 <= min(rests) <= max(rests) <= 336.0
