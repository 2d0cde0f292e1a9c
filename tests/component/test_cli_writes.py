"""The commands that change something: through the daemon where there is one, else by themselves."""

from __future__ import annotations

import json
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from tests.posing import daemon
from tests.written_graph import MAIN, SETUP, WrittenGraph, settled_shop, shop

from enrichd.cli.client import DaemonClient
from enrichd.cli.main import root
from enrichd.errors import DaemonUnreachable
from enrichd.settings import SOURCES
from enrichd_tracker.store.lock import Lock


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    monkeypatch.setenv("ENRICHD_SOCKET", str(tmp_path / "s"))


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(root, [str(argument) for argument in arguments])


def failed_shop(tmp_path: Path) -> WrittenGraph:
    graph = shop(tmp_path)
    graph.fail(MAIN, attempts=7, retry_in_s=None)
    graph.fail(SETUP, attempts=1, retry_in_s=5)
    return graph


# retry


def test_retry_makes_a_failed_symbol_an_orphan_again(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    result = run("retry", "main", "--db", graph.database)
    assert result.exit_code == 0, result.output
    assert "1 symbol is asked again by the next" in result.stderr
    assert graph.symbol(MAIN).pending
    assert not graph.symbol(MAIN).failed
    assert graph.symbol(SETUP).failed


def test_retry_all_takes_everything_that_failed(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    assert "2 symbols are asked again" in run("retry", "--all", "--db", graph.database).stderr
    assert graph.ask(lambda reader: reader.failures()) == []
    again = run("retry", "--all", "--db", graph.database)
    assert (again.exit_code, again.stderr) == (0, "nothing has failed\n")


def test_retry_asks_the_daemon_that_has_the_database(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    with daemon(graph, tmp_path / "s") as heard:
        result = run("retry", "main", "--db", graph.database)
        assert result.exit_code == 0, result.output
    assert heard.requests == [
        ("POST", "/api/v1/enrichment/retry", {"symbol": MAIN, "workspace": "tree"})
    ]
    assert graph.symbol(MAIN).failed


def test_retry_all_is_one_request_to_the_daemon(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    with daemon(graph, tmp_path / "s") as heard:
        assert run("retry", "--all", "--db", graph.database).exit_code == 0
        assert run("retry", "--all", "-w", "tree", "--db", graph.database).exit_code == 0
    assert [body for _, _, body in heard.requests] == [
        {"all": True},
        {"all": True, "workspace": "tree"},
    ]


def test_retry_refuses_what_lies_outside(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    result = run("retry", "python-stdlib posixpath.join", "--db", graph.database)
    assert result.exit_code == 64


# workspaces


def test_workspaces_are_added_listed_and_removed(tmp_path: Path) -> None:
    database = tmp_path / "new.db"
    folder = tmp_path / "my code"
    folder.mkdir()
    assert run("workspaces", "add", folder, "--db", database).stderr == f"my-code: {folder}\n"
    again = run("workspaces", "add", folder, "--name", "other", "--db", database)
    assert "is a workspace already, named my-code" in again.stderr
    listed = json.loads(run("workspaces", "list", "--json", "--db", database).stdout)
    assert listed == {
        "schema_version": 1,
        "workspaces": [{"name": "my-code", "root": str(folder), "files": 0, "indexed_at": None}],
    }
    removed = run("workspaces", "remove", "my-code", "--db", database)
    assert removed.stderr == "my-code is forgotten; its files are where they were\n"
    assert run("workspaces", "list", "--db", database).stdout == ""
    assert folder.is_dir()


def test_a_clone_is_deleted_with_its_workspace_and_that_is_said(tmp_path: Path) -> None:
    database, clone = tmp_path / "new.db", tmp_path / SOURCES / "a-clone"
    clone.mkdir(parents=True)
    (clone / "m.py").write_text("x = 1\n")
    assert run("workspaces", "add", clone, "--db", database).exit_code == 0
    removed = run("workspaces", "remove", "a-clone", "--db", database)
    assert removed.stderr == "a-clone is forgotten; its clone is deleted\n"
    assert list(clone.parent.iterdir()) == []


def test_a_name_that_is_taken_or_can_not_be_one_is_refused(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    taken = run("workspaces", "add", other, "--name", "tree", "--db", graph.database)
    assert taken.exit_code == 1
    assert "there is a workspace named tree already" in taken.stderr
    assert run("workspaces", "add", other, "--name", "a b", "--db", graph.database).exit_code == 64


def test_removing_what_is_not_there_exits_1_and_makes_no_database(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    assert run("workspaces", "remove", "nope", "--db", graph.database).exit_code == 1
    assert run("workspaces", "remove", "nope", "--db", tmp_path / "none.db").exit_code == 74
    assert not (tmp_path / "none.db").exists()


def test_workspaces_go_through_the_daemon_that_has_the_database(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    folder = tmp_path / "more"
    folder.mkdir()
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = (201, b'{"name": "more"}')
        assert run("workspaces", "add", folder, "--db", graph.database).exit_code == 0
        heard.answer = (204, b"")
        assert run("workspaces", "remove", "tree", "--db", graph.database).exit_code == 0
    assert heard.requests == [
        ("POST", "/api/v1/workspaces", {"root": str(folder)}),
        ("DELETE", "/api/v1/workspaces/tree", None),
    ]


# The daemon's door


def test_status_is_the_daemons_own_where_it_answers(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    own = json.loads(run("status", "--json", "--db", graph.database).stdout)
    own["daemon"] = {"running": True, "pid": 7, "uptime_s": 70.0, "version": "0.1.0"}
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = (200, json.dumps(own).encode())
        assert json.loads(run("status", "--json", "--db", graph.database).stdout) == own
        text = run("status", "--db", graph.database).stdout
    assert text.startswith("enrichd 0.1.0 is running, pid 7, up 1 min\n")


@pytest.mark.parametrize("answer", [(500, b""), (200, b"nonsense"), (200, b"{}")])
def test_status_falls_back_to_the_database_and_says_so(
    tmp_path: Path, answer: tuple[int, bytes]
) -> None:
    graph = shop(tmp_path)
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = answer
        found = json.loads(run("status", "--json", "--db", graph.database).stdout)
    assert found["workspaces"][0]["files"] == 2
    assert "has the database and was not heard" in found["problems"][0]


def test_the_refusals_of_the_daemon_are_told_as_its_own(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    problem = {"error": {"message": "there is no such thing", "hint": "look again"}}
    codes = {}
    with daemon(graph, tmp_path / "s") as heard:
        for status in (404, 422, 403, 503, 500):
            heard.answer = (status, json.dumps(problem).encode())
            result = run("retry", "main", "--db", graph.database)
            assert "enrichd: there is no such thing\nhint: look again\n" in result.stderr
            codes[status] = result.exit_code
    assert codes == {404: 1, 422: 64, 403: 77, 503: 69, 500: 70}


def test_a_database_in_use_without_a_socket_is_a_daemon_unreachable(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    lock = Lock(graph.database)
    lock.acquire()
    try:
        result = run("retry", "main", "--db", graph.database)
    finally:
        lock.release()
    assert result.exit_code == 69
    assert "can't be reached" in result.stderr


def test_the_daemon_of_another_database_is_not_asked(tmp_path: Path) -> None:
    graph = failed_shop(tmp_path)
    with (
        daemon(graph, tmp_path / "s") as heard,
        pytest.raises(DaemonUnreachable, match="process 1 holds the database"),
    ):
        DaemonClient(tmp_path / "s", pid=1).get("/api/v1/status")
    assert heard.requests == []


def test_a_daemon_that_never_answers_is_given_up(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(tmp_path / "s"))
        deaf.listen()
        with pytest.raises(DaemonUnreachable, match=r"did not answer .* within 0.05 s"):
            DaemonClient(tmp_path / "s", timeout_s=0.05).get("/healthz")


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n{}", "the answer broke off"),
        (b"HTTP/1.0 200 OK\r\nContent-Type", "the answer broke off"),
        (b"220 ready for mail\r\n", "does not speak HTTP"),
        (b"", "does not speak HTTP"),
    ],
)
def test_what_is_no_whole_answer_is_none(tmp_path: Path, answer: bytes, why: str) -> None:
    def serve() -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(1024)
            connection.sendall(answer)

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen()
        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(DaemonUnreachable, match=why):
            DaemonClient(tmp_path / "s").get("/healthz")
        thread.join()
