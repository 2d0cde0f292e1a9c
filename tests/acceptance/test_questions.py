"""The questions that people ask, held against what a reader of the code finds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.conftest import Indexed
from tests.running import Said

# Read off the source of the release by hand: each place that calls the method `Session.request`.
# (`requests.request(...)`, twice in the tests, is the function of `api.py`.)
CALLS_OF_SESSION_REQUEST = {
    "src/requests/api.py:71 request",
    "src/requests/sessions.py:671 Session.get",
    "src/requests/sessions.py:682 Session.options",
    "src/requests/sessions.py:693 Session.head",
    "src/requests/sessions.py:712 Session.post",
    "src/requests/sessions.py:726 Session.put",
    "src/requests/sessions.py:740 Session.patch",
    "src/requests/sessions.py:750 Session.delete",
    "tests/test_requests.py:651 TestRequests.test_respect_proxy_env_on_request",
    "tests/test_requests.py:657 TestRequests.test_proxy_authorization_preserved_on_request",
    "tests/test_requests.py:1238 TestRequests.test_request_with_bytestring_host",
}

# `request_started.send` in line 914 belongs to blinker, which is not a part of flask.
CALLS_IN_FULL_DISPATCH_REQUEST = {
    "src/flask/app.py:915 Flask.preprocess_request",
    "src/flask/app.py:917 Flask.dispatch_request",
    "src/flask/app.py:919 Flask.handle_user_exception",
    "src/flask/app.py:920 Flask.finalize_request",
}


def ask(indexed: Indexed, *arguments: str, code: int = 0) -> Said:
    said = indexed.place.run(*arguments, cwd=indexed.root)
    assert said.code == code, said
    return said


def edges(answer: Any, *, external: bool = False) -> set[str]:
    return {
        f"{edge['file']}:{edge['line']} {edge['symbol']['qualified_name']}"
        for edge in answer["edges"]
        if edge["symbol"]["external"] is external
    }


def test_the_callers_of_a_method_are_exactly_those_that_a_reader_finds(requests: Indexed) -> None:
    answer = ask(requests, "callers", "Session.request", "--json").json
    assert edges(answer) == CALLS_OF_SESSION_REQUEST
    assert answer["count"] == len(CALLS_OF_SESSION_REQUEST)
    assert answer["by_relation"] == {"calls": len(CALLS_OF_SESSION_REQUEST)}
    assert answer["completeness"]["level"] == "complete"
    assert answer["completeness"]["reasons"] == []


def test_every_caller_that_is_named_stands_where_it_is_said_to(requests: Indexed) -> None:
    for edge in ask(requests, "callers", "Session.request", "--json").json["edges"]:
        line = (requests.root / edge["file"]).read_bytes().splitlines()[edge["line"] - 1]
        assert line[edge["column"] - 1 :].startswith(b"request("), edge


def test_the_callees_of_a_method_are_exactly_those_that_a_reader_finds(flask: Indexed) -> None:
    answer = ask(flask, "callees", "Flask.full_dispatch_request", "--json").json
    assert edges(answer) == CALLS_IN_FULL_DISPATCH_REQUEST
    assert edges(answer, external=True) <= {"src/flask/app.py:914 Signal.send"}
    assert answer["completeness"]["level"] == "complete"


def test_callers_and_callees_are_each_other_read_backwards(flask: Indexed) -> None:
    for callee in ("Flask.preprocess_request", "Flask.finalize_request"):
        answer = ask(flask, "callers", callee, "--json").json
        assert any(
            edge["symbol"]["qualified_name"] == "Flask.full_dispatch_request"
            for edge in answer["edges"]
        )


def test_an_answer_for_a_person_says_what_is_known_and_how_completely(requests: Indexed) -> None:
    text = ask(requests, "callers", "Session.request").out
    assert re.search(
        r"^method +Session\.request +src/requests/sessions\.py:557$", text, re.MULTILINE
    )
    assert re.search(r"^11 callers \(complete; ty [\d.]+, \d+ \w+ ago\)$", text, re.MULTILINE)


@pytest.mark.parametrize(
    "spelling",
    [
        "Session.request",
        "requests.sessions.Session.request",
        "src/requests/sessions.py/Session#request().",
        "src/requests/sessions.py:557",
        "src/requests/sessions.py:557:9",
        "src/requests/sessions.py:600",  # inside its body
    ],
)
def test_a_symbol_is_found_by_name_by_place_and_by_uid(requests: Indexed, spelling: str) -> None:
    answer = ask(requests, "callers", spelling, "--json").json
    assert [each["qualified_name"] for each in answer["symbols"]] == ["Session.request"]


def test_an_ambiguous_name_lists_its_candidates_and_exits_1(requests: Indexed) -> None:
    said = ask(requests, "callers", "send", code=1)
    assert said.out == ""
    assert "send is ambiguous: it may be any of 5 symbols" in said.err
    for name in ("BaseAdapter.send", "HTTPAdapter.send", "Session.send"):
        assert name in said.err
    assert "hint: " in said.err
    shown = ask(requests, "callers", "send", "--json", code=1).json["error"]["candidates"]
    assert [each["qualified_name"] for each in shown if each["file"] == "src/requests/adapters.py"]
    for each in shown:  # each of them can be asked about by its uid
        ask(requests, "callers", each["uid"], "--json")


def test_a_name_that_is_nowhere_exits_1_and_a_near_one_is_offered(requests: Indexed) -> None:
    said = ask(requests, "callers", "Session.reqeust", code=1)
    assert said.err.startswith("enrichd: there is no symbol Session.reqeust")
    assert re.search(r"did you mean .*\brequest\b", said.err)


def test_symbols_are_found_by_a_part_of_their_name(flask: Indexed) -> None:
    answer = ask(flask, "symbols", "full_dispatch", "--json").json
    assert answer["schema_version"] == 1
    assert [each["qualified_name"] for each in answer["symbols"]] == ["Flask.full_dispatch_request"]
    assert answer["completeness"]["level"] == "complete"
    ask(flask, "symbols", "no_such_thing_anywhere", code=1)


def test_every_reading_command_answers_in_json_with_a_schema_version(requests: Indexed) -> None:
    shapes = {
        ("callers", "Session.request"): {"symbols", "count", "by_relation", "edges", "notes"},
        ("callees", "Session.request"): {"symbols", "count", "by_relation", "edges", "notes"},
        ("references", "Session"): {"symbols", "count", "by_relation", "edges", "notes"},
        ("symbols", "Session"): {"symbols", "count", "more"},
        ("explain", "Session.request"): {"symbols"},
        ("failures",): {"failures", "more", "limit", "offset"},
        ("status",): {"daemon", "workspaces", "servers", "jobs", "problems"},
        ("workspaces", "list"): {"workspaces"},
        ("verify",): {"clean", "problems"},
        ("config", "show"): {"daemon", "monitor", "tracker", "enrich", "index"},
    }
    about_the_graph = {"callers", "callees", "references", "symbols", "explain"}
    for command, keys in shapes.items():
        answer = ask(requests, *command, "--json").json
        assert answer["schema_version"] == 1, command
        assert keys <= answer.keys(), command
        if command[0] in about_the_graph:
            assert answer["completeness"]["level"] == "complete", command


def test_an_edge_says_who_gave_it_to_which_question(requests: Indexed) -> None:
    edge = ask(requests, "callers", "Session.request", "--json").json["edges"][0]
    assert edge.keys() >= {"symbol", "relation", "file", "line", "column", "origin", "unparsed"}
    assert edge["origin"].keys() >= {"server", "version", "operation", "at"}
    assert edge["origin"]["server"] == "ty"


def test_explain_tells_the_outcome_of_every_operation(requests: Indexed) -> None:
    one = ask(requests, "explain", "Session.request", "--json").json["symbols"][0]
    assert one["state"] == "enriched"
    assert [(each["operation"], each["outcome"]) for each in one["operations"]] == [
        ("definition", "edges")
    ]
    assert one["edges_in"]["calls"] == len(CALLS_OF_SESSION_REQUEST)
    assert one["attempts"] == 0


def test_a_question_needs_neither_daemon_nor_the_right_to_write(
    requests: Indexed, tmp_path: Path
) -> None:
    before = requests.place.database.stat().st_mtime_ns
    ask(requests, "callers", "Session.request")
    assert requests.place.database.stat().st_mtime_ns == before
