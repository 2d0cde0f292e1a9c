"""The graph over HTTP: the answers of the query commands, and harmless parameters."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_routes import get
from tests.running import Place

ABOUT = ("callers", "callees", "references", "explain")


async def test_symbols_are_found_by_name(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, "/api/v1/symbols", q="total", limit="10")
    assert status == HTTPStatus.OK
    assert {each["uid"] for each in document["symbols"]} == {"bill.py/total().", "cart.py/total()."}
    status, document = await get(unix, "/api/v1/symbols", q="p*", kind="method", workspace="shop")
    assert [each["uid"] for each in document["symbols"]] == ["bill.py/Bill#pay()."]


async def test_edges_are_found_from_both_ends(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, "/api/v1/graph/callers", symbol="cart.py/total().")
    assert status == HTTPStatus.OK
    assert [each["symbol"]["uid"] for each in document["edges"]] == ["bill.py/show()."]
    status, document = await get(unix, "/api/v1/graph/callees", symbol="show", workspace="shop")
    assert [each["symbol"]["uid"] for each in document["edges"]] == ["cart.py/total()."]
    status, document = await get(unix, "/api/v1/graph/references", symbol="cart.total")
    assert document["by_relation"] == {"calls": 1}


@pytest.mark.parametrize("question", ["callers", "callees", "references"])
async def test_every_answer_says_how_complete_it_is(
    unix: aiohttp.ClientSession, question: str
) -> None:
    status, document = await get(unix, f"/api/v1/graph/{question}", symbol="bill.py/total().")
    assert status == HTTPStatus.OK
    assert document["completeness"]["level"] != "complete"
    assert document["completeness"]["reasons"]


async def test_explain_says_why_a_symbol_is_where_it_is(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, "/api/v1/graph/explain", symbol="bill.py/total().")
    assert status == HTTPStatus.OK
    assert "RequestFailed" in str(document)


@pytest.mark.parametrize("question", ABOUT)
async def test_a_symbol_that_is_not_there_is_not_found(
    unix: aiohttp.ClientSession, question: str
) -> None:
    status, document = await get(unix, f"/api/v1/graph/{question}", symbol="totl")
    assert status == HTTPStatus.NOT_FOUND
    assert "totl" in document["error"]["message"]


@pytest.mark.parametrize("question", ABOUT)
async def test_an_ambiguous_name_lists_its_candidates(
    unix: aiohttp.ClientSession, question: str
) -> None:
    status, document = await get(unix, f"/api/v1/graph/{question}", symbol="total")
    assert status == HTTPStatus.CONFLICT
    assert len(document["error"]["candidates"]) == 2


@pytest.mark.parametrize("question", ABOUT)
async def test_a_question_about_nothing_is_refused(
    unix: aiohttp.ClientSession, question: str
) -> None:
    status, document = await get(unix, f"/api/v1/graph/{question}")
    assert (status, document["error"]["message"]) == (422, "symbol: is missing")
    status, document = await get(unix, f"/api/v1/graph/{question}", symbol="x" * 4001)
    assert (status, document["error"]["message"]) == (422, "symbol: expected str of length <= 4000")


NASTY = [
    "'; DROP TABLE symbol; --",
    '" OR ""="',
    "%",
    "_",
    "\\",
    "* NEAR total",
    'total" AND "pay',
    "[",
    "[]",
    "[^",
    "a\0b",
    "\ufffd",
    "../../../../etc/passwd",
    "/etc/passwd:1",
    "../graph.db:1:1",
    "cart.py:999999999",
    "cart.py:0",
    ":1",
    "?" * 4000,
    "\U0001f600",
]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: ascii(text)[:30])
async def test_what_is_typed_is_a_name_and_nothing_else(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, text: str
) -> None:
    before = await everything(daemon)
    status, document = await get(unix, "/api/v1/symbols", q=text)
    assert status in {HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY}
    if status == HTTPStatus.OK:
        assert document["symbols"] == [] or set(text) & set("*?")
    for question in ABOUT:
        status, document = await get(unix, f"/api/v1/graph/{question}", symbol=text)
        assert status in {HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
        assert "root:" not in document["error"]["message"]
        status, _ = await get(
            unix, f"/api/v1/graph/{question}", symbol="cart.py/total().", workspace=text
        )
        assert status == HTTPStatus.NOT_FOUND
    for parameter in ("workspace", "path", "kind"):
        status, _ = await get(unix, "/api/v1/symbols", q="total", **{parameter: text})
        assert status in {HTTPStatus.OK, HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY}
    assert await everything(daemon) == before


async def everything(daemon: FakeDaemon) -> Any:
    return await daemon.store.read(
        lambda reader: (reader.symbols_like("*"), list(reader.every_edge()), reader.verify())
    )


async def test_what_an_answer_lacks_is_served_next(
    unix: aiohttp.ClientSession, daemon: FakeDaemon
) -> None:
    for name in ("early", "late"):
        await daemon.add_file(name)
    status, document = await get(unix, "/api/v1/graph/callees", symbol="late.py/late().")
    assert status == HTTPStatus.OK
    assert document["completeness"]["level"] != "complete"
    assert await daemon.next_in_turn() == "late.py/late()."


async def test_what_an_answer_of_the_command_line_lacks_is_served_next(
    unix: aiohttp.ClientSession, daemon: FakeDaemon, tmp_path: Path
) -> None:
    for name in ("early", "late"):
        await daemon.add_file(name)
    place = Place(tmp_path)
    place.configure()
    text = place.config.read_text().replace(str(place.database), str(tmp_path / "graph.db"))
    place.config.write_text(text.replace(str(place.socket), str(tmp_path / "run/enrichd.sock")))
    said = await asyncio.to_thread(place.run, "callees", "late.py/late().", "--json")
    assert said.json["completeness"]["level"] != "complete"
    assert await daemon.next_in_turn() == "late.py/late()."


async def test_what_stands_above_and_below_and_what_nothing_points_at(
    unix: aiohttp.ClientSession,
) -> None:
    for question in ("supertypes", "subtypes", "implementations"):
        status, document = await get(unix, f"/api/v1/graph/{question}", symbol="cart.py/total().")
        assert (status, document["question"], document["count"]) == (HTTPStatus.OK, question, 0)
    status, document = await get(unix, "/api/v1/graph/unused", kind="function", sure="true")
    assert status == HTTPStatus.OK
    assert [each["symbol"]["uid"] for each in document["symbols"]] == ["bill.py/show()."]
    status, _ = await get(unix, "/api/v1/graph/unused", sure="perhaps")
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
