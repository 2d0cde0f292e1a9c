"""Who may ask, and who may change something."""

# ruff: noqa: ASYNC240  (nothing else waits for the loop)

from __future__ import annotations

import asyncio
import hmac
import os
import stat
import subprocess
import sys
import tempfile
from http import HTTPStatus
from pathlib import Path

import aiohttp
import pytest
from tests.component.api.fake_daemon import FakeDaemon

from enrichd.api.security import read_or_make_token
from enrichd.api.server import ApiServer
from enrichd.errors import ConfigError, PermissionRefused, StorageError

RETRY = "/api/v1/enrichment/retry"
ALL = {"all": True}


def port(server: ApiServer) -> int:
    assert server.address is not None
    return server.address[1]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "localhost.evil.example:{port}",
        "localhost:1",  # another port is another site
        "localhost",
        "127.0.0.1.evil.example:{port}",
        "127.0.0.1:{port}.evil.example",
        "0.0.0.0:{port}",
        "evil.example@localhost:{port}",
        "",
    ],
)
async def test_a_foreign_host_is_refused(
    server: ApiServer, tcp: aiohttp.ClientSession, host: str
) -> None:
    headers = {"Host": host.format(port=port(server))}
    async with tcp.get("/api/v1/status", headers=headers) as response:
        assert response.status in {HTTPStatus.FORBIDDEN, HTTPStatus.BAD_REQUEST}
        if response.status == HTTPStatus.FORBIDDEN:
            assert "Host" in (await response.json())["error"]["message"]


@pytest.mark.parametrize("host", ["localhost", "LocalHost", "127.0.0.1", "[::1]"])
async def test_the_names_of_this_machine_are_welcome(
    server: ApiServer, tcp: aiohttp.ClientSession, host: str
) -> None:
    headers = {"Host": f"{host}:{port(server)}"}
    async with tcp.get("/healthz", headers=headers) as response:
        assert response.status == HTTPStatus.OK


async def test_a_request_without_a_host_is_refused_over_tcp(server: ApiServer) -> None:
    assert b" 403 " in await raw(server, b"GET /api/v1/status HTTP/1.0\r\n\r\n")


async def test_two_hosts_are_refused(server: ApiServer) -> None:
    good = f"Host: localhost:{port(server)}\r\n".encode()
    answer = await raw(
        server, b"GET /healthz HTTP/1.1\r\n" + good + b"Host: evil\r\nConnection: close\r\n\r\n"
    )
    assert answer.split()[1] in {b"400", b"403"}


async def test_any_host_will_do_on_the_unix_socket(unix: aiohttp.ClientSession) -> None:
    async with unix.get("/healthz", headers={"Host": "evil.example"}) as response:
        assert response.status == HTTPStatus.OK


FOREIGN_ORIGINS = [
    "http://evil.example",
    "http://evil.example:{port}",
    "https://localhost:{port}",
    "http://localhost:1",
    "http://localhost",
    "http://localhost:{port}.evil.example",
    "null",
    "",
]


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_foreign_origin_is_refused_even_with_the_token(
    server: ApiServer,
    daemon: FakeDaemon,
    tcp: aiohttp.ClientSession,
    token: dict[str, str],
    origin: str,
) -> None:
    headers = token | {"Origin": origin.format(port=port(server))}
    async with tcp.post(RETRY, json=ALL, headers=headers) as response:
        assert response.status == HTTPStatus.FORBIDDEN
        assert "Origin" in (await response.json())["error"]["message"]
    async with tcp.get("/healthz", headers=headers) as response:
        assert response.status == HTTPStatus.FORBIDDEN
    assert daemon.retried == []


@pytest.mark.parametrize("origin", FOREIGN_ORIGINS)
async def test_a_foreign_origin_is_refused_on_the_unix_socket(
    server: ApiServer, unix: aiohttp.ClientSession, origin: str
) -> None:
    headers = {"Origin": origin.format(port=port(server))}
    async with unix.post(RETRY, json=ALL, headers=headers) as response:
        assert response.status == HTTPStatus.FORBIDDEN


