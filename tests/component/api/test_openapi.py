"""The description of the API is made from the routes that there are, when somebody asks for it."""

from __future__ import annotations

import subprocess
import sys
from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from tests.component.api.conftest import base_url
from tests.component.api.test_security import raw

from enrichd.api.answers import Code
from enrichd.api.server import ApiServer

OPENAPI = "/api/v1/openapi.json"
BATCH = "/api/v1/indexing/batch/start"


@pytest.fixture
async def description(unix: aiohttp.ClientSession) -> Any:
    async with unix.get(OPENAPI) as response:
        assert response.status == HTTPStatus.OK
        assert response.content_type == "application/json"
        return await response.json()


async def test_every_route_is_described_and_nothing_else(
    server: ApiServer, description: Any
) -> None:
    described = {
        (method.upper(), path)
        for path, operations in description["paths"].items()
        for method in operations
    }
    assert described == {(each.method, each.path) for each in server.routes}
    assert ("GET", OPENAPI) in described


async def test_every_operation_says_what_it_is_for_and_what_it_answers(description: Any) -> None:
    for path, operations in description["paths"].items():
        for operation in operations.values():
            assert operation["summary"][0].isupper(), path
            assert not operation["summary"].endswith("."), path
            answered = set(operation["responses"])
            assert any(status < "400" for status in answered), path
            assert answered >= {"400", "403", "413", "422", "503"}, path


async def test_every_schema_has_a_name_of_its_own_and_is_explained(description: Any) -> None:
    schemas = description["components"]["schemas"]
    for name, schema in schemas.items():
        assert "." not in name, f"two schemas are called {name.rpartition('.')[2]}"
        assert schema.get("description") or "enum" in schema, name
    assert schemas["SymbolList"]["properties"]["more"]["description"]
    assert schemas["Code"]["enum"] == sorted(Code)


async def test_an_answer_has_every_field_that_it_is_described_with(description: Any) -> None:
    schemas = description["components"]["schemas"]
    assert set(schemas["Status"]["required"]) == set(schemas["Status"]["properties"])
    assert "candidates" not in schemas["Problem"]["required"]
    assert "default" not in str(schemas["ServerInfo"])


async def test_a_parameter_is_described_as_it_is_checked(description: Any) -> None:
    operation = description["paths"]["/api/v1/indexing/batch/errors/{workspace}"]["get"]
    parameters = {each["name"]: each for each in operation["parameters"]}
    assert parameters["workspace"]["in"] == "path"
    assert parameters["workspace"]["required"] is True
    assert parameters["limit"]["schema"] == {
        "type": "integer",
        "minimum": 1,
        "maximum": 1000,
        "default": 100,
    }
    assert "null" not in str(operation["parameters"])


async def test_the_servers_are_where_it_listens(server: ApiServer, description: Any) -> None:
    assert description["servers"][0]["url"] == base_url(server)


def test_nothing_of_it_is_loaded_before_somebody_asks() -> None:
    program = "import sys, enrichd.api.server; sys.exit('enrichd.api.openapi' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


# What generated requests have found


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/symbols?q=" + b"x" * 9000 + b" HTTP/1.1\r\n",
        b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n",
        b"BRE W /healthz\r\n",
    ],
)
async def test_what_is_too_long_or_no_http_is_refused_as_everything_else_is(
    server: ApiServer, head: bytes
) -> None:
    answer = await raw(server, head + b"Host: " + base_url(server)[7:].encode() + b"\r\n\r\n")
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
    assert b"Content-Type: application/json" in answer
    assert b"Cache-Control: no-store" in answer
    assert b'{"error":{"message":"the request can\'t be read: ' in answer
    assert b'"code":"bad_request"}}' in answer


async def test_an_expectation_that_nobody_knows_is_left_unmet(server: ApiServer) -> None:
    host = base_url(server)[7:]
    for expectation, first in (("miracles", b"HTTP/1.1 200 "), ("100-continue", b"HTTP/1.1 100 ")):
        answer = await raw(
            server,
            f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nExpect: {expectation}\r\n"
            "Connection: close\r\n\r\n".encode(),
        )
        assert answer.startswith(first)
        assert answer.endswith(b'{"ok":true,"problems":[]}')


async def refused(
    session: aiohttp.ClientSession, method: str, path: str, body: object = None
) -> str:
    async with session.request(method, path, json=body) as response:
        assert response.status == HTTPStatus.UNPROCESSABLE_ENTITY
        message: str = (await response.json())["error"]["message"]
        return message


async def test_a_wrong_item_of_a_list_is_refused_by_the_name_of_the_list(
    unix: aiohttp.ClientSession,
) -> None:
    body = {"repository": "shop", "extensions": [".py", ""]}
    message = await refused(unix, "POST", BATCH, body)
    assert message == "extensions: expected an extension with its dot, such as .py"


async def test_a_place_that_cannot_be_is_refused_by_name(unix: aiohttp.ClientSession) -> None:
    for message in (
        await refused(unix, "GET", "/api/v1/graph/callers?symbol=bill.py:0"),
        await refused(unix, "POST", "/api/v1/enrichment/retry", {"symbol": "bill.py:0"}),
    ):
        assert message == "symbol: bill.py:0: lines and columns begin at 1"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/api/v1/status?verbose=1", "verbose: unknown parameter"),
        ("/healthz?x", "x: unknown parameter"),
        ("/api/v1/indexing/batch/errors/shop?workspace=shop", "workspace: is given more than once"),
        ("/api/v1/indexing/batch/errors/shop?since=null", "since: expected a value, got null"),
    ],
)
async def test_what_a_route_does_not_take_is_refused_by_name(
    unix: aiohttp.ClientSession, path: str, message: str
) -> None:
    assert await refused(unix, "GET", path) == message


async def test_what_belongs_into_the_body_is_not_taken_from_the_query(
    unix: aiohttp.ClientSession,
) -> None:
    message = await refused(unix, "POST", "/api/v1/enrichment/retry?all=true", {"all": True})
    assert message == "all: it belongs into the body"
