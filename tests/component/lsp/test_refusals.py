"""What a language server asks for and does not get: edits, windows, programs."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.component.lsp.test_processes import RAW

from enrichd.clock import SystemClock, within
from enrichd.lsp.client import Client
from enrichd.lsp.hello import initialize_params
from enrichd.lsp.manners import Manners
from enrichd.lsp.process import ServerProcess

CLOCK = SystemClock()
METHOD_NOT_FOUND = -32601
PROGRAM = (
    "import json, runpy, sys\n"
    "raw = runpy.run_path(sys.argv[-1])\n"
    "raw['QUESTIONS'][:] = json.loads(sys.argv[2])\n"
    "raw['main']()\n"
)


async def answers(root: Path, questions: list[tuple[str, object]]) -> dict[str, Any]:
    """What a server is answered that asks for these; it shows it in its log."""
    numbered = [(number, *each) for number, each in enumerate(questions)]
    command = [sys.executable, "-c", PROGRAM, "asks", json.dumps(numbered), RAW]
    manners = Manners({}, root.as_uri(), root.name)
    process = ServerProcess(command, cwd=root, environment={}, clock=CLOCK)
    client = Client(process, manners=manners, clock=CLOCK, request_timeout_s=5.0)

    async def until_told() -> None:
        while len(manners.log) < len(questions):  # noqa: ASYNC110 (the log tells nobody)
            await asyncio.sleep(0.01)

    try:
        await process.start()
        await client.call("initialize", initialize_params(root, {}), timeout_s=10.0)
        client.notify("initialized", {})
        await within(CLOCK, 10.0, until_told())
    finally:
        await process.kill()
        await client.aclose()
    told = [json.loads(line) for line in manners.log]
    return {questions[each["id"]][0]: each for each in told}


def edits(root: Path) -> object:
    start = {"line": 0, "character": 0}
    change = {"range": {"start": start, "end": start}, "newText": "changed"}
    fresh = (root / "fresh.py").as_uri()
    return {
        "changes": {(root / "a.py").as_uri(): [change]},
        "documentChanges": [
            {"kind": "create", "uri": fresh, "options": {"overwrite": True}},
            {"kind": "rename", "oldUri": (root / "a.py").as_uri(), "newUri": fresh},
            {"kind": "delete", "uri": (root / "a.py").as_uri()},
        ],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "a.py").write_text("whole\n")
    return tmp_path


def names(root: Path) -> list[str]:
    return [each.name for each in root.iterdir()]


async def test_no_edit_is_made_for_a_server(root: Path) -> None:
    told = await answers(root, [("workspace/applyEdit", {"edit": edits(root)})])
    assert told["workspace/applyEdit"]["result"]["applied"] is False
    assert names(root) == ["a.py"]
    assert (root / "a.py").read_text() == "whole\n"


async def test_nothing_is_shown_or_opened_for_a_server(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents = [(root / "a.py").as_uri(), "https://example.com", "file:///etc/passwd"]
    for uri in documents:
        asked = {"uri": uri, "external": True, "takeFocus": True}
        started = forbid_programs(monkeypatch)
        told = await answers(root, [("window/showDocument", asked)])
        assert told["window/showDocument"]["result"] == {"success": False}
        assert len(started) == 1, "the server itself, and nothing for it"


async def test_a_server_has_no_program_run_and_no_question_answered_by_a_person(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = forbid_programs(monkeypatch)
    offer = {"type": 1, "message": "run it?", "actions": [{"title": "yes"}]}
    told = await answers(
        root,
        [
            ("workspace/executeCommand", {"command": "sh", "arguments": ["-c", "touch x"]}),
            ("window/showMessageRequest", offer),
            ("experimental/runInTerminal", {"command": "touch x"}),
        ],
    )
    assert told["workspace/executeCommand"]["error"]["code"] == METHOD_NOT_FOUND
    assert told["experimental/runInTerminal"]["error"]["code"] == METHOD_NOT_FOUND
    assert told["window/showMessageRequest"]["result"] is None
    assert len(started) == 1
    assert names(root) == ["a.py"]


async def test_a_client_promises_nothing_that_it_would_not_do(root: Path) -> None:
    capabilities: Any = initialize_params(root, {})["capabilities"]
    workspace, window = capabilities.get("workspace", {}), capabilities.get("window", {})
    assert not workspace.get("applyEdit")
    assert not workspace.get("workspaceEdit")
    assert not workspace.get("executeCommand")
    assert not window.get("showDocument")


def forbid_programs(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every program that is started from now on; returns what was."""
    started: list[object] = []
    loop = asyncio.get_running_loop()
    real: Callable[..., Any] = type(loop).subprocess_exec

    async def watched(self: object, *arguments: Any, **options: Any) -> Any:
        started.append(arguments[1:])
        return await real(self, *arguments, **options)

    monkeypatch.setattr(type(loop), "subprocess_exec", watched)
    return started
