"""What is found by name is what a look at every symbol would find, in the order of the places."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.written_graph import WrittenGraph, defined

from enrichd.query.select import ignoring_case
from enrichd_tracker.model import FoundSymbol, SymbolKind, Workspace
from enrichd_tracker.store import named
from enrichd_tracker.store.port import Reader, StoredSymbol
from enrichd_tracker.store.reading import reading

NAMES = ("a", "A", "ab", "aB", "b_a", "b%", "é", "É", "b]", "\U0010ffff", "\ud7ff", "ab\ue000")
globs = st.one_of(
    st.text("aAbB_.%é*?[]^-\ud7ff\ue000\U0010ffff", max_size=8),
    st.text("aAbB_.é", min_size=1, max_size=3).map(lambda text: f"{text}*"),
    st.text("aAbB_.é", min_size=1, max_size=3).map(lambda text: f"*{ignoring_case(text)}*"),
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> WrittenGraph:
    made = WrittenGraph(tmp_path_factory.mktemp("named"))
    twin = made.add_workspace("twin", made.root.parent / "twin")
    for path, workspace in (("z.py", None), ("a.py", twin), ("a.py", None), ("k/a.py", None)):
        made.file(path, *_symbols(), module=path.removesuffix(".py"), workspace=workspace)
    return made


def _symbols() -> Iterator[FoundSymbol]:
    yield defined("A#", SymbolKind.CLASS, line=90, end=99)
    for line, name in enumerate(NAMES, 1):
        yield defined(f"{name}().", line=100 - line)
        yield defined(f"A#{name}().", SymbolKind.METHOD, line=90, parent=1)


@pytest.fixture(scope="module")
def reader(graph: WrittenGraph) -> Iterator[Reader]:
    with reading(graph.database) as opened:
        yield opened


def _model(reader: Reader, glob: str, workspace: Workspace | None) -> list[StoredSymbol]:
    """A look at every symbol, one after another."""
    found = [
        symbol
        for each in reader.workspaces()
        for path in reader.files(each.id)
        for symbol in reader.symbols_in(each.id, path)
        if workspace is None or each.id == workspace.id
        if _holds("GLOB", symbol.name, glob) or _holds("GLOB", symbol.qualified_name, glob)
    ]
    return sorted(
        found,
        key=lambda each: (each.workspace_id, each.path or "", each.line, each.column, each.id),
    )


def _holds(operator: str, text: str, pattern: str) -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        (holds,) = connection.execute(f"SELECT ? {operator} ?", (text, pattern)).fetchone()
        return bool(holds)


@pytest.mark.parametrize("many", [0, 3, 2_048])
@settings(deadline=None)
@given(glob=globs, narrowed=st.booleans(), limit=st.sampled_from((-1, 0, 1, 5, 1_000)))
@example(glob="*", narrowed=False, limit=5)
@example(glob="a*", narrowed=False, limit=-1)
@example(glob="A.a*", narrowed=True, limit=-1)
@example(glob="\U0010ffff*", narrowed=False, limit=-1)
@example(glob="\ud7ff*", narrowed=False, limit=-1)
@example(glob="", narrowed=False, limit=-1)
def test_it_is_what_a_look_at_every_symbol_finds(
    graph: WrittenGraph, reader: Reader, many: int, glob: str, narrowed: bool, limit: int
) -> None:
    """However many may match: each number of candidates has its own way to the answer."""
    workspace = graph.workspace if narrowed else None
    expected = _model(reader, glob, workspace)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(named, "_MOST_IDS", many)
        found = reader.symbols_like(glob, workspace.id if workspace else None, limit)
    assert found == (expected if limit < 0 else expected[:limit])


@settings(deadline=None)
@given(glob=globs, text=st.text("aAbB_.%é]^-", max_size=6))
def test_what_a_glob_matches_its_like_lets_through(glob: str, text: str) -> None:
    if _holds("GLOB", text, glob):
        assert _holds("LIKE", text, named.as_like(glob))


def test_exactly_so_named_symbols_are_in_order_of_their_places(
    graph: WrittenGraph, reader: Reader
) -> None:
    found = reader.symbols_named("ab")
    assert found == [each for each in _model(reader, "*ab", None) if each.name == "ab"]
    assert [each.path for each in reader.symbols_named("ab", graph.workspace.id)] == [
        *["a.py"] * 2,
        *["k/a.py"] * 2,
        *["z.py"] * 2,
    ]
