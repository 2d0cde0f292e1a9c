"""The commands that read: what they print, in text and in JSON, and the codes they end with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from tests.written_graph import (
    APP,
    CLI,
    MAIN,
    RUN,
    SETUP,
    WrittenGraph,
    defined,
    settled_shop,
    shop,
)

from enrichd.cli.main import COMMANDS, root


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


def asked(graph: WrittenGraph, *arguments: str, code: int = 0) -> Result:
    result = run(*arguments, "--db", graph.database)
    assert result.exit_code == code, result.output
    return result


def document(graph: WrittenGraph, *arguments: str, code: int = 0) -> Any:
    found = json.loads(asked(graph, *arguments, "--json", code=code).stdout)
    assert found["schema_version"] == 1
    return found


def every_command(
    group: click.Group = root, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


# Help


@pytest.mark.parametrize("path", [path for path, _ in every_command()], ids=" ".join)
def test_the_help_of_every_command_has_examples_that_call_it(path: tuple[str, ...]) -> None:
    result = run(*path, "--help")
    assert result.exit_code == 0
    examples = result.stdout.partition("Examples:")[2]
    assert f"enrichd {' '.join(path)}" in examples


@pytest.mark.parametrize(
    "name", [name for name in COMMANDS if name not in {"run", "config", "export", "retry"}]
)
def test_every_command_that_reads_has_json(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    if isinstance(command, click.Group):
        command = command.get_command(click.Context(command), "list") or command
    assert command is not None
    assert "--json" in {option for each in command.params for option in each.opts}


@pytest.mark.parametrize("name", [name for name in COMMANDS if name not in {"run", "config"}])
def test_every_command_that_uses_a_database_has_db(name: str) -> None:
    command = root.get_command(click.Context(root), name)
    commands = list(command.commands.values()) if isinstance(command, click.Group) else [command]
    for each in commands:
        assert each is not None
        assert "--db" in {option for param in each.params for option in param.opts}


def test_the_overview_shows_every_command_with_a_whole_sentence() -> None:
    text = run("--help").stdout
    assert "..." not in text.partition("Commands:")[2]
    assert all(f"  {name} " in text for name in COMMANDS)


def test_quiet_may_stand_before_the_command_or_behind_it(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    assert asked(graph, "export", "-q").stderr == ""
    assert asked(graph, "-q", "export").stderr == ""
    assert asked(graph, "export").stderr == "12 edges of tree\n"


# Edges


def test_callers_are_a_headline_with_completeness_and_a_line_each(tmp_path: Path) -> None:
    lines = asked(settled_shop(tmp_path), "callers", "Shop.run").stdout.splitlines()
    assert lines[0].split() == ["method", "Shop.run", f"{APP}:5"]
    assert lines[1].startswith("1 caller (complete; ty 0.0.104, ")
    assert lines[2].split() == [f"{CLI}:8:10", "function", "main"]


def test_no_callers_tells_complete_from_unknown(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    assert "0 callers (complete; " in asked(graph, "callers", "setup").stdout
    graph.file("x.go", defined("go().", line=1, uses=("setup",)), language="go")
    unknown = asked(graph, "callers", "setup").stdout
    assert "0 callers (unknown: no server for Go" in unknown
    assert "name one in [enrich.servers]" in unknown


def test_callers_as_json_carry_their_completeness(tmp_path: Path) -> None:
    found = document(settled_shop(tmp_path), "callers", "Shop.run")
    assert found["question"] == "callers"
    assert found["count"] == len(found["edges"]) == 1
    assert found["edges"][0]["symbol"]["uid"] == MAIN
    assert found["completeness"]["level"] == "complete"
    assert found["completeness"]["as_of"] == "2023-11-14T22:13:20Z"


def test_uses_that_led_nowhere_are_told_though_all_was_asked(tmp_path: Path) -> None:
    text = asked(settled_shop(tmp_path), "callers", "Shop.run").stdout
    assert "note: 1 other use of a name like it led nowhere" in text


def test_callees_and_references_answer_too(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    callees = asked(graph, "callees", "main").stdout
    assert "3 callees" in callees
    assert "posixpath.join (python-stdlib)" in callees
    assert "calls (1)" in asked(graph, "references", "Shop.run").stdout
    assert document(graph, "references", "Shop.run")["by_relation"] == {"calls": 1}


def test_a_place_may_be_relative_to_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = settled_shop(tmp_path)
    monkeypatch.chdir(graph.root / "src")
    assert "1 caller" in asked(graph, "callers", "shop/app.py:6").stdout


def test_an_ambiguous_name_lists_the_candidates_on_stderr_and_exits_1(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.file("other.py", defined("main().", line=4))
    result = asked(graph, "callers", "main", code=1)
    assert result.stdout == ""
    assert "main is ambiguous" in result.stderr
    assert MAIN in result.stderr
    assert f"{CLI}:3" in result.stderr
    found = document(graph, "callers", "main", code=1)
    assert [each["uid"] for each in found["error"]["candidates"]] == ["other.py/main().", MAIN]


def test_an_unknown_symbol_exits_1_with_a_suggestion(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    result = asked(graph, "explain", "Shop.runn", code=1)
    assert result.stderr.splitlines()[0] == "enrichd: there is no symbol Shop.runn"
    assert "Shop.run" in result.stderr
    assert document(graph, "explain", "nope", code=1)["error"]["message"]


# Symbols, explanations, failures


def test_symbols_lists_kind_name_and_place(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    lines = asked(graph, "symbols", "ru").stdout.splitlines()
    assert lines[0].startswith("1 symbol (complete")
    assert lines[1].split() == ["method", "Shop.run", f"{APP}:5"]
    assert document(graph, "symbols", "*", "--kind", "class")["count"] == 1


def test_no_symbol_of_the_name_exits_1(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    assert "0 symbols (complete" in asked(graph, "symbols", "nope", code=1).stdout
    assert document(graph, "symbols", "nope", code=1)["symbols"] == []
    assert (
        "there is no kind klass" in asked(graph, "symbols", "x", "--kind", "klass", code=64).stderr
    )


def test_explain_tells_attempts_reason_and_next_retry(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.fail(MAIN, attempts=3, retry_in_s=20, reason="RequestFailed")
    text = asked(graph, "explain", "main").stdout
    assert "3 of 7 failed: RequestFailed" in text
    assert "backing_off" in text
    (one,) = document(graph, "explain", "main")["symbols"]
    assert (one["state"], one["attempts"], one["operations"][0]["outcome"]) == (
        "backing_off",
        3,
        "pending",
    )


def test_failures_are_filtered_by_state(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    assert asked(graph, "failures").stdout == "no failures\n"
    graph.fail(MAIN, attempts=7, retry_in_s=None, reason="InternalError")
    graph.fail(SETUP, attempts=1, retry_in_s=5)
    assert "InternalError" in asked(graph, "failures", "--state", "skipped").stdout
    found = document(graph, "failures", "--state", "backing-off")
    assert [each["uid"] for each in found["failures"]] == [SETUP]
    asked(graph, "failures", "--state", "nonsense", code=64)


def test_names_of_files_cannot_steer_the_terminal(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a\x1b[31m\n.py", defined("f().", line=1))
    text = asked(graph, "symbols", "f").stdout
    assert "\x1b" not in text
    assert "a\\x1b[31m\\n.py:1" in text


# Status, verify, export


def test_status_reads_the_database_when_no_daemon_has_it(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    text = asked(graph, "status").stdout
    assert text.startswith("enrichd is not running\n")
    assert "2 files, 0 orphans, ty 0.0.104" in text
    found = document(graph, "status")
    assert found["daemon"] == {"running": False, "pid": None, "uptime_s": None, "version": None}
    (one,) = found["workspaces"]
    assert {"name", "root", "files", "symbols", "orphans", "enriched", "backing_off", "skipped",
            "edges", "outcomes", "parse"} <= one.keys()  # fmt: skip
    assert one["outcomes"] == {"edges": 2, "none": 7, "error": 0}
    assert {"name", "version", "state", "restarts"} <= found["servers"][0].keys()


def test_status_watch_draws_again_until_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = settled_shop(tmp_path)
    pauses: list[float] = []

    def wait(_: object, pause_s: float) -> None:
        pauses.append(pause_s)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("threading.Event.wait", wait)
    result = asked(graph, "status", "--watch")
    assert pauses == [2.0, 2.0, 2.0]
    assert result.stdout.count("enrichd is not running") == 3


def test_verify_says_clean_and_exits_0(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    assert asked(graph, "verify").stdout == "clean\n"
    assert document(graph, "verify") == {"schema_version": 1, "clean": True, "problems": []}


def test_verify_lists_what_is_wrong_and_exits_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "enrichd_tracker.store.reader.SqliteReader.verify", lambda _: ["pending: f is wrong"]
    )
    graph = settled_shop(tmp_path)
    assert asked(graph, "verify", code=1).stdout == "pending: f is wrong\n"
    assert document(graph, "verify", code=1)["clean"] is False


def test_an_export_to_a_file_equals_the_one_to_stdout(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    to_stdout = asked(graph, "export", "--format", "jsonl", "-o", "-")
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    asked(graph, "export", "-o", str(target))
    assert target.read_bytes() == to_stdout.stdout_bytes
    assert "12 edges of tree" in to_stdout.stderr
    assert sorted(path.name for path in tmp_path.iterdir() if "out" in path.name) == ["out.jsonl"]


def test_an_export_that_fails_leaves_the_old_file_and_no_draft(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[bytes]:
        yield b"half\n"
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("enrichd.query.export.jsonl", broken)
    target = tmp_path / "out.jsonl"
    target.write_text("old")
    result = asked(settled_shop(tmp_path), "export", "-o", str(target), code=74)
    assert "No space left on device" in result.stderr
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.jsonl"]


def test_an_export_of_several_workspaces_wants_one_to_be_named(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    graph.add_workspace("other", tmp_path / "other")
    assert "choose one with -w: other, tree" in asked(graph, "export", code=64).stderr
    assert RUN in asked(graph, "export", "-w", "tree").stdout


def test_doctor_names_what_is_there_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = settled_shop(tmp_path)
    found = document(graph, "doctor")
    checks = {check["name"]: check for check in found["checks"]}
    assert {"python", "sqlite", "git", "config", "database", "daemon", "ty", "inotify"} <= set(
        checks
    )
    assert found["well"]
    assert "schema 1 of 1" in checks["database"]["text"]
    monkeypatch.setattr("enrichd.lsp.profiles.find_command", lambda *_: None)
    ill = document(graph, "doctor", code=1)
    (ty,) = [check for check in ill["checks"] if check["name"] == "ty"]
    assert (ty["state"], ty["hint"]) == ("missing", "pip install ty")


def test_doctor_misses_a_server_for_a_language_with_orphans(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    graph.file("x.go", defined("f().", line=1, uses=("g",)), language="go")
    assert "no server for it" in asked(graph, "doctor", code=1).stdout