async def test_our_own_origin_is_welcome(
    server: ApiServer, tcp: aiohttp.ClientSession, token: dict[str, str]
) -> None:
    headers = token | {"Origin": f"http://localhost:{port(server)}"}
    async with tcp.post(RETRY, json=ALL, headers=headers) as response:
        assert response.status == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", RETRY),
        ("POST", "/api/v1/workspaces"),
        ("DELETE", "/api/v1/workspaces/shop"),
        ("POST", "/api/v1/servers/restart"),
        ("PUT", "/api/v1/workspaces"),
        ("PATCH", "/api/v1/workspaces"),
        ("POST", "/nowhere"),
    ],
)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        "Bearer wr\u00f6ng",
        "Basic {token}",
        "{token}",
    ],
)
async def test_without_the_token_nothing_is_written_over_tcp(
    daemon: FakeDaemon,
    tcp: aiohttp.ClientSession,
    token: dict[str, str],
    method: str,
    path: str,
    authorization: str | None,
) -> None:
    right = token["Authorization"].removeprefix("Bearer ")
    headers = {} if authorization is None else {"Authorization": authorization.format(token=right)}
    async with tcp.request(method, path, json=ALL, headers=headers) as response:
        assert response.status == HTTPStatus.UNAUTHORIZED
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        problem = (await response.json())["error"]
        assert "token" in problem["message"]
        assert "token_file" in problem["hint"]
    assert daemon.retried == []
    assert daemon.restarted == []
    assert [each.name for each in await daemon.known()] == ["shop"]


async def test_with_the_token_it_is(
    daemon: FakeDaemon, tcp: aiohttp.ClientSession, token: dict[str, str]
) -> None:
    async with tcp.post(RETRY, json=ALL, headers=token) as response:
        assert response.status == HTTPStatus.OK
        assert await response.json() == {"schema_version": 1, "retried": 2}
    assert len(daemon.retried) == 2


@pytest.mark.parametrize("given", ["wrong", "{token}", "wr\u00f6ng"])
async def test_how_long_a_refusal_takes_says_nothing_of_the_token(
    tcp: aiohttp.ClientSession,
    token: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    given: str,
) -> None:
    """It is compared in constant time, and with nothing else."""
    compared: list[tuple[object, object]] = []
    real = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    right = token["Authorization"].removeprefix("Bearer ")
    sent = given.format(token=right)
    async with tcp.post(RETRY, json=ALL, headers={"Authorization": f"Bearer {sent}"}) as response:
        expected = HTTPStatus.OK if sent == right else HTTPStatus.UNAUTHORIZED
        assert response.status == expected
    assert compared == [(sent.encode(), right.encode())]


async def test_reading_needs_no_token(tcp: aiohttp.ClientSession) -> None:
    for path in (
        "/healthz",
        "/metrics",
        "/api/v1/servers",
        "/api/v1/workspaces",
        "/api/v1/enrichment/failures",
    ):
        async with tcp.get(path) as response:
            assert response.status == HTTPStatus.OK, path


async def test_the_unix_socket_needs_no_token(unix: aiohttp.ClientSession) -> None:
    async with unix.post(RETRY, json=ALL) as response:
        assert response.status == HTTPStatus.OK


async def test_a_body_is_not_read_for_who_may_not_send_it(server: ApiServer) -> None:
    head = (
        f"POST {RETRY} HTTP/1.1\r\nHost: localhost:{port(server)}\r\n"
        "Content-Length: 1000000000\r\nConnection: close\r\n\r\n"
    )
    assert b" 401 " in await raw(server, head.encode())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_on_the_socket_is_refused(daemon: FakeDaemon) -> None:
    """Were the modes ever opened, by a person or a proxy, the peer is still asked who it is."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "s"
        server = ApiServer(daemon, socket=path, listen=None, token_file=Path(folder) / "token")
        await server.start()
        try:
            by_mode = await asyncio.to_thread(ask_as_nobody, path)
            path.chmod(0o666)
            by_peer = await asyncio.to_thread(ask_as_nobody, path)
        finally:
            await server.stop()
    assert "PermissionError" in by_mode
    assert " 403 " in by_peer
    assert "user 65534" in by_peer


def ask_as_nobody(path: Path) -> str:
    program = (
        "import os, socket, sys\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10); s.connect(sys.argv[1])\n"
        "s.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "print(s.makefile().read())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout + done.stderr


async def raw(server: ApiServer, request: bytes) -> bytes:
    """Send bytes over TCP; returns all that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port(server))
    try:
        writer.write(request)
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


# The token file


@pytest.mark.usefixtures("careless_umask")
def test_a_missing_token_file_is_made_for_the_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "state" / "token"
    token = read_or_make_token(file)
    assert len(token) >= 32
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]


def test_a_token_stays_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "token"
    assert read_or_make_token(file) == read_or_make_token(file)
    assert read_or_make_token(tmp_path / "other") != read_or_make_token(file)


@pytest.mark.parametrize("content", ["", "\n", "short", "\u00f6" * 20])
def test_a_file_without_a_real_token_lets_nobody_in(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)
    file.chmod(0o600)
    with pytest.raises(ConfigError, match="holds no token"):
        read_or_make_token(file)


def test_a_token_that_everybody_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "token"
    read_or_make_token(file)
    file.chmod(0o644)
    with pytest.raises(PermissionRefused, match="open to every user"):
        read_or_make_token(file)


def test_a_token_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="token file") as caught:
        read_or_make_token(tmp_path / "file" / "token")
    assert "token_file" in (caught.value.hint or "")
