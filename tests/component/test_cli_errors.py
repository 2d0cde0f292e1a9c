"""Bad input ends in one line that names the place and the reason, the right code, no traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.written_graph import settled_shop, shop

from enrichd.cli.main import root

START = "from enrichd.cli.main import main; main()"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


def refused(result: Result, code: int) -> str:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("enrichd: ")
    assert "Traceback" not in result.stderr
    return result.stderr


def program(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", START, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# The database


def test_no_database_is_an_io_error_that_says_how_to_make_one(tmp_path: Path) -> None:
    text = refused(run("status", "--db", tmp_path / "none.db"), 74)
    assert f"there is no database at {tmp_path}/none.db" in text
    assert "hint: make one with `enrichd index PATH`" in text


def test_without_db_the_one_of_the_configuration_is_meant(tmp_path: Path) -> None:
    text = refused(run("verify"), 74)
    assert f"{tmp_path}/xdg_state_home/enrichd/enrichd.db" in text


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "text.db"
    file.write_text("not a database " * 100)
    text = refused(run("callers", "f", "--db", file), 74)
    assert "text.db is damaged: file is not a database" in text
    assert "move it away and index again" in text


@pytest.mark.parametrize("content", [None, "", "CREATE TABLE t (a); PRAGMA user_version = 1"])
def test_a_database_of_something_else_is_refused(tmp_path: Path, content: str | None) -> None:
    import sqlite3  # noqa: PLC0415

    file = tmp_path / "other.db"
    if content is None:
        file.mkdir()
    else:
        file.touch()
        connection = sqlite3.connect(file)
        connection.executescript(content)
        connection.close()
    assert "other.db is" in refused(run("status", "--db", file), 74)


def test_a_newer_schema_is_refused_with_78(tmp_path: Path) -> None:
    import sqlite3  # noqa: PLC0415

    graph = shop(tmp_path)
    connection = sqlite3.connect(graph.database)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    text = refused(run("status", "--db", graph.database), 78)
    assert "has schema version 99" in text
    assert "upgrade enrichd" in text


def test_an_unknown_workspace_exits_1(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    text = refused(run("callers", "run", "-w", "nope", "--db", graph.database), 1)
    assert "there is no workspace named nope" in text
    assert "hint: there are: tree" in text


@pytest.mark.parametrize("text", ["", "src/shop/app.py:0"])
def test_a_bad_s_is_a_usage_error(tmp_path: Path, text: str) -> None:
    graph = shop(tmp_path)
    refused(run("callers", text, "--db", graph.database), 64)


# The command line


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["calers"], "there is no command calers; did you mean callers?"),
        (["callers"], "Missing argument 'S'"),
        (["callers", "a", "b"], "Got unexpected extra argument"),
        (["callers", "a", "--nope"], "No such option"),
        (["symbols", "x", "--limit", "0"], "0 is not in the range"),
        (["index", ".", "--timeout", "soon"], "'soon' is not a valid float"),
        (["export", "--format", "xml"], "'xml' is not"),
        (["retry"], "give either a symbol or --all"),
        (["retry", "f", "--all"], "give either a symbol or --all"),
        (["config"], ""),
        ([], ""),
    ],
)
def test_a_wrong_command_line_exits_64(arguments: list[str], reason: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 64
    assert reason in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", [["index"], ["workspaces", "add"]])
def test_a_missing_path_and_a_file_in_place_of_a_folder_are_named(
    tmp_path: Path, command: list[str]
) -> None:
    assert f"{tmp_path}/nope: No such file" in refused(run(*command, tmp_path / "nope"), 64)
    file = tmp_path / "file.py"
    file.touch()
    assert f"{file} is a file, not a folder" in refused(run(*command, file), 64)


def test_a_bad_configuration_exits_78_and_names_the_key(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[monitor]\ninterval = 5\n")
    for result in (run("config", "check", file), run("--config", file, "status")):
        text = refused(result, 78)
        assert "monitor.interval: unknown key" in text


def test_a_server_that_no_profile_describes_is_a_bad_configuration(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[enrich.servers]\npython = "nonsense"\n')
    assert "nonsense" in refused(run("config", "check", file), 78)


def test_a_good_configuration_is_ok_and_can_be_shown(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("[monitor]\ninterval_s = 7\n")
    result = run("config", "check", file)
    assert (result.exit_code, result.stdout) == (0, f"ok: {file}\n")
    assert "interval_s = 7" in run("config", "show", "--config", file).stdout
    assert '"interval_s": 7' in run("--config", file, "config", "show", "--json").stdout


def test_an_export_into_a_folder_that_is_not_there_is_an_io_error(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    target = tmp_path / "no" / "out.jsonl"
    text = refused(run("export", "--db", graph.database, "-o", target), 74)
    assert f"cannot write {target}: No such file or directory" in text


# What nobody foresaw


def test_a_bug_exits_70_with_one_line_and_shows_its_traceback_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("enrichd.query.status.build", broken)
    graph = shop(tmp_path)
    text = refused(run("status", "--db", graph.database), 70)
    assert "this is a bug: ZeroDivisionError: oh" in text
    assert "--debug" in text
    assert "Traceback" in run("--debug", "status", "--db", graph.database).stderr


def test_an_interrupt_exits_130(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("enrichd.query.status.build", interrupted)
    assert run("status", "--db", shop(tmp_path).database).exit_code == 130


# The program itself


def test_the_program_starts_and_ends_with_the_codes_of_its_commands(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    assert program("--version").stdout.startswith("enrichd ")
    assert program("callers", "Shop.run", "--db", graph.database).returncode == 0
    assert program("callers", "nobody", "--db", graph.database).returncode == 1
    assert program("callers").returncode == 64
    assert program("status", "--db", tmp_path / "none").returncode == 74


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    script = '"$0" -c "$1" export --db "$2" | true; echo ${PIPESTATUS[0]}'
    done = subprocess.run(
        ["bash", "-c", script, sys.executable, START, graph.database],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "0\n"
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_there_are_no_colours_in_a_pipe_nor_with_no_color(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    done = program("callers", "Shop.run", "--db", graph.database)
    assert "\x1b" not in done.stdout + done.stderr


def test_nothing_heavy_is_imported_to_show_a_status(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    code = (
        "import sys; from enrichd.cli.main import root\n"
        f"try: root.main(['status', '--db', {str(graph.database)!r}])\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'rich', 'structlog', 'tree_sitter', 'lsprotocol', 'watchfiles'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.splitlines()[-1] == "[]", done.stdout + done.stderr


def test_ctrl_c_ends_a_watch_in_peace(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    process = subprocess.Popen(
        [sys.executable, "-c", START, "status", "--watch", "--db", str(graph.database)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "enrichd is not running\n"
    while process.stdout.readline() != "\n":
        pass
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode in {0, 130}
    assert "Traceback" not in errors
