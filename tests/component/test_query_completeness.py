"""No answer claims to be whole when it is not, and each says why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.written_graph import (
    APP,
    CLI,
    MAIN,
    RUN,
    SETUP,
    START,
    WrittenGraph,
    defined,
    settled_shop,
    shop,
)

from enrichd.query.answers import Circumstances, Unindexed
from enrichd.query.completeness import Completeness, Trust
from enrichd.query.edges import EdgeAnswer, callees, callers, references
from enrichd.query.select import select
from enrichd.query.symbols import symbols
from enrichd_tracker.model import Operation, ParseStatus, Relation, SymbolKind


def asked_callers(graph: WrittenGraph, text: str = "Shop.run") -> EdgeAnswer:
    return graph.ask(lambda reader: callers(reader, select(reader, text), graph.given))


def asked_callees(graph: WrittenGraph, text: str) -> EdgeAnswer:
    return graph.ask(lambda reader: callees(reader, select(reader, text), graph.given))


def asked_references(graph: WrittenGraph, text: str) -> EdgeAnswer:
    return graph.ask(lambda reader: references(reader, select(reader, text), graph.given))


def reasons(whole: Completeness) -> str:
    return "\n".join(whole.reasons)


# What points at a symbol


def test_callers_are_complete_once_all_that_mention_the_name_are_settled(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    answer = asked_callers(graph)
    assert answer.count == 1
    assert answer.completeness.level is Trust.COMPLETE
    assert answer.completeness.reasons == []
    assert answer.completeness.text(START + 12) == "complete; ty 0.0.104, 12 s ago"


def test_no_callers_is_partial_while_a_symbol_that_mentions_the_name_is_pending(
    tmp_path: Path,
) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN)
    answer = asked_callers(graph)
    assert answer.count == 0
    assert answer.completeness.level is Trust.PARTIAL
    assert answer.completeness.pending == 1
    assert "1 symbol that mentions it is not yet enriched (setup)" in answer.completeness.reasons


def test_no_callers_is_unknown_while_no_server_has_answered_for_the_language(
    tmp_path: Path,
) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.go", defined("f().", line=3, uses=("g",)), language="go")
    graph.file("b.go", defined("g().", line=3, uses=("f",)), language="go")
    graph.finish()
    answer = asked_callers(graph, "f")
    assert answer.completeness.level is Trust.UNKNOWN
    assert answer.completeness.text(START) == "unknown: no server for Go"


def test_a_server_that_is_required_but_never_started_proves_nothing(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.py", defined("f().", line=3), defined("g().", line=5, uses=("f",)))
    graph.finish()
    graph.serve(version="")
    assert asked_callers(graph, "f").completeness.level is Trust.UNKNOWN


def test_the_missing_server_is_named_with_what_to_do_about_it(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.py", defined("f().", line=3), defined("g().", line=5, uses=("f",)))
    graph.finish()
    answer = graph.ask(
        lambda reader: callers(
            reader,
            select(reader, "f"),
            Circumstances(graph.now, lambda language: f"get one for {language}"),
        )
    )
    assert answer.completeness.reasons[0] == "no server for Python (get one for python)"


def test_an_unserved_language_that_mentions_the_name_makes_it_unknown(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    graph.file("x.go", defined("f().", line=3, uses=("run",)), language="go")
    graph.answer(MAIN)
    answer = asked_callers(graph)
    assert answer.completeness.level is Trust.UNKNOWN
    assert answer.completeness.reasons[0] == "no server for Go"


def test_an_unserved_language_that_says_nothing_of_it_does_no_harm(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("x.go", defined("f().", line=3, uses=("other",)), language="go")
    graph.file("a.py", defined("g().", line=3), defined("h().", line=5, uses=("g",)))
    graph.finish()
    graph.serve()
    graph.answer("a.py/h().", graph.to("a.py/g().", 5))
    assert asked_callers(graph, "g").completeness.level is Trust.COMPLETE


def test_a_mention_under_an_alias_counts(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.py", defined("f().", line=3))
    graph.file("b.py", defined("h().", line=5, uses=("g",)), aliases=(("f", "g"),))
    graph.finish()
    graph.serve()
    answer = asked_callers(graph, "f")
    assert answer.completeness.level is Trust.PARTIAL
    assert "(h)" in reasons(answer.completeness)


def test_a_failed_mention_is_told_with_its_reason_and_next_retry(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN)
    graph.fail(SETUP, attempts=3, retry_in_s=20, reason="RequestFailed")
    answer = asked_callers(graph)
    assert answer.completeness.level is Trust.PARTIAL
    assert answer.completeness.failed == 1
    assert "setup failed 3 times (RequestFailed); next retry in 20 s" in reasons(
        answer.completeness
    )


def test_a_skipped_mention_keeps_the_answer_partial(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN)
    graph.fail(SETUP, attempts=7, retry_in_s=None)
    answer = asked_callers(graph)
    assert answer.completeness.level is Trust.PARTIAL
    assert "it is skipped until `enrichd retry`" in reasons(answer.completeness)


@pytest.mark.parametrize("status", [ParseStatus.PARTIAL, ParseStatus.ERROR])
def test_a_file_that_did_not_parse_makes_it_partial_and_is_named(
    tmp_path: Path, status: ParseStatus
) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.py", defined("f().", line=3))
    graph.file("broken.py", status=status)
    graph.finish()
    graph.serve()
    answer = asked_callers(graph, "f")
    assert answer.completeness.level is Trust.PARTIAL
    assert "1 file did not parse whole (broken.py)" in answer.completeness.reasons


def test_an_index_run_that_has_not_ended_makes_it_partial(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("a.py", defined("f().", line=3))
    graph.serve()
    answer = asked_callers(graph, "f")
    assert answer.completeness.level is Trust.PARTIAL
    assert "the first index run over tree has not ended" in answer.completeness.reasons


def test_a_file_that_changed_on_disk_makes_it_stale_and_is_named(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    (graph.root / CLI).write_text("changed")
    answer = asked_callers(graph)
    assert answer.completeness.level is Trust.STALE
    assert answer.completeness.reasons == [f"{CLI} changed on disk since it was indexed"]


def test_a_file_that_is_gone_makes_it_stale(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    (graph.root / CLI).unlink()
    answer = asked_callers(graph)
    assert answer.completeness.level is Trust.STALE
    assert "gone from disk" in reasons(answer.completeness)


def test_many_changed_files_are_counted_and_three_are_named(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    for number in range(5):
        graph.file(f"f{number}.py")
        (graph.root / f"f{number}.py").write_text("changed")
    answer = asked_callers(graph)
    assert answer.completeness.reasons == [
        "5 files changed on disk since (f0.py, f1.py, f2.py and 2 more)"
    ]


def test_the_worst_level_wins_and_all_reasons_are_told_worst_first(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.file("broken.py", status=ParseStatus.PARTIAL)
    graph.file("x.go", defined("f().", line=3, uses=("run",)), language="go")
    (graph.root / CLI).write_text("changed")
    whole = asked_callers(graph).completeness
    assert whole.level is Trust.UNKNOWN
    assert [
        "no server" in whole.reasons[0],
        "changed on disk" in whole.reasons[1],
        "not yet enriched" in whole.reasons[2],
        "did not parse" in whole.reasons[3],
    ] == [True] * 4


def test_a_name_that_nothing_mentions_is_complete_by_the_text_alone(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    graph.clock.advance(60)
    answer = asked_callers(graph, "setup")
    assert answer.count == 0
    assert answer.completeness.text(graph.now) == "complete; syntax, 1 min ago"


def test_a_server_that_offers_no_definitions_leaves_everything_unknown(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    graph.serve(operations=(Operation.REFERENCES,))
    for answer in (asked_callers(graph), asked_callees(graph, "main")):
        assert answer.completeness.level is Trust.UNKNOWN
        assert "not asked for definitions" in reasons(answer.completeness)


def test_references_to_a_method_wait_for_classes_that_may_override_it(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file(
        "a.py",
        defined("A#", SymbolKind.CLASS, line=1, end=4),
        defined("A#go().", SymbolKind.METHOD, line=2, end=3, parent=1),
    )
    graph.file(
        "b.py",
        defined("B#", SymbolKind.CLASS, line=1, end=4, uses=("A",)),
        defined("B#go().", SymbolKind.METHOD, line=2, end=3, parent=1),
    )
    graph.file("c.py", defined("C#", SymbolKind.CLASS, line=1, end=4, uses=("B",)))
    graph.finish()
    graph.serve()
    assert asked_callers(graph, "A.go").completeness.level is Trust.COMPLETE
    assert "(B)" in reasons(asked_references(graph, "A.go").completeness)
    graph.answer("b.py/B#", graph.to("a.py/A#", 1, Relation.INHERITS))
    answer = asked_references(graph, "A.go")
    assert answer.by_relation == {"overrides": 1}
    assert "(C)" in reasons(answer.completeness)
    graph.answer("c.py/C#", graph.to("b.py/B#", 1, Relation.INHERITS))
    assert asked_references(graph, "A.go").completeness.level is Trust.COMPLETE


def test_only_suspects_are_looked_at_where_the_daemon_vouches_for_the_others(
    tmp_path: Path,
) -> None:
    graph = settled_shop(tmp_path)

    def level(suspects: list[str] | None) -> Trust:
        waiting = Unindexed(suspects=suspects)
        given = Circumstances(graph.now, unindexed=lambda _: waiting)
        answer = graph.ask(lambda reader: callers(reader, select(reader, "Shop.run"), given))
        return answer.completeness.level

    (graph.root / CLI).write_text("changed")
    assert level(None) is Trust.STALE
    assert level([APP, CLI]) is Trust.STALE
    assert level(["not/indexed.py"]) is Trust.COMPLETE


# What a symbol's own body says


def test_callees_are_complete_once_the_symbol_is_enriched(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    answer = asked_callees(graph, "main")
    assert answer.count == 3
    assert answer.completeness.level is Trust.COMPLETE


def test_callees_of_an_orphan_are_partial(tmp_path: Path) -> None:
    answer = asked_callees(shop(tmp_path), "main")
    assert answer.completeness.level is Trust.PARTIAL
    assert answer.completeness.reasons == ["main is not yet enriched"]
    assert answer.completeness.pending == 1


def test_callees_of_an_orphan_that_nobody_serves_are_unknown(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file("x.go", defined("f().", line=3, uses=("g",)), language="go")
    graph.finish()
    answer = asked_callees(graph, "f")
    assert answer.completeness.text(START) == "unknown: no server for Go"


def test_callees_of_what_is_backing_off_tell_attempts_reason_and_next_retry(
    tmp_path: Path,
) -> None:
    graph = shop(tmp_path)
    graph.fail(MAIN, attempts=2, retry_in_s=10, reason="RequestFailed")
    whole = asked_callees(graph, "main").completeness
    assert whole.level is Trust.PARTIAL
    assert whole.reasons == ["main failed 2 times (RequestFailed); next retry in 10 s"]


def test_an_error_outcome_is_never_complete(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.answer(MAIN, graph.to(RUN, 8), failed=True, reason="InvalidParams")
    answer = asked_callees(graph, "main")
    assert answer.count == 1
    assert answer.completeness.level is Trust.PARTIAL
    assert answer.completeness.reasons == ["definition ended as an error: InvalidParams"]


def test_callees_do_not_care_about_other_files(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)
    (graph.root / APP).write_text("changed")
    assert asked_callees(graph, "main").completeness.level is Trust.COMPLETE
    (graph.root / CLI).write_text("changed")
    assert asked_callees(graph, "main").completeness.level is Trust.STALE


def test_what_lies_outside_has_unknown_callees(tmp_path: Path) -> None:
    answer = asked_callees(settled_shop(tmp_path), "python-stdlib posixpath.join")
    assert answer.completeness.level is Trust.UNKNOWN


def test_uses_of_what_lies_outside_are_never_complete(tmp_path: Path) -> None:
    answer = asked_callers(settled_shop(tmp_path), "python-stdlib posixpath.join")
    assert answer.count == 1
    assert answer.completeness.level is Trust.PARTIAL


# Which symbols there are


def test_a_list_of_symbols_is_as_whole_as_the_files(tmp_path: Path) -> None:
    graph = settled_shop(tmp_path)

    def found() -> Completeness:
        return graph.ask(lambda reader: symbols(reader, "run", graph.given)).completeness

    assert found().text(START + 3) == "complete; syntax, 3 s ago"
    graph.file("broken.py", status=ParseStatus.PARTIAL)
    assert found().level is Trust.PARTIAL
    (graph.root / APP).write_text("changed")
    assert found().level is Trust.STALE
