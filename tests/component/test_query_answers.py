"""What the graph answers: edges, symbols, explanations, failures, status, export."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
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

from enrichd.errors import UsageError
from enrichd.query import status
from enrichd.query.edges import EdgeAnswer, callees, callers, references
from enrichd.query.explain import Explanation, SymbolState, explain
from enrichd.query.export import jsonl
from enrichd.query.failures import FailureState, failures
from enrichd.query.select import select
from enrichd.query.symbols import SymbolList, symbols
from enrichd_tracker.model import Relation, SymbolKind


def asked(graph: WrittenGraph, question: str, text: str) -> EdgeAnswer:
    ask = {"callers": callers, "callees": callees, "references": references}[question]
    return graph.ask(lambda reader: ask(reader, select(reader, text), graph.given))


# Edges


def test_a_caller_is_shown_with_the_place_of_its_call(tmp_path: Path) -> None:
    answer = asked(settled_shop(tmp_path), "callers", "Shop.run")
    (edge,) = answer.edges
    assert (edge.symbol.uid, edge.symbol.qualified_name, edge.relation) == (MAIN, "main", "calls")
    assert (edge.file, edge.line, edge.column) == (CLI, 8, 10)
    assert (edge.origin.server, edge.origin.version, edge.origin.operation) == (
        "ty",
        "0.0.104",
        "definition",
    )


def test_calling_a_class_is_making_an_instance_of_it(tmp_path: Path) -> None:
    answer = asked(settled_shop(tmp_path), "callers", "Shop")
    assert answer.by_relation == {"instantiates": 1}


def test_callees_go_beyond_the_workspace_and_name_the_package(tmp_path: Path) -> None:
    answer = asked(settled_shop(tmp_path), "callees", "main")
    outside = answer.edges[-1].symbol
    assert outside.external
    assert (outside.package, outside.qualified_name, outside.file) == (
        "python-stdlib",
        "posixpath.join",
        None,
    )


def test_an_edge_that_the_text_proves_has_syntax_as_its_operation(tmp_path: Path) -> None:
    (edge,) = asked(settled_shop(tmp_path), "callers", "close").edges
    assert edge.origin.operation == "syntax"


def test_an_edge_from_a_broken_part_is_marked(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN, graph.to(RUN, 8, unparsed=True))
    (edge,) = asked(graph, "callers", "Shop.run").edges
    assert edge.unparsed


def test_edges_are_sorted_by_place(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.file("a.py", defined("z().", line=3, uses=("run",)))
    graph.answer("a.py/z().", graph.to(RUN, 4), graph.to(RUN, 3))
    graph.answer(MAIN, graph.to(RUN, 8))
    places = [(edge.file, edge.line) for edge in asked(graph, "callers", "Shop.run").edges]
    assert places == [("a.py", 3), ("a.py", 4), (CLI, 8)]


def test_references_are_all_relations_but_contains(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    shop_uid = f"{APP}/Shop#"
    graph.answer(
        MAIN,
        graph.to(shop_uid, 8, Relation.INSTANTIATES),
        graph.to(shop_uid, 8, Relation.REFERENCES, column=12),
    )
    graph.answer(SETUP, graph.to(shop_uid, 12, Relation.INHERITS))
    answer = asked(graph, "references", "Shop")
    assert answer.by_relation == {"references": 1, "inherits": 1, "instantiates": 1}


def test_edges_to_any_of_the_siblings_count(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN, graph.to(f"{APP}/Shop#price(+1).", 8))
    answer = asked(graph, "callers", "Shop.price")
    assert len(answer.symbols) == 2
    assert answer.count == 1


def test_a_constructor_points_to_the_callers_of_its_class(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file(
        "a.py",
        defined("A#", SymbolKind.CLASS, line=1, end=4),
        defined("A#__init__().", SymbolKind.METHOD, line=2, parent=1),
    )
    (note,) = asked(graph, "callers", "A.__init__").notes
    assert "enrichd callers A" in note


# Symbols


def found(graph: WrittenGraph, pattern: str, **filters: object) -> SymbolList:
    return graph.ask(lambda reader: symbols(reader, pattern, graph.given, **filters))  # type: ignore[arg-type]


def names(answer: SymbolList) -> list[str]:
    return [symbol.qualified_name for symbol in answer.symbols]


def test_plain_text_finds_exact_names_first_and_then_parts_in_any_case(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.file("a.py", defined("prerun().", line=1), defined("RUNNER().", line=3))
    assert names(found(graph, "run")) == ["Shop.run", "prerun", "RUNNER"]


def test_a_glob_matches_whole_names_and_qualified_names(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    assert names(found(graph, "Shop.*", kind="method")) == ["Shop.run", "Shop.price", "Shop.price"]
    assert names(found(graph, "ru?")) == ["Shop.run"]


def test_symbols_are_filtered_by_kind_and_by_path(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    assert names(found(graph, "*", kind="class")) == ["Shop"]
    assert names(found(graph, "*", path="src/shop/cli.py")) == ["shop.cli", "main", "setup"]
    assert names(found(graph, "main", path="src")) == ["main"]
    assert names(found(graph, "main", path="*/app.py")) == []


def test_a_limit_says_that_there_is_more(tmp_path: Path) -> None:
    answer = found(shop(tmp_path), "*", limit=2)
    assert (answer.count, answer.more) == (2, True)


@pytest.mark.parametrize("wrong", [{"pattern": ""}, {"pattern": "x", "kind": "klass"}])
def test_a_bad_pattern_or_kind_is_a_usage_error(tmp_path: Path, wrong: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        found(shop(tmp_path), **wrong)


# Explanations


def explained(graph: WrittenGraph, text: str) -> Explanation:
    return graph.ask(lambda reader: explain(reader, select(reader, text), graph.given)).symbols[0]


def test_an_enriched_symbol_shows_the_outcome_of_each_operation(tmp_path: Path) -> None:
    one = explained(settled_shop(tmp_path), "main")
    assert one.state is SymbolState.ENRICHED
    (operation,) = one.operations
    assert (operation.operation, operation.outcome) == ("definition", "edges")
    assert operation.edges == {"calls": 2, "instantiates": 1}
    assert one.edges_out == {"calls": 2, "instantiates": 1}
    assert one.parse == "ok"


def test_an_answered_symbol_with_nothing_there_shows_none(tmp_path: Path) -> None:
    (operation,) = explained(settled_shop(tmp_path), "setup").operations
    assert (operation.outcome, operation.server) == ("none", "ty")


def test_an_orphan_is_pending(tmp_path: Path) -> None:
    one = explained(shop(tmp_path), "main")
    assert one.state is SymbolState.PENDING
    assert one.operations[0].outcome == "pending"


def test_a_symbol_that_backs_off_shows_attempts_reason_and_next_retry(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.fail(MAIN, attempts=3, retry_in_s=20, reason="RequestFailed")
    one = explained(graph, "main")
    assert one.state is SymbolState.BACKING_OFF
    assert (one.attempts, one.max_attempts, one.reason) == (3, 7, "RequestFailed")
    assert one.next_retry_at is not None
    assert one.next_retry_at.timestamp() == graph.now + 20


def test_a_skipped_symbol_shows_its_error(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.fail(MAIN, attempts=7, retry_in_s=None, reason="InternalError")
    one = explained(graph, "main")
    assert one.state is SymbolState.SKIPPED
    assert (one.operations[0].outcome, one.operations[0].reason) == ("error", "InternalError")
    assert one.next_retry_at is None


def test_what_has_no_body_needs_nothing(tmp_path: Path) -> None:
    one = explained(shop(tmp_path), "Shop.LIMIT")
    assert one.operations == []
    assert "no body of its own" in one.cannot_know[0]


# Failures


def test_failures_are_listed_by_state_with_due_ones_first(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.fail(MAIN, attempts=7, retry_in_s=None)
    graph.fail(SETUP, attempts=1, retry_in_s=5)

    def uids(**filters: object) -> list[str]:
        answer = graph.ask(lambda reader: failures(reader, **filters))  # type: ignore[arg-type]
        return [each.uid for each in answer.failures]

    assert uids() == [SETUP, MAIN]
    assert uids(state=FailureState.SKIPPED) == [MAIN]
    assert uids(state=FailureState.BACKING_OFF) == [SETUP]
    assert uids(limit=1, offset=1) == [MAIN]
    assert graph.ask(lambda reader: failures(reader, limit=1)).more
    (first, _) = graph.ask(failures).failures
    assert (first.line, first.attempts, first.server) == (10, 1, "ty")


# Status


def built(graph: WrittenGraph) -> status.Status:
    return graph.ask(lambda reader: status.build(reader, daemon=None, servers=(), now=graph.now))


def test_status_counts_what_is_there(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN, graph.to(RUN, 8))
    graph.fail(SETUP, attempts=7, retry_in_s=None)
    (one,) = built(graph).workspaces
    assert (one.files, one.symbols, one.orphans, one.skipped, one.backing_off) == (2, 10, 1, 1, 0)
    assert one.enriched == 8
    assert one.edges == {"calls": 1, "contains": 8}
    assert one.outcomes["error"] == 1
    assert one.parse["ok"] == 2


def test_without_a_daemon_the_servers_are_those_of_the_graph_and_stopped(tmp_path: Path) -> None:
    found = built(shop(tmp_path))
    assert not found.daemon.running
    (server,) = found.servers
    assert (server.name, server.version, server.state) == ("ty", "0.0.104", "stopped")


def test_a_server_that_is_not_installed_is_a_problem_with_its_cure(tmp_path: Path) -> None:
    server = status.ServerInfo(
        "ty", "python", "tree", state="unavailable", install_hint="pip install ty"
    )
    found = shop(tmp_path).ask(
        lambda reader: status.build(
            reader, daemon=status.DaemonInfo(running=True, pid=7), servers=[server], now=0
        )
    )
    assert "python: ty is not installed: pip install ty" in found.problems


def test_a_language_without_a_server_and_a_root_that_is_gone_are_problems(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("x.go", defined("f().", line=1, uses=("g",)), language="go")
    (graph.root / "x.go").unlink()
    graph.root.rmdir()
    problems = "\n".join(built(graph).problems)
    assert "go: no server for Go has answered yet" in problems
    assert f"tree: its root {graph.root} is gone" in problems
    assert "tree: its first index run has not ended" in problems


# Export


def exported(graph: WrittenGraph) -> bytes:
    return graph.ask(lambda reader: b"".join(jsonl(reader, reader.workspaces()[0])))


def test_an_exported_edge_has_the_shape_of_the_contract(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in exported(settled_shop(tmp_path)).splitlines()]
    (call,) = [each for each in lines if each["target"]["uid"] == RUN and "calls" in each.values()]
    assert call == {
        "relation": "calls",
        "source": {
            "uid": MAIN, "name": "main", "kind": "function", "file": CLI, "line": 3, "column": 5,
        },
        "target": {
            "uid": RUN, "name": "run", "kind": "method", "file": APP, "line": 5, "column": 9,
            "external": False,
        },
        "site": {"file": CLI, "line": 8, "column": 10},
        "origin": {"server": "ty", "version": "0.0.104", "operation": "definition"},
    }  # fmt: skip


def test_an_exported_external_keeps_its_keys_and_names_its_package(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in exported(settled_shop(tmp_path)).splitlines()]
    (target,) = [each["target"] for each in lines if each["target"]["external"]]
    assert target == {
        "uid": "python-stdlib posixpath.join", "name": "join", "kind": "external",
        "file": None, "line": None, "column": None, "external": True, "package": "python-stdlib",
    }  # fmt: skip


def test_what_contains_what_is_exported_as_syntax_by_nobody(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in exported(shop(tmp_path)).splitlines()]
    assert {each["relation"] for each in lines} == {"contains"}
    assert len(lines) == 8
    assert lines[0]["origin"] == {"server": None, "version": None, "operation": "syntax"}


def test_equal_graphs_are_exported_as_equal_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    one = settled_shop(tmp_path / "a")
    other = shop(tmp_path / "b")
    other.clock.advance(1000)
    other.answer(SETUP)
    other.answer(
        MAIN, *reversed([
            other.to(f"{APP}/Shop#", 8, Relation.INSTANTIATES), other.to(RUN, 8, column=9),
        ]),
    )  # fmt: skip
    other.answer(RUN, other.to(f"{APP}/close().", 9, by_syntax=True))
    lines = [line for line in exported(one).splitlines() if b'"external":true' not in line]
    assert exported(other).splitlines() == lines


def test_the_export_is_sorted_by_place_and_has_no_times(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in exported(settled_shop(tmp_path)).splitlines()]
    places = [
        (each["site"]["file"], each["site"]["line"], each["site"]["column"], each["relation"])
        for each in lines
    ]
    assert places == sorted(places)
    assert not any("at" in each or "at" in each["origin"] for each in lines)


def test_an_edge_from_a_broken_part_is_marked_in_the_export_and_only_there(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN, graph.to(RUN, 8, unparsed=True), graph.to(RUN, 7))
    lines = [json.loads(line) for line in exported(graph).splitlines()]
    marks = [each.get("unparsed") for each in lines if each["relation"] == "calls"]
    assert marks == [None, True]


@pytest.mark.parametrize("uses", [1, 4, 5, 12])
def test_uses_that_led_nowhere_are_counted_however_many_a_body_has(
    tmp_path: Path, uses: int
) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.py", defined("f().", line=1), defined("g().", line=3, uses=("f",) * uses))
    graph.finish()
    graph.serve()
    graph.answer("a.py/g().", graph.to("a.py/f().", 3))
    number = graph.ask(lambda reader: reader.mentions(["f"], graph.workspace.id).unresolved)
    assert number == uses - 1
