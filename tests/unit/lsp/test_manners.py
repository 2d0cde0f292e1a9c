from __future__ import annotations

import json

import pytest
from msgspec import Raw

from enrichd.lsp.manners import Manners, section_of
from enrichd.lsp.wire import ErrorObject

SETTINGS = {"python": {"analysis": {"depth": 3}}, "dotted.key": 1}


def ask(manners: Manners, method: str, params: object) -> object:
    return manners.answer(method, Raw(json.dumps(params).encode()))


def tell(manners: Manners, method: str, params: object) -> None:
    manners.notice(method, Raw(json.dumps(params).encode()))


@pytest.fixture
def manners() -> Manners:
    return Manners(SETTINGS, "file:///root", "root")


@pytest.mark.parametrize(
    ("section", "found"),
    [
        ("python.analysis", {"depth": 3}),
        ("python.analysis.depth", 3),
        ("dotted.key", 1),
        ("python.nothing.here", None),
        ("ruby", None),
        ("", SETTINGS),
        (None, SETTINGS),
    ],
)
def test_settings_are_found_by_section(section: str | None, found: object) -> None:
    assert section_of(SETTINGS, section) == found


def test_configuration_answers_every_item(manners: Manners) -> None:
    items = {"items": [{"section": "python.analysis"}, {"section": "none"}, {"scopeUri": "x"}]}
    assert ask(manners, "workspace/configuration", items) == [{"depth": 3}, None, SETTINGS]


@pytest.mark.parametrize(
    ("method", "params", "answer"),
    [
        ("window/workDoneProgress/create", {"token": 1}, None),
        ("window/showMessageRequest", {"type": 1, "message": "?"}, None),
        ("workspace/workspaceFolders", None, [{"uri": "file:///root", "name": "root"}]),
        ("workspace/applyEdit", {"edit": {}}, {"applied": False}),
        ("window/showDocument", {"uri": "x"}, {"success": False}),
        ("workspace/semanticTokens/refresh", None, None),
    ],
)
def test_every_request_gets_an_answer(
    manners: Manners, method: str, params: object, answer: object
) -> None:
    assert ask(manners, method, params) == answer


def test_what_is_not_known_is_refused_not_ignored(manners: Manners) -> None:
    answer = ask(manners, "never/heard", {})
    assert isinstance(answer, ErrorObject)
    assert answer.code == -32601
    answer = ask(manners, "workspace/configuration", {"items": 5})
    assert isinstance(answer, ErrorObject)
    assert answer.code == -32602


def test_registrations_are_remembered(manners: Manners) -> None:
    one = {"id": "1", "method": "workspace/didChangeWatchedFiles", "registerOptions": {}}
    ask(manners, "client/registerCapability", {"registrations": [one]})
    assert manners.registrations == {"1": "workspace/didChangeWatchedFiles"}
    ask(manners, "client/unregisterCapability", {"unregisterations": [one]})
    assert manners.registrations == {}


def test_progress_is_followed_from_begin_to_end(manners: Manners) -> None:
    for token in ("a", 2):
        tell(manners, "$/progress", {"token": token, "value": {"kind": "begin", "title": "x"}})
    tell(manners, "$/progress", {"token": "a", "value": {"kind": "report"}})
    tell(manners, "$/progress", {"token": "a", "value": {"kind": "end"}})
    assert manners.progress_active == 1
    assert manners.quiet is False
    tell(manners, "$/progress", {"token": 2, "value": {"kind": "end"}})
    assert manners.progress_active == 0
    assert manners.progress_begun == 2


def test_a_server_that_says_it_is_not_quiescent_is_not_quiet(manners: Manners) -> None:
    tell(manners, "experimental/serverStatus", {"health": "ok", "quiescent": False})
    before = manners.quiet
    tell(manners, "experimental/serverStatus", {"health": "ok", "quiescent": True})
    assert (before, manners.quiet) == (False, True)


def test_its_log_is_kept_but_never_grows(manners: Manners) -> None:
    for number in range(1000):
        tell(manners, "window/logMessage", {"type": 3, "message": f"{number} " + "x" * 10_000})
    assert len(manners.log) == 50
    assert all(len(line) <= 500 for line in manners.log)


def test_progress_that_never_ends_takes_no_memory_without_end(manners: Manners) -> None:
    for number in range(2000):
        token = f"{number:04}" + "x" * 10_000
        tell(manners, "$/progress", {"token": token, "value": {"kind": "begin", "title": "x"}})
    assert manners.progress_begun == 2000
    assert manners.progress_active == 1000
    assert max(len(str(token)) for token in manners._working) == 500
    tell(manners, "$/progress", {"token": "0000" + "x" * 10_000, "value": {"kind": "end"}})
    assert manners.progress_active == 999


@pytest.mark.parametrize("params", [5, {"token": []}, {"token": 1, "value": "x"}, None])
def test_garbled_notifications_are_passed_over(manners: Manners, params: object) -> None:
    tell(manners, "$/progress", params)
    tell(manners, "window/logMessage", params)
    assert manners.quiet
