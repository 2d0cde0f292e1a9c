"""What the daemon says about itself, what it can be told, and how it says no."""

from __future__ import annotations

import io
import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tests.component.api.conftest import base_url
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_security import raw

from enrichd.api.answers import status_of
from enrichd.api.server import MAX_BODY_BYTES, ApiServer
from enrichd.errors import EnrichdError, ExitCode
from enrichd_tracker.errors import StoreUnavailable

FAILURES = "/api/v1/enrichment/failures"
RETRY = "/api/v1/enrichment/retry"
WORKSPACES = "/api/v1/workspaces"


async def get(session: aiohttp.ClientSession, route: str, **query: str) -> tuple[int, Any]:
    async with session.get(route, params=query) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


async def post(session: aiohttp.ClientSession, path: str, body: object) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with session.post(path, data=io.BytesIO(data)) as response:
        assert response.content_type == "application/json"
        return response.status, await response.json()


# How it is


async def test_a_healthy_daemon_says_so(unix: aiohttp.ClientSession) -> None:
    assert await get(unix, "/healthz") == (200, {"ok": True, "problems": []})
    assert await get(unix, "/readyz") == (200, {"ok": True, "reasons": []})


async def test_what_is_wrong_is_named(daemon: FakeDaemon, unix: aiohttp.ClientSession) -> None:
    daemon.problems = ["the monitor has not ticked for 60 s"]
    daemon.reasons = ["the database is being migrated"]
    assert await get(unix, "/healthz") == (503, {"ok": False, "problems": daemon.problems})
    assert await get(unix, "/readyz") == (503, {"ok": False, "reasons": daemon.reasons})


async def test_status_is_the_document_of_the_command(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, "/api/v1/status")
    assert status == HTTPStatus.OK
    assert document["schema_version"] == 1
    assert [each["name"] for each in document["workspaces"]] == ["shop"]


async def test_answers_are_not_for_caches_nor_for_other_sites(unix: aiohttp.ClientSession) -> None:
    for path in ("/healthz", "/nowhere"):
        async with unix.get(path) as response:
            assert response.headers["Cache-Control"] == "no-store"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
            assert "Access-Control-Allow-Origin" not in response.headers


# Failures


async def test_failures_are_listed_those_due_first(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, FAILURES)
    assert status == HTTPStatus.OK
    assert [each["uid"] for each in document["failures"]] == [
        "bill.py/total().",
        "bill.py/Bill#pay().",
    ]


@pytest.mark.parametrize(
    ("query", "uids"),
    [
        ({"state": "backing-off"}, ["bill.py/total()."]),
        ({"state": "skipped"}, ["bill.py/Bill#pay()."]),
        ({"workspace": "shop", "state": "skipped"}, ["bill.py/Bill#pay()."]),
        ({"limit": "1"}, ["bill.py/total()."]),
        ({"limit": "1", "offset": "1"}, ["bill.py/Bill#pay()."]),
        ({"offset": str(2**63 - 1)}, []),
    ],
)
async def test_failures_are_chosen_by_state_and_page(
    unix: aiohttp.ClientSession, query: dict[str, str], uids: list[str]
) -> None:
    status, document = await get(unix, FAILURES, **query)
    assert status == HTTPStatus.OK
    assert [each["uid"] for each in document["failures"]] == uids


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"limit": "0"}, "limit: expected int >= 1"),
        ({"limit": "1001"}, "limit: expected int <= 1000"),
        ({"limit": "-1"}, "limit: expected int >= 1"),
        ({"limit": "ten"}, "limit: expected int, got str"),
        ({"limit": "1; DROP TABLE failure"}, "limit: expected int, got str"),
        ({"limit": ""}, "limit: expected int, got str"),
        ({"limit": "9" * 400}, "limit: expected int <= 1000"),
        ({"offset": "-1"}, "offset: expected int >= 0"),
        ({"offset": str(2**63)}, f"offset: expected int <= {2**63 - 1}"),
        ({"state": "broken"}, "state: expected backing-off or skipped, got broken"),
        ({"state": "null"}, "state: expected backing-off or skipped, got null"),
        ({"workspace": ""}, "workspace: expected str of length >= 1"),
        ({"limt": "1"}, 'limt: unknown parameter; did you mean "limit"?'),
    ],
)
async def test_a_bad_value_is_refused_by_name_and_reason(
    unix: aiohttp.ClientSession, query: dict[str, str], message: str
) -> None:
    status, document = await get(unix, FAILURES, **query)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert document["error"]["message"] == message
    assert document["error"]["code"] == "bad_value"


