"""Symbols and files that kill the server: found with few deaths, and nobody else is held up."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.figures import Reached
from tests.integration.enrich.house import ASKED, SHOP, House
from tests.integration.enrich.oracle import Oracle

from enrichd.enrich.suspicion import MAX_POISON_DEATHS, deaths_in
from enrichd_tracker.enrichment import FailureRecord

Build = Callable[..., House]
MOST_DEATHS = 1 + MAX_POISON_DEATHS
"""The first one, with others in flight, and those that are attributed."""
SOON_S = 30.0
CALLS = ("shop.py/main().", "calls", "base.py/helper().")
HEAD = "from base import helper\n"


def functions(count: int) -> str:
    """A module with so many; each calls ``helper``. Its line 0 belongs to the module."""
    return HEAD + "".join(f"def f{number}():\n    helper()\n" for number in range(count))


def line_of(number: int) -> int:
    """Where such a function calls."""
    return 2 + 2 * number


def uids(path: str, count: int) -> set[str]:
    return {f"{path}/", *(f"{path}/f{number}()." for number in range(count))}


async def enrich_all_but(house: House, guilty: set[str]) -> float:
    """Until nobody else waits; the seconds of the clock that it took. The breaker stays shut."""
    began = house.clock.monotonic()
    while set(await house.orphans()) - guilty:
        assert not house.supervisor.snapshot().breaker_open
        assert house.clock.monotonic() - began < 3600.0, await house.orphans()
        house.clock.jump()
        await house.settle()
    assert not (await house.failures()).keys() - guilty
    return house.clock.monotonic() - began


async def until_skipped(house: House) -> dict[str, FailureRecord]:
    """Until nobody backs off; what is known of those who are skipped then."""
    await house.until_settled()
    records = await house.failures()
    assert all(each.skipped for each in records.values())
    assert sorted(await house.said("error")) == sorted(records)
    assert await house.said("none") == {}
    assert await house.orphans() == []
    return records


@pytest.mark.fault(3, "a file of 500 symbols, whatever is asked about it, among 200 others")
async def test_a_poison_file_is_skipped_whole_after_three_deaths(
    oracle: Oracle, reached: Reached
) -> None:
    house = oracle.house
    house.write({"odd.py": functions(500)})
    house.write({f"good{number}.py": functions(5) for number in range(40)})
    oracle.dies_at = lambda path, line: path == "odd.py"
    await house.open()
    guilty = uids("odd.py", 500)
    took_s = await enrich_all_but(house, guilty)
    records = await until_skipped(house)
    assert records.keys() == guilty
    reason = (
        "poison file odd.py: its symbols were alone in flight at 3 deaths of the server, which "
        "last died (it exited with status 3); what is left of it is skipped"
    )
    assert {each.reason for each in records.values()} == {reason}
    assert {each.reason for each in (await house.said("error")).values()} == {reason}
    assert sum(each.attempts for each in records.values()) == len(guilty) + MAX_POISON_DEATHS - 1
    assert CALLS in await house.edges()
    assert ("good39.py/f4().", "calls", "base.py/helper().") in await house.edges()
    await house.pass_time(400.0)
    deaths = oracle.deaths
    reached("deaths attributed to the file", deaths - 1, MAX_POISON_DEATHS, times=deaths)
    reached("until all others are enriched", took_s, SOON_S, "s")
    await house.is_sound()


@pytest.mark.fault(3, "one symbol of 500 in a good file")
async def test_a_poison_symbol_in_a_good_file_is_found_as_one(
    oracle: Oracle, reached: Reached
) -> None:
    house = oracle.house
    house.queue_size = 50
    house.write({"odd.py": functions(500)})
    oracle.dies_at = lambda path, line: (path, line) == ("odd.py", line_of(0))
    await house.open()
    took_s = await enrich_all_but(house, {"odd.py/f0()."})
    records = await until_skipped(house)
    record = records.pop("odd.py/f0().")
    assert records == {}
    assert record.attempts == MAX_POISON_DEATHS
    assert record.reason == (
        "poison: alone in flight when the server died (it exited with status 3), death 3 of 3"
    )
    deaths = oracle.deaths
    reached("deaths attributed to the symbol", deaths - 1, MAX_POISON_DEATHS, times=deaths)
    reached("until all others are enriched", took_s, SOON_S, "s")
    await house.is_sound()


@pytest.mark.fault(3, "four poison files and a poison symbol at once")
async def test_several_poison_files_do_not_open_the_breaker(
    oracle: Oracle, reached: Reached
) -> None:
    house = oracle.house
    bad = [f"bad{number}.py" for number in range(4)]
    house.write({path: functions(20) for path in (*bad, "odd.py")})
    house.write({f"good{number}.py": functions(20) for number in range(20)})
    oracle.dies_at = lambda path, line: path in bad or (path, line) == ("odd.py", line_of(7))
    await house.open()
    guilty = {each for path in bad for each in uids(path, 20)} | {"odd.py/f7()."}
    took_s = await enrich_all_but(house, guilty)
    records = await until_skipped(house)
    assert records.keys() == guilty
    most = 5 * MOST_DEATHS
    reached("deaths, shared ones too", oracle.deaths, most, times=oracle.deaths)
    reached("until all others are enriched", took_s, 5 * SOON_S, "s")
    await house.is_sound()


@pytest.mark.fault(3, "the daemon starts anew after each death")
async def test_poison_deaths_survive_a_restart(oracle: Oracle, reached: Reached) -> None:
    house = oracle.house
    house.write({"odd.py": functions(20), "lone.py": HEAD + "x = helper()\n"})
    oracle.dies_at = lambda path, line: path in {"odd.py", "lone.py"}
    await house.open()
    restarts = 0
    seen = oracle.deaths
    for _ in range(10_000):
        await house.settle()
        if oracle.deaths > seen and await house.failures():
            await house.restart()
            restarts += 1
            seen = oracle.deaths
        if not await house.orphans():
            break
        house.clock.jump()
    records = await until_skipped(house)
    assert records.keys() == uids("odd.py", 20) | {"lone.py/"}
    assert records["lone.py/"].attempts == MAX_POISON_DEATHS
    of_symbol, _ = deaths_in(records["lone.py/"].reason)
    _, of_file = deaths_in(records["odd.py/f0()."].reason)
    assert restarts >= 4
    reached("deaths attributed to the symbol", of_symbol, MAX_POISON_DEATHS, times=restarts)
    reached("deaths attributed to the file", of_file, MAX_POISON_DEATHS, times=restarts)
    assert CALLS in await house.edges()
    await house.is_sound()


async def test_small_poison_files_need_three_deaths_in_all_and_real_servers_restart(
    build: Build,
) -> None:
    house = build({**SHOP, "odd.py": functions(1)})
    house.serve_with(die_on="odd.py")
    await house.open()
    records = await until_skipped(house)
    assert records.keys() == uids("odd.py", 1)
    assert {each.reason.partition(":")[0] for each in records.values()} == {"poison file odd.py"}
    assert CALLS in await house.edges()
    assert house.starts <= 1 + MOST_DEATHS
    await house.is_sound()


async def test_what_the_text_alone_says_of_a_poison_file_is_not_lost(oracle: Oracle) -> None:
    house = oracle.house
    plain = "class A: ...\ndef plain():\n    return A()\n"
    house.write({"odd.py": functions(4) + plain})
    oracle.dies_at = lambda path, line: path == "odd.py"
    await house.open()
    records = await until_skipped(house)
    assert records.keys() == uids("odd.py", 4)
    assert ("odd.py/plain().", "instantiates", "odd.py/A#") in await house.edges()
    await house.is_sound()


@pytest.mark.parametrize("reason", ["retry", "the file changes", "another server"])
async def test_a_poison_file_that_kills_no_more_is_enriched_when_there_is_a_reason_to_try(
    oracle: Oracle, reason: str
) -> None:
    house = oracle.house
    house.write({"odd.py": functions(30)})
    oracle.dies_at = lambda path, line: path == "odd.py"
    app = await house.open()
    records = await until_skipped(house)
    deaths = oracle.deaths
    oracle.dies_at = lambda path, line: False
    if reason == "retry":
        await app.retry([each.symbol_id for each in records.values()])
    elif reason == "the file changes":
        house.write({"odd.py": functions(30) + "# better\n"})
        await house.index()
    else:
        house.serve_with(profile={"command": (*house.profiles["fake"].command, "2")})  # type: ignore[misc]
        await app.reload(house.config)
    await house.until_settled(within_s=60.0)
    assert await house.failures() == {}
    assert ("odd.py/f29().", "calls", "base.py/helper().") in await house.edges()
    assert oracle.deaths == deaths
    await house.is_sound()


async def test_a_poison_file_that_is_tried_again_is_skipped_again_after_one_death(
    oracle: Oracle,
) -> None:
    house = oracle.house
    house.write({"odd.py": functions(30)})
    oracle.dies_at = lambda path, line: path == "odd.py"
    app = await house.open()
    records = await until_skipped(house)
    deaths = oracle.deaths
    await app.retry([each.symbol_id for each in records.values()])
    assert (await until_skipped(house)).keys() == records.keys()
    assert oracle.deaths == deaths + 1


async def test_another_content_of_a_poison_file_is_tried_afresh(oracle: Oracle) -> None:
    house = oracle.house
    house.write({"odd.py": functions(30)})
    oracle.dies_at = lambda path, line: path == "odd.py"
    await house.open()
    await until_skipped(house)
    oracle.dies_at = lambda path, line: (path, line) == ("odd.py", line_of(3))
    house.write({"odd.py": functions(30) + "# changed\n"})
    await house.index()
    records = await until_skipped(house)
    assert sorted(records) == ["odd.py/f3()."]
    assert records["odd.py/f3()."].reason.endswith("death 3 of 3")
    await house.is_sound()


async def test_a_server_that_dies_of_everything_charges_nobody_while_others_can_be_asked(
    oracle: Oracle,
) -> None:
    house = oracle.house
    house.write({f"good{number}.py": functions(3) for number in range(30)})
    oracle.dies_at = lambda path, line: True
    await house.open()
    await house.pass_time(3600.0)
    assert house.supervisor.snapshot().breaker_open
    assert len(oracle.spawn.servers) <= 20
    assert await house.failures() == {}
    oracle.dies_at = lambda path, line: False
    await house.until_settled(within_s=400.0)
    assert await house.failures() == {}
    assert not set(ASKED) & set(await house.orphans())
    await house.is_sound()
