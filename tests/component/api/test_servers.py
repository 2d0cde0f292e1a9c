"""The language servers over HTTP, and starting one afresh."""

from __future__ import annotations

from http import HTTPStatus

import aiohttp
import pytest
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_routes import get, post

from enrichd.query.servers import ServerDetail

SERVERS = "/api/v1/servers"
RESTART = "/api/v1/servers/restart"
TY = ServerDetail(
    name="ty",
    language="python",
    workspace="shop",
    version="0.0.104",
    state="ready",
    restarts=3,
    pid=7,
    requests=90,
    failures=2,
    time_outs=1,
    in_flight=4,
    memory_bytes=5 << 20,
    late_answers=1,
    oldest_in_flight_s=0.25,
    restart_reasons={"memory": 2, "asked": 1},
    stderr=["a word"],
)


async def test_servers_are_listed_with_all_that_is_known(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    assert await get(unix, SERVERS) == (200, {"schema_version": 1, "servers": []})
    daemon.servers.append(TY)
    status, document = await get(unix, SERVERS)
    assert status == HTTPStatus.OK
    assert document["servers"] == [
        {
            "name": "ty",
            "language": "python",
            "workspace": "shop",
            "version": "0.0.104",
            "state": "ready",
            "restarts": 3,
            "pid": 7,
            "requests": 90,
            "failures": 2,
            "time_outs": 1,
            "in_flight": 4,
            "next_start_in_s": None,
            "last_error": "",
            "install_hint": "",
            "memory_bytes": 5 << 20,
            "late_answers": 1,
            "oldest_in_flight_s": 0.25,
            "breaker_open": False,
            "restart_reasons": {"memory": 2, "asked": 1},
            "stderr": ["a word"],
        }
    ]


@pytest.mark.parametrize("only", [{}, {"workspace": "shop"}])
async def test_a_server_is_started_afresh(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, only: dict[str, str]
) -> None:
    daemon.servers.append(TY)
    status, document = await post(unix, RESTART, {"name": "ty"} | only)
    assert status == HTTPStatus.OK
    assert document == {
        "schema_version": 1,
        "restarted": [{"name": "ty", "language": "python", "workspace": "shop"}],
    }
    assert daemon.restarted == [("ty", only.get("workspace"))]


async def test_a_server_that_is_not_there_is_not_found(
    daemon: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    status, document = await post(unix, RESTART, {"name": "gopls"})
    assert status == HTTPStatus.NOT_FOUND
    assert document["error"] == {
        "message": "there is no server named gopls",
        "hint": "there are: ty",
        "code": "not_found",
    }
    assert daemon.restarted == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "name: is missing"),
        ({"name": ""}, "name: expected str of length >= 1"),
        ({"name": 3}, "name: expected str, got int"),
        ({"name": "ty", "workspace": ""}, "workspace: expected str of length >= 1"),
        ({"name": "ty", "workspaces": "shop"}, 'unknown parameter; did you mean "workspace"?'),
    ],
)
async def test_a_request_that_means_nothing_is_refused(
    daemon: FakeDaemon, unix: aiohttp.ClientSession, body: object, message: str
) -> None:
    daemon.servers.append(TY)
    status, document = await post(unix, RESTART, body)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert document["error"]["message"].endswith(message)
    assert daemon.restarted == []