async def test_a_parameter_that_is_given_twice_is_refused(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, f"{FAILURES}?limit=1&limit=2")
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert document["error"]["message"] == "limit: is given more than once"


async def test_a_workspace_that_is_not_there_is_named(unix: aiohttp.ClientSession) -> None:
    status, document = await get(unix, FAILURES, workspace="' OR 1=1 --")
    assert status == HTTPStatus.NOT_FOUND
    assert "' OR 1=1 --" in document["error"]["message"]
    assert document["error"]["hint"] == "there are: shop"


# Retry


async def test_one_symbol_is_retried(daemon: FakeDaemon, unix: aiohttp.ClientSession) -> None:
    wanted = {"symbol": "bill.py/total().", "workspace": "shop"}
    assert await post(unix, RETRY, wanted) == (200, {"schema_version": 1, "retried": 1})
    [symbol] = await daemon.store.read(lambda reader: reader.symbol_by_uid("bill.py/total()."))
    assert daemon.retried == [symbol.id]


async def test_everything_is_retried(unix: aiohttp.ClientSession) -> None:
    assert await post(unix, RETRY, {"all": True}) == (200, {"schema_version": 1, "retried": 2})
    assert await post(unix, RETRY, {"all": True}) == (200, {"schema_version": 1, "retried": 0})


async def test_a_retry_of_an_ambiguous_name_lists_the_candidates(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    status, document = await post(unix, RETRY, {"symbol": "total"})
    assert status == HTTPStatus.CONFLICT
    assert document["error"]["code"] == "ambiguous"
    candidates = {each["uid"] for each in document["error"]["candidates"]}
    assert candidates == {"bill.py/total().", "cart.py/total()."}
    assert daemon.retried == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, 'symbol: expected either a symbol or "all": true'),
        ({"symbol": "x", "all": True}, 'symbol: expected either a symbol or "all": true'),
        ({"symbol": 1}, "symbol: expected str, got int"),
        ({"all": 1}, "all: expected bool, got int"),
        ({"all": True, "symbols": []}, 'symbols: unknown parameter; did you mean "symbol"?'),
        ([], "the body: expected object, got array"),
        (None, "the body: expected object, got null"),
    ],
)
async def test_a_body_that_means_nothing_is_refused(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, body: object, message: str
) -> None:
    status, document = await post(unix, RETRY, body)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert document["error"]["message"] == message
    assert daemon.retried == []


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b"all=true", b'{"all": NaN}', b"[" * 100_000, b'"\\ud800"', b"1e999"],
)
async def test_a_body_that_is_no_json_is_refused(unix: aiohttp.ClientSession, body: bytes) -> None:
    status, document = await post(unix, RETRY, body)
    assert status == HTTPStatus.BAD_REQUEST
    assert document["error"]["message"].startswith("the body is not JSON: ")
    assert document["error"]["code"] == "bad_request"


async def test_a_body_that_is_too_large_is_refused(unix: aiohttp.ClientSession) -> None:
    body = b'{"all": true}'
    at_most = body + b" " * (MAX_BODY_BYTES - len(body))
    assert await post(unix, RETRY, at_most) == (200, {"schema_version": 1, "retried": 2})
    status, document = await post(unix, RETRY, at_most + b" ")
    assert status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert document["error"]["message"] == f"the body is larger than {MAX_BODY_BYTES} bytes"
    assert document["error"]["code"] == "too_large"


# Workspaces


async def test_workspaces_come_and_go(unix: aiohttp.ClientSession, tmp_path: Path) -> None:
    shop = {"name": "shop", "root": str(tmp_path / "shop")}
    assert await get(unix, WORKSPACES) == (200, {"schema_version": 1, "workspaces": [shop]})
    garden = {"name": "garden", "root": str(tmp_path / "garden")}
    assert await post(unix, WORKSPACES, {"root": garden["root"]}) == (201, garden)
    assert await get(unix, WORKSPACES) == (200, {"schema_version": 1, "workspaces": [garden, shop]})
    async with unix.delete(f"{WORKSPACES}/shop") as response:
        assert response.status == HTTPStatus.NO_CONTENT
        assert await response.read() == b""
    assert await get(unix, WORKSPACES) == (200, {"schema_version": 1, "workspaces": [garden]})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "root: is missing"),
        ({"root": ""}, "root: expected str of length >= 1"),
        ({"root": "shop"}, "root: expected an absolute path"),
        ({"root": "../../etc"}, "root: expected an absolute path"),
        ({"root": "/a\0b"}, "root: expected an absolute path"),
        ({"root": "/a", "name": "../b"}, 'name: expected letters, digits, ".", "_" and "-"'),
        ({"root": "/a", "name": "b\n"}, 'name: expected letters, digits, ".", "_" and "-"'),
    ],
)
async def test_a_workspace_that_cannot_be_is_refused(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, body: object, message: str
) -> None:
    status, document = await post(unix, WORKSPACES, body)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert document["error"]["message"] == message
    assert len(await daemon.known()) == 1


