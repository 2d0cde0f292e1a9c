"""What a command loads before it answers: most of its time goes into that."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from tests.posing import daemon
from tests.written_graph import START, settled_shop

from enrichd.cli.main import COMMANDS
from enrichd.query.status import build

_COMMAND = """
import sys
from enrichd.cli.main import main
try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""
NOBODY_WAITS = {"asyncio", "anyio", "logging", "multiprocessing", "structlog", "tenacity"}
SERVES = {"aiohttp", "prometheus_client", "watchfiles"}
INDEXES = {"cattrs", "lsprotocol", "numpy", "pathspec", "tree_sitter"}
DRAWS = {"rich"}
BRINGS_MUCH = {"email", "hashlib", "http.client", "importlib.metadata", "ssl", "tempfile"}
NO_QUERY_NEEDS = NOBODY_WAITS | SERVES | INDEXES | DRAWS | BRINGS_MUCH
OF_A_STORE = {"aiosqlite", "sqlite3", "enrichd_tracker.store.port", "enrichd_tracker.store.reader"}


def loaded(folder: Path, *arguments: str | Path) -> set[str]:
    """The modules that a command has loaded when it ends, having done what it was told."""
    places = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")
    own = {"ENRICHD_SOCKET": str(folder / "s")} | {each: str(folder) for each in places}
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *arguments],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stderr.splitlines()[-1].split())


def test_the_version_is_told_without_what_commands_need(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "--version")
    unneeded = {"difflib", "enrichd.config", "json", "msgspec", "socket"} | OF_A_STORE
    assert not modules & (NO_QUERY_NEEDS | unneeded)
    assert not modules & set(COMMANDS.values())


def test_a_question_to_the_daemon_loads_neither_a_store_nor_what_a_daemon_needs(
    tmp_path: Path,
) -> None:
    graph = settled_shop(tmp_path)
    own = graph.ask(lambda reader: build(reader, daemon=None, servers=(), now=START))
    with daemon(graph, tmp_path / "s") as heard:
        heard.answer = (200, msgspec.json.encode(own))
        modules = loaded(tmp_path, "status", "--db", graph.database)
    assert [path for _, path, _ in heard.requests] == ["/api/v1/status"]
    assert not modules & (NO_QUERY_NEEDS | OF_A_STORE)


@pytest.mark.parametrize("question", ["symbols", "callers", "explain"])
def test_a_question_to_the_graph_loads_nothing_that_a_daemon_needs(
    tmp_path: Path, question: str
) -> None:
    graph = settled_shop(tmp_path)
    assert not loaded(tmp_path, question, "main", "--db", graph.database) & NO_QUERY_NEEDS


def test_the_help_loads_no_more_than_the_commands(tmp_path: Path) -> None:
    modules = loaded(tmp_path, "--help")
    assert set(COMMANDS.values()) <= modules
    assert not modules & (NO_QUERY_NEEDS | OF_A_STORE)


def test_what_only_a_handshake_needs_comes_with_the_first_server(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f(): pass\n")
    modules = loaded(tmp_path, "index", tmp_path, "--no-enrich", "--db", tmp_path / "graph.db")
    assert "enrichd.lsp.supervisor" in modules
    assert not modules & {"cattrs", "lsprotocol"}
