"""`enrichd servers`: what it shows, what it asks of the daemon, and what it says without one."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.posing import daemon
from tests.written_graph import shop

from enrichd.cli.main import root
from enrichd.query.servers import Restarted, RestartedServer, ServerDetail, ServerList

READY = ServerDetail(
    name="ty",
    language="python",
    workspace="tree",
    version="0.0.104",
    state="ready",
    restarts=3,
    pid=71,
    requests=9549,
    failures=1,
    in_flight=8,
    memory_bytes=(120 << 20) + 5,
    oldest_in_flight_s=0.25,
    restart_reasons={"memory": 2, "asked": 1},
    stderr=["it said \x1b[31mthis"],
)
RESTING = ServerDetail(
    name="gopls",
    language="go",
    workspace="tree",
    state="backing off",
    restarts=1,
    restart_reasons={"died": 1},
    next_start_in_s=12.5,
    last_error="it exited with status 3",
    stderr=[f"line {number}" for number in range(20)],
)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("ENRICHD_SOCKET", str(tmp_path / "s"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


def shown(tmp_path: Path, *servers: ServerDetail, options: tuple[str, ...] = ()) -> Result:
    graph = shop(tmp_path)
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = (200, msgspec.json.encode(ServerList(servers=list(servers))))
        result = run("servers", *options, "--db", graph.database)
        assert heard.requests == [("GET", "/api/v1/servers", None)]
    assert result.exit_code == 0, result.output
    return result


def test_a_server_is_one_line_and_the_last_words_of_one_that_is_not_ready(tmp_path: Path) -> None:
    lines = shown(tmp_path, READY, RESTING).stdout.splitlines()
    [ready, resting] = [[*filter(None, line.split("  "))] for line in lines[:2]]
    assert [word.strip() for word in ready] == [
        "ty 0.0.104",
        "python of tree",
        "ready",
        "pid 71",
        "120 MiB",
        "9,549 requests, 1 failure, 8 in flight (the oldest for 0.2 s)",
        "3 restarts (memory 2, asked 1)",
    ]
    assert [word.strip() for word in resting] == [
        "gopls",
        "go of tree",
        "backing off, next start in 12 s",
        "0 requests, 0 failures",
        "1 restart (died 1)",
        "it exited with status 3",
    ]
    assert lines[2:] == [f"    line {number}" for number in range(15, 20)]


def test_with_stderr_all_last_words_are_shown_and_none_can_steer_the_terminal(
    tmp_path: Path,
) -> None:
    lines = shown(tmp_path, READY, RESTING, options=("--stderr",)).stdout.splitlines()
    assert lines[1] == "    it said \\x1b[31mthis"
    assert lines[3:] == [f"    line {number}" for number in range(20)]


def test_a_server_that_said_nothing_is_told_apart_from_one_that_was_not_asked(
    tmp_path: Path,
) -> None:
    quiet = msgspec.structs.replace(READY, stderr=[])
    text = shown(tmp_path, quiet, options=("--stderr",)).stdout
    assert text.splitlines()[1:] == ["    nothing on stderr"]


def test_a_server_that_is_not_installed_is_shown_with_how_to_install_it(tmp_path: Path) -> None:
    missing = ServerDetail(
        name="ty",
        language="python",
        workspace="tree",
        state="unavailable",
        next_start_in_s=59.9,
        last_error="ty is not installed",
        install_hint="pip install ty",
    )
    [line] = shown(tmp_path, missing).stdout.splitlines()
    assert "unavailable, looked for in 59 s" in line
    assert line.endswith("pip install ty")


def test_json_is_the_daemons_own_document(tmp_path: Path) -> None:
    found = json.loads(shown(tmp_path, READY, options=("--json",)).stdout)
    assert found == msgspec.to_builtins(ServerList(schema_version=1, servers=[READY]))


def test_no_servers_are_a_message_and_no_data(tmp_path: Path) -> None:
    result = shown(tmp_path)
    assert (result.stdout, "there are none" in result.stderr) == ("", True)


@pytest.mark.parametrize("words", [["servers"], ["servers", "restart", "ty"]], ids=" ".join)
def test_without_a_daemon_it_is_said_how_to_start_one(tmp_path: Path, words: list[str]) -> None:
    graph = shop(tmp_path)
    for database in (graph.database, tmp_path / "none.db"):
        result = run(*words, "--db", database)
        assert (result.exit_code, result.stdout) == (69, "")
        assert f"no daemon runs on {database}" in result.stderr
        assert "`enrichd run`" in result.stderr
    assert not (tmp_path / "none.db").exists()


def test_a_restart_is_asked_of_the_daemon_and_told(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    answer = Restarted(restarted=[RestartedServer("ty", "python", "tree")])
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = (200, msgspec.json.encode(answer))
        result = run("servers", "restart", "ty", "--db", graph.database)
        assert (result.exit_code, result.stdout) == (0, "")
        assert result.stderr == "ty is started afresh for python of tree\n"
        assert run("servers", "restart", "ty", "-w", "tree", "--db", graph.database).exit_code == 0
    assert heard.requests == [
        ("POST", "/api/v1/servers/restart", {"name": "ty"}),
        ("POST", "/api/v1/servers/restart", {"name": "ty", "workspace": "tree"}),
    ]


def test_a_name_that_is_no_servers_exits_1_with_the_names(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    problem = {"message": "there is no server named tie", "hint": "there are: ty"}
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = (404, json.dumps({"error": problem}).encode())
        result = run("servers", "restart", "tie", "--db", graph.database)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "enrichd: there is no server named tie\nhint: there are: ty\n"
