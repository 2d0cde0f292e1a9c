"""Over https a repository is as any other; logins and redirects lead nowhere by themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.integration.sources.https_server import https_host
from tests.integration.sources.origins import Origin, fetched, names, refused, tree

from enrichd.sources.url import GitUrl

pytestmark = pytest.mark.skipif(
    shutil.which("openssl") is None, reason="no openssl on this machine to make a certificate with"
)


def trust(home: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / ".gitconfig").write_text(f"[http]\n\tsslCAInfo = {certificate}\n")
    monkeypatch.setenv("HOME", str(home))


async def test_a_repository_is_cloned_and_followed(
    origin: Origin, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with https_host(tmp_path) as (host, certificate):
        trust(tmp_path, certificate, monkeypatch)
        url = GitUrl.parse(f"{host}/origin.git")
        assert (await fetched(url, sources / "x", depth=1)).cloned
        commit = origin.commit({"a.py": "a = 2\n"})
        found = await fetched(url, sources / "x", depth=1)
    assert (found.commit, found.cloned, found.changed) == (commit, False, True)
    assert tree(sources / "x") == {"a.py": "a = 2\n", "pkg/b.py": "b = 1\n"}


async def test_a_login_is_asked_of_nobody(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    asking = tmp_path / "ask"
    asking.write_text(f"#!/bin/sh\ntouch {asked}\n")
    asking.chmod(0o755)
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(asking))
    with https_host(tmp_path) as (host, certificate):
        trust(tmp_path, certificate, monkeypatch)
        error = await refused(GitUrl.parse(f"{host}/private/a"), sources / "x")
    assert "credential helper" in (error.hint or "")
    assert not asked.exists()


async def test_a_helpers_password_is_in_no_message_and_nowhere_on_the_disk(
    origin: Origin, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with https_host(tmp_path) as (host, certificate):
        trust(tmp_path, certificate, monkeypatch)
        with (tmp_path / ".gitconfig").open("a") as config:
            at = host.replace("//", "//ada:s3cret@")
            config.write(f'[url "{at}/"]\n\tinsteadOf = {host}/\n')
        await fetched(GitUrl.parse(f"{host}/origin.git"), sources / "x")
        error = await refused(GitUrl.parse(f"{host}/private/a"), sources / "y")
    assert "s3cret" not in f"{error.message} {error.hint}"
    for file in (sources / "x").rglob("*"):
        assert not file.is_file() or b"s3cret" not in file.read_bytes()


@pytest.mark.parametrize("to", ["http://localhost:1/a", "file:///etc", "ext::sh -c true"])
async def test_a_redirect_leads_to_no_other_scheme(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    with https_host(tmp_path, elsewhere=to) as (host, certificate):
        trust(tmp_path, certificate, monkeypatch)
        error = await refused(GitUrl.parse(f"{host}/elsewhere/a"), sources / "x")
    assert "Failed to connect" not in error.message
    assert names(sources) == []


async def test_a_certificate_that_nobody_knows_is_refused(
    origin: Origin, sources: Path, tmp_path: Path
) -> None:
    with https_host(tmp_path) as (host, _):
        error = await refused(GitUrl.parse(f"{host}/origin.git"), sources / "x")
    assert "certificate" in (error.hint or "")
