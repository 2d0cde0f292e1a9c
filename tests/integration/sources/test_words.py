"""What a person is told when a repository can't be fetched."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from tests.integration.sources.origins import (
    Origin,
    fetched,
    names,
    refused,
)

from enrichd.errors import UsageError
from enrichd.sources.trouble import GitFailed, SourceError, fetch_failed
from enrichd.sources.url import GitUrl, check_branch


async def test_a_repository_that_is_not_there_is_said(tmp_path: Path, sources: Path) -> None:
    url = GitUrl.parse((tmp_path / "none.git").as_uri())
    error = await refused(url, sources / "x")
    assert url.text in error.message
    assert "does not appear to be a git repository" in error.message
    assert "correct access rights" not in error.message
    assert "check the URL" in (error.hint or "")
    assert names(sources) == []


async def test_an_empty_repository_is_said(tmp_path: Path, sources: Path) -> None:
    error = await refused(Origin(tmp_path), sources / "x")
    assert "empty" in (error.hint or "")


@pytest.mark.parametrize("form", ["https://127.0.0.1:{}/a", "ssh://git@127.0.0.1:{}/a"])
async def test_a_host_that_refuses_is_said(form: str, sources: Path, origin: Origin) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = GitUrl.parse(form.format(closed.getsockname()[1]))
        error = await refused(url, sources / "x")
        assert "check the host and the network" in (error.hint or "")
        await fetched(origin, sources / "y")
        await refused(url, sources / "y")
    assert names(sources) == ["y"]


async def test_without_git_it_is_said(
    origin: Origin, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    error = await refused(origin, sources / "x")
    assert error.hint == "install git"


async def test_a_folder_that_can_not_be_made_is_said(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SourceError, match="could not be put into"):
        await fetched(origin, tmp_path / "file" / "x")


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("fatal: could not read Username for 'https://h': terminal prompts disabled", "credential"),
        ("fatal: Authentication failed for 'https://h/a/'", "credential"),
        ("git@h: Permission denied (publickey).", "ssh key"),
        ("Host key verification failed.", "by hand"),
        ("ssh: Could not resolve hostname h: Name or service not known", "network"),
        ("fatal: unable to access 'https://h/': Could not resolve host: h", "network"),
        ("remote: Repository not found.\nfatal: repository 'https://h/a/' not found", "URL"),
        ("fatal: detected dubious ownership in repository at '/a'", "safe.directory"),
        ("fatal: write error: No space left on device", "room"),
        ("fatal: dumb http transport does not support shallow capabilities", "depth"),
        ("words that nobody knows", "URL"),
    ],
)
def test_the_common_troubles_have_a_hint(said: str, hint: str) -> None:
    error = fetch_failed(GitUrl.parse("https://h/a"), GitFailed(128, said), hidden="/state")
    assert hint in (error.hint or "")


def test_a_servers_words_are_cut_and_hold_nothing_that_harms() -> None:
    words = (
        "remote: \x1b[2J\x9b31m\u202eevil\x07\n"
        "fatal: Authentication failed for 'https://t0ken@h/a' ssh://ada:pa:ss@h/a"
        " in /state/sources/.x.partial/.git\n" + "x" * 5000
    )
    failed = GitFailed(128, words)
    error = fetch_failed(GitUrl.parse("https://h/a"), failed, hidden="/state/sources/.x.partial")
    assert error.message.isprintable()
    assert len(error.message) < 500
    assert not any(each in error.message for each in ("t0ken", "pa:ss", "/state"))
    assert "'https://h/a' ssh://ada@h/a in the clone/.git" in error.message


def test_a_git_that_was_killed_is_said() -> None:
    error = fetch_failed(GitUrl.parse("https://h/a"), GitFailed(-9, ""), hidden="/state")
    assert "killed by signal 9" in error.message


@pytest.mark.parametrize("options", [{"branch": "--upload-pack=x"}, {"depth": 0}])
async def test_a_bad_argument_is_refused(
    origin: Origin, sources: Path, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        await fetched(origin, sources / "x", **options)  # type: ignore[arg-type]
    assert names(sources) == []


@hypothesis_settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much]
)
@given(st.text(st.sampled_from("ab-./@{}~^:?*[\\ \n\u00e9\u202e") | st.characters(), max_size=8))
def test_git_agrees_with_every_branch_that_is_taken(name: str) -> None:
    try:
        check_branch(name)
    except UsageError:
        return
    subprocess.run(["git", "check-ref-format", "--branch", name], check=True, capture_output=True)
