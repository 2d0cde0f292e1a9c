"""Which symbol a person means: names, places, uids, siblings, and what is ambiguous."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.written_graph import APP, CLI, MAIN, RUN, WrittenGraph, defined, shop

from enrichd.errors import AnswerIsNo, UsageError
from enrichd.query.select import AmbiguousSymbol, select
from enrichd_tracker.model import SymbolKind


def uids(graph: WrittenGraph, text: str, workspace: str | None = None) -> list[str]:
    return graph.ask(
        lambda reader: [symbol.uid for symbol in select(reader, text, workspace=workspace).symbols]
    )


@pytest.mark.parametrize(
    "text",
    [
        RUN,
        "Shop.run",
        "run",
        "shop.app.Shop.run",
        "app.Shop.run",
        f"{APP}:5",
        f"{APP}:9",
        f"{APP}:5:9",
        f"./{APP}:7",
    ],
)
def test_a_symbol_answers_to_its_uid_its_names_and_its_places(tmp_path: Path, text: str) -> None:
    assert uids(shop(tmp_path), text) == [RUN]


def test_an_absolute_place_inside_the_root_is_understood(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    assert uids(graph, f"{graph.root}/{APP}:6") == [RUN]


def test_a_relative_place_may_start_at_the_given_folder(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    folder = graph.root / "src" / "shop"
    found = graph.ask(lambda reader: select(reader, "app.py:6", folder=folder))
    assert found.first.uid == RUN


@pytest.mark.parametrize("text", ["shop.cli", "cli", CLI, f"{CLI}/", f"{CLI}:50"])
def test_a_module_answers_to_its_dotted_name_and_to_its_path(tmp_path: Path, text: str) -> None:
    assert uids(shop(tmp_path), text) == [f"{CLI}/"]


def test_a_name_right_at_the_column_wins_over_the_body_around_it(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    limit = graph.symbol(f"{APP}/Shop#LIMIT.")
    assert uids(graph, f"{APP}:17:{limit.column + 1}") == [limit.uid]
    assert uids(graph, f"{APP}:17:{limit.column + 5}") == [limit.uid]
    assert uids(graph, f"{APP}:17:{limit.column + 6}") == [f"{APP}/Shop#"]
    assert uids(graph, f"{APP}:17") == [f"{APP}/Shop#"]


def test_same_named_siblings_of_one_scope_are_one_answer(tmp_path: Path) -> None:
    assert uids(shop(tmp_path), "Shop.price") == [
        f"{APP}/Shop#price().",
        f"{APP}/Shop#price(+1).",
    ]


def test_a_qualified_name_beats_a_name_and_a_name_beats_a_suffix(tmp_path: Path) -> None:
    graph = WrittenGraph(tmp_path)
    graph.file(
        "a.py",
        defined("run().", line=1),
        defined("B#", SymbolKind.CLASS, line=3, end=5),
        defined("B#run().", SymbolKind.METHOD, line=4, parent=2),
    )
    assert uids(graph, "run") == ["a.py/run()."]
    assert uids(graph, "B.run") == ["a.py/B#run()."]


def test_an_ambiguous_name_lists_its_candidates(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    graph.file("other.py", defined("main().", line=4))
    with pytest.raises(AmbiguousSymbol) as caught:
        uids(graph, "main")
    assert caught.value.exit_code == 1
    assert [each.uid for each in caught.value.candidates] == ["other.py/main().", MAIN]
    assert [each.place for each in caught.value.candidates] == ["other.py:4", f"{CLI}:3"]
    assert uids(graph, "other.main") == ["other.py/main()."]


def test_two_workspaces_make_a_uid_ambiguous_until_one_is_named(tmp_path: Path) -> None:
    graph = shop(tmp_path)
    other = graph.add_workspace("twin", tmp_path / "twin")
    graph.file(CLI, defined("main().", line=3), module="shop.cli", workspace=other)
    for text in (MAIN, "shop.cli.main", f"{CLI}:3"):
        with pytest.raises(AmbiguousSymbol):
            uids(graph, text)
        assert uids(graph, text, workspace="twin") == [MAIN]


def test_names_are_case_sensitive_and_close_ones_are_suggested(tmp_path: Path) -> None:
    with pytest.raises(AnswerIsNo) as caught:
        uids(shop(tmp_path), "shop.RUN")
    assert caught.value.exit_code == 1
    assert "Shop.run" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nothing_like_it", "there is no symbol nothing_like_it"),
        ("nowhere.py:3", "there is no indexed file nowhere.py"),
        (f"{APP}:4000", f"{APP} has no line 4000"),
        ("*", "there is no symbol *"),
        ("'; DROP TABLE symbol; --", "there is no symbol '; DROP TABLE symbol; --"),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AnswerIsNo) as caught:
        uids(shop(tmp_path), text)
    assert caught.value.message == message


@pytest.mark.parametrize("text", ["", "  ", "x" * 5000, "a\0b", f"{APP}:0", f"{APP}:3:0"])
def test_what_can_never_be_a_symbol_is_a_usage_error(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        uids(shop(tmp_path), text)


def test_an_unknown_workspace_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(AnswerIsNo) as caught:
        uids(shop(tmp_path), "run", workspace="nope")
    assert caught.value.hint == "there are: tree"


def test_a_misplaced_file_is_suggested_where_it_is(tmp_path: Path) -> None:
    with pytest.raises(AnswerIsNo) as caught:
        uids(shop(tmp_path), "app.py:3")
    assert caught.value.hint == f"did you mean {APP}?"