@pytest.mark.parametrize("name", ["nowhere", "..%2Fshop", "shop%00", "'%20OR%201=1--", "%ff"])
async def test_a_workspace_that_is_not_there_is_not_removed(
    daemon: FakeDaemon, server: ApiServer, token: dict[str, str], name: str
) -> None:
    head = (
        f"DELETE {WORKSPACES}/{name} HTTP/1.1\r\nHost: {base_url(server)[7:]}\r\n"
        f"Authorization: {token['Authorization']}\r\nConnection: close\r\n\r\n"
    )
    answer = await raw(server, head.encode())
    assert answer.split()[1] == b"404"
    assert b'"code":"not_found"' in answer
    assert len(await daemon.known()) == 1


# How it says no


async def test_an_unknown_route_is_said_to_be_one(unix: aiohttp.ClientSession) -> None:
    for path in ("/", "/api/v2/status", "/api/v1/workspaces/a/b", "/healthz/"):
        status, document = await get(unix, path)
        assert status == HTTPStatus.NOT_FOUND
        assert document["error"] == {
            "message": f"there is nothing at {path}",
            "hint": None,
            "code": "not_found",
        }


@pytest.mark.parametrize(
    "target",
    ["/../../../../etc/passwd", "/api/v1/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc"],
)
async def test_a_path_leads_nowhere_but_to_a_route(server: ApiServer, target: str) -> None:
    request = f"GET {target} HTTP/1.1\r\nHost: {base_url(server)[7:]}\r\nConnection: close\r\n\r\n"
    answer = await raw(server, request.encode())
    assert answer.split()[1] in {b"400", b"404"}
    assert b"root:" not in answer


async def test_a_wrong_method_is_told_the_right_ones(unix: aiohttp.ClientSession) -> None:
    async with unix.put(WORKSPACES) as response:
        assert response.status == HTTPStatus.METHOD_NOT_ALLOWED
        assert response.headers["Allow"] == "GET, HEAD, POST"
        assert (await response.json())["error"]["code"] == "wrong_method"


async def test_garbage_is_answered_without_a_word_in_the_log(
    server: ApiServer, caplog: pytest.LogCaptureFixture
) -> None:
    host = f"Host: {base_url(server)[7:]}\r\n".encode()
    for request in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X: " + b"x" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + host + b"X: y\r\n" * 1_000 + b"\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n" + host + b"\r\n",
    ):
        answer = await raw(server, request)
        assert answer.split()[1] == b"400", request[:30]
        assert b"Traceback" not in answer
    assert caplog.records == []


async def test_a_body_that_breaks_off_is_a_bad_request(
    server: ApiServer, token: dict[str, str]
) -> None:
    head = (
        f"POST {RETRY} HTTP/1.1\r\nHost: {base_url(server)[7:]}\r\nConnection: close\r\n"
        f"Authorization: {token['Authorization']}\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
    )
    answer = await raw(server, head.encode())
    assert answer.split()[1] == b"400"
    assert b"Traceback" not in answer


async def test_a_database_that_is_busy_is_unavailable(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    daemon.fails_with = StoreUnavailable("the disk is full", hint="make room")
    status, document = await get(unix, "/api/v1/status")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert document["error"] == {
        "message": "the disk is full",
        "hint": "make room",
        "code": "unavailable",
    }


async def test_a_bug_shows_no_traceback(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon.fails_with = RuntimeError("secret detail")
    status, document = await get(unix, "/api/v1/status")
    assert status == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "secret" not in json.dumps(document)
    assert "Traceback" not in json.dumps(document)
    assert "secret detail" in capsys.readouterr().out, "but the log has it"


@pytest.mark.parametrize("code", ExitCode)
async def test_every_kind_of_error_has_its_status(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, code: ExitCode
) -> None:
    daemon.fails_with = EnrichdError("the graph is upside down")
    daemon.fails_with.exit_code = code
    status, document = await get(unix, "/api/v1/status")
    assert status == status_of(code) >= HTTPStatus.BAD_REQUEST
    assert document["error"]["message"] == "the graph is upside down"
    assert document["error"]["code"]
