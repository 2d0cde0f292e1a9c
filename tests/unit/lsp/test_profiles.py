from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from enrichd.errors import ConfigError
from enrichd.lsp.profiles import (
    BUILT_IN,
    DocumentPolicy,
    Profile,
    find_command,
    merge,
    server_environment,
)
from enrichd_tracker.model import Operation

TY = BUILT_IN["ty"]


def program(folder: Path, name: str, mode: int = 0o755) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def test_the_changed_keys_of_a_built_in_profile_are_changed_and_no_others() -> None:
    merged = merge(TY, {"window": 3, "operations": ["definition", "supertypes"]})
    assert merged.window == 3
    assert merged.operations == [Operation.DEFINITION, Operation.SUPERTYPES]
    assert merged.command == TY.command
    assert merged.install_hint == TY.install_hint


def test_tables_are_merged_key_by_key() -> None:
    base = BUILT_IN["basedpyright"]
    merged = merge(base, {"settings": {"basedpyright": {"analysis": {"logLevel": "Error"}}}})
    analysis = merged.settings["basedpyright"]["analysis"]
    assert analysis["logLevel"] == "Error"
    assert analysis["autoSearchPaths"] is True
    assert "logLevel" not in base.settings["basedpyright"]["analysis"]


def test_a_new_profile_needs_a_name_languages_and_a_command() -> None:
    new = merge(None, {"name": "gopls", "languages": ["go"], "command": ["gopls"]})
    assert new.documents is DocumentPolicy.NONE
    assert new.operations == [Operation.DEFINITION]
    with pytest.raises(ConfigError, match="command"):
        merge(None, {"name": "gopls", "languages": ["go"]})


@pytest.mark.parametrize(
    ("overrides", "named"),
    [
        ({"windows": 8}, "windows"),
        ({"documents": "some"}, "documents"),
        ({"operations": ["hover"]}, "operations"),
        ({"window": "eight"}, "window"),
        ({"window": 0}, "window"),
        ({"command": []}, "command"),
        ({"languages": []}, "languages"),
        ({"ready_timeout_s": 0}, "ready_timeout_s"),
        ({"settings": 5}, "settings"),
    ],
)
def test_a_wrong_key_is_named(overrides: dict[str, object], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        merge(TY, overrides)


def test_a_server_installed_with_enrichd_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside = program(tmp_path / "env", "a-server")
    on_path = program(tmp_path / "bin", "a-server")
    profile = merge(TY, {"command": ["a-server", "--stdio"]})
    monkeypatch.setenv("PATH", str(on_path.parent))
    assert find_command(profile) == [str(on_path), "--stdio"]
    monkeypatch.setattr(sys, "executable", str(tmp_path / "env" / "python"))
    assert find_command(profile) == [str(beside), "--stdio"]


def test_nothing_of_the_workspace_is_ever_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planted = program(tmp_path / "workspace" / ".venv" / "bin", "a-server")
    profile = merge(TY, {"command": ["a-server"]})
    monkeypatch.setenv("PATH", os.pathsep.join([str(planted.parent), ".", ""]))
    monkeypatch.chdir(planted.parent)
    assert find_command(profile, tmp_path / "workspace") is None
    assert find_command(profile, tmp_path / "elsewhere") == [str(planted)]


def test_a_command_that_cannot_be_run_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "a-server", mode=0o644)
    (tmp_path / "b-server").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("a-server", "b-server", "c-server"):
        assert find_command(merge(TY, {"command": [name]})) is None


def test_an_absolute_command_is_taken_as_it_is(tmp_path: Path) -> None:
    path = program(tmp_path, "a-server")
    assert find_command(merge(TY, {"command": [str(path), "x"]})) == [str(path), "x"]
    assert find_command(merge(TY, {"command": ["./a-server"]})) is None


def test_the_daemons_own_environment_does_not_choose_the_projects(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", "/somewhere")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    monkeypatch.setenv("LANG", "C.UTF-8")
    environment = server_environment(merge(TY, {"environment": {"RUST_LOG": "warn"}}))
    assert "VIRTUAL_ENV" not in environment
    assert "NOTIFY_SOCKET" not in environment
    assert environment["LANG"] == "C.UTF-8"
    assert environment["RUST_LOG"] == "warn"


@pytest.mark.parametrize("profile", BUILT_IN.values(), ids=BUILT_IN)
def test_every_built_in_profile_says_how_to_get_its_server(profile: Profile) -> None:
    assert profile.install_hint
    assert profile.languages
    assert Operation.DEFINITION in profile.operations
