"""Who is charged, end to end: one test for each row of the table."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest
from tests.figures import Reached
from tests.integration.enrich.house import ASKED, SHOP, House
from tests.integration.enrich.oracle import Oracle

from enrichd.lsp.states import ServerState

CONTENT_MODIFIED = -32801
SERVER_CANCELLED = -32802
INVALID_PARAMS = -32602

Build = Callable[..., House]
CALLS = ("shop.py/main().", "calls", "base.py/helper().")
ODD = {"odd.py": "from base import helper\n\ndef odd():\n    return helper()\n"}
ODDS = ["odd.py/", "odd.py/odd()."]


@pytest.mark.parametrize("code", [CONTENT_MODIFIED, SERVER_CANCELLED])
async def test_content_modified_is_retried_in_place_at_nobodys_charge(
    build: Build, code: int
) -> None:
    house = build({"base.py": SHOP["base.py"], **ODD})
    house.serve_with(fail_with=code, fail_times=3, only="odd.py")
    await house.open()
    await house.until_settled(within_s=2.0)
    assert ("odd.py/odd().", "calls", "base.py/helper().") in await house.edges()
    assert house.app.metrics.attempts._value.get() == len([*ODDS, "base.py/helper()."])
    assert await house.failures() == {}
    await house.is_sound()


async def test_content_modified_without_end_charges_nobody_and_asks_at_the_ticks_alone(
    build: Build,
) -> None:
    house = build({**SHOP, **ODD})
    house.serve_with(fail_with=CONTENT_MODIFIED, only="odd.py")
    await house.open()
    await house.pass_time(60.0)
    assert await house.orphans() == ODDS
    assert await house.failures() == {}
    assert await house.said("error") == {}
    assert await house.said("none") == {}
    places = [times for place, times in house.asked_at().items() if place[0] == "odd.py"]
    assert {len(times) <= 4 * (60 / 5 + 2) for times in places} == {True}
    house.change_server(fail_with=None)
    await house.until_settled(within_s=10.0)


async def test_a_symbol_that_times_out_while_others_are_answered_is_charged(
    oracle: Oracle,
) -> None:
    house = oracle.house
    house.write(ODD)
    oracle.silent_about = "odd.py"
    await house.open()
    await house.pass_time(24.9)
    assert await house.failures() == {}
    await house.pass_time(0.2)
    records = await house.failures()
    assert sorted(records) == ODDS
    for record in records.values():
        assert record.attempts == 1
        assert record.reason == "no answer within 25 s"
    assert await house.orphans() == ODDS
    silent = [each["id"] for each in oracle.asked if "odd.py" in str(each["params"])]
    cancelled = [
        each["params"]["id"]
        for each in oracle.server.received
        if each.get("method") == "$/cancelRequest"
    ]
    assert sorted(cancelled) == sorted(silent)
    for number in silent:
        oracle.server.say({"id": number, "result": oracle.place("base.py", 0, 6)})
    await house.settle()
    assert house.supervisor.snapshot().late_answers == len(silent)
    assert await house.orphans() == ODDS
    oracle.silent_about = ""
    await house.until_settled(within_s=10.0)
    assert await house.failures() == {}
    assert len(oracle.spawn.servers) == 1
    await house.is_sound()


async def test_who_was_asked_just_before_the_last_answer_is_not_charged_for_a_hang(
    oracle: Oracle,
) -> None:
    house = oracle.house
    house.write({f"odd{number}.py": ODD["odd.py"] for number in range(2)})
    oracle.silent_about = "odd"
    await house.open()
    await house.until_state(ServerState.READY)
    house.write({"last.py": ODD["odd.py"]})
    await house.index()
    await house.pass_time(1.5)  # an answer may be held back for a second
    assert ("last.py/odd().", "calls", "base.py/helper().") in await house.edges()
    oracle.hangs_on = "py"
    await house.pass_time(35.0)
    assert await house.failures() == {}
    assert house.supervisor.snapshot().restarts >= 1
    oracle.silent_about = oracle.hangs_on = ""
    await house.until_settled()
    assert await house.failures() == {}


@pytest.mark.fault(4, "every request times out but the canary: started afresh, again and again")
async def test_where_everything_times_out_nobody_is_charged(
    oracle: Oracle, reached: Reached
) -> None:
    """Also where the canary is answered each time, and nothing else."""
    house = oracle.house
    oracle.hangs_on = "shop.py"
    await house.open()
    await house.pass_time(2000.0)
    assert len(oracle.spawn.servers) >= 6
    charged, restarts = len(await house.failures()), len(oracle.spawn.servers) - 1
    assert await house.orphans() == ASKED
    oracle.hangs_on = ""
    await house.until_settled()
    assert CALLS in await house.edges()
    assert await house.failures() == {}
    await house.is_sound()
    reached("symbols charged when the server was restarted", charged, 0, times=restarts)


async def test_one_file_that_hangs_the_server_starves_nobody_and_is_found_guilty(
    oracle: Oracle,
) -> None:
    house = oracle.house
    house.write({"odd.py": "def odd():\n" + "    import base\n    base.helper()\n" * 20})
    oracle.hangs_on = "odd.py"
    await house.open()
    await house.until(lambda: house.app.enrichment.tracker.get_stats().permanently_skipped == 1)
    records = await house.failures()
    assert sorted(records) == ["odd.py/odd()."]
    assert records["odd.py/odd()."].attempts == 3
    assert "when the server hung" in records["odd.py/odd()."].reason
    await house.pass_time(400.0)
    assert await house.orphans() == []
    assert CALLS in await house.edges()
    await house.is_sound()


async def test_an_operation_that_is_refused_at_run_time_is_as_if_never_declared(
    build: Build,
) -> None:
    house = build()
    house.serve_with(method_not_found=True)
    await house.open()
    await house.pass_time(120.0)
    assert await house.orphans() == []
    assert await house.said("none") == {}
    assert await house.said("error") == {}
    assert await house.failures() == {}
    assert house.supervisor.state is ServerState.READY
    questions = len(house.questions)
    await house.pass_time(600.0)
    assert len(house.questions) == questions
    await house.is_sound()


async def test_an_operation_that_is_not_declared_is_neither_none_nor_error(build: Build) -> None:
    house = build()
    house.serve_with(undeclared=True)
    await house.open()
    await house.pass_time(120.0)
    assert house.questions == []
    assert await house.orphans() == []
    assert await house.said("none") == {}
    assert await house.said("error") == {}
    await house.is_sound()


async def test_invalid_params_are_an_error_at_once(build: Build) -> None:
    house = build()
    house.serve_with(fail_with=INVALID_PARAMS, only="shop.py")
    await house.open()
    await house.pass_time(1.0)
    records = await house.failures()
    assert sorted(records) == ASKED
    assert {(each.attempts, each.skipped) for each in records.values()} == {(1, True)}
    errors = await house.said("error")
    assert sorted(errors) == ASKED
    assert {each.reason for each in errors.values()} == {"InvalidParams: as it was told to"}
    assert await house.orphans() == []


async def start_unready(house: House) -> None:
    house.serve_with(empty_for_requests=10**9)
    await house.open()
    await house.pass_time(5.0)
    assert house.supervisor.state is ServerState.WARMING


async def test_a_file_that_changed_since_it_was_indexed_is_indexed_again_before_it_is_asked_about(
    build: Build,
) -> None:
    house = build()
    await start_unready(house)
    house.write({"shop.py": "# one\n# line\n# more\n" + SHOP["shop.py"]})
    house.change_server(empty_for_requests=0)
    await house.until_settled(within_s=30.0)
    assert CALLS in await house.edges()
    assert {each.line for each in house.questions if each.path == "shop.py"} >= {3, 5, 10}
    assert 0 not in {each.line for each in house.questions if each.path == "shop.py"}
    assert await house.failures() == {}
    await house.is_sound()


async def test_a_target_that_moved_since_it_was_indexed_is_indexed_again_before_it_is_believed(
    build: Build,
) -> None:
    user = "from tool import first, second\n\ndef use():\n    first()\n    second()\n"
    tool = "def first(): ...\ndef second(): ...\ndef third(): ...\n"
    house = build({"base.py": SHOP["base.py"], "user.py": user, "tool.py": tool})
    await start_unready(house)
    house.write({"tool.py": "def zero(): ...\n" + tool})
    house.change_server(empty_for_requests=0)
    await house.until_settled(within_s=30.0)
    assert {edge for edge in await house.edges() if edge[0] == "user.py/use()."} == {
        ("user.py/use().", "calls", "tool.py/first()."),
        ("user.py/use().", "calls", "tool.py/second()."),
    }
    await house.is_sound()


@pytest.mark.parametrize("left", ["nothing", "a link to the outside", "a link to itself, moved"])
async def test_a_file_that_is_gone_or_leads_out_of_the_workspace_takes_its_symbols_along(
    build: Build, left: str
) -> None:
    house = build()
    await start_unready(house)
    shop = house.root / "shop.py"
    elsewhere = house.folder / "elsewhere.py"
    if left == "a link to itself, moved":
        shutil.move(shop, elsewhere)
    else:
        shutil.copy(shop, elsewhere)
        shop.unlink()
    if left != "nothing":
        shop.symlink_to(elsewhere)
    house.change_server(empty_for_requests=0)
    await house.pass_time(30.0)
    assert await house.symbol("shop.py/main().") is None
    assert await house.symbol("shop.py/") is None
    assert [each for each in house.questions if each.path == "shop.py"] == []
    assert await house.orphans() == []
    assert await house.failures() == {}
    await house.is_sound()
