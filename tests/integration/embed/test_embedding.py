"""The embedding stage: what is embedded, when it is again, and what may go wrong."""

from __future__ import annotations

import asyncio
import sys

import pytest
from tests.integration.embed.conftest import STOCK, TILL, House

from enrichd.clock import SystemClock
from enrichd_tracker.store.port_embeddings import EmbeddedFile, EmbeddedSymbol, EmbeddingModel
from enrichd_tracker.store.sqlite import SqliteStore

EVERYTHING = [
    *("discard", "open till", "order", "shop", "shop stock", "shop till"),
    *("till", "till count", "till take"),
]
COUNTS = "SELECT (SELECT count(*) FROM embedding), (SELECT count(*) FROM symbol_words)"


async def test_every_symbol_with_a_body_gets_a_vector_and_its_words(house: House) -> None:
    await house.index()
    result = await house.embed()
    assert house.given() == EVERYTHING
    assert (result.total, result.embedded, result.stored, result.failed) == (9, 9, 9, 0)
    assert house.rows(COUNTS) == [(9, 9)]
    assert house.reports[0] == (0, 9, "")
    assert house.reports[-1] == (9, 9, "shop/till.py")
    assert house.registry.get_sample_value("enrichd_embeddings_total") == 9


async def test_a_second_run_embeds_nothing_and_starts_nothing(house: House) -> None:
    await house.index()
    await house.embed()
    house.given()
    again = await house.embed(command=("/bin/false",))
    assert (again.total, again.embedded, again.problem) == (0, 0, "")


async def test_only_what_changed_is_embedded_again(house: House) -> None:
    await house.index()
    await house.embed()
    house.given()
    house.write("shop/till.py", TILL.replace("How much there is", "How much money there is"))
    await house.index()
    result = await house.embed()
    assert house.given() == ["till count"]
    assert (result.total, result.embedded) == (1, 1)
    found = house.rows("SELECT name FROM symbol_words WHERE symbol_words MATCH 'said:money'")
    assert sorted(found) == [("till",), ("till count",), ("till take",)]


async def test_what_only_moved_keeps_its_vector(house: House) -> None:
    await house.index()
    await house.embed()
    house.given()
    house.write("shop/till.py", TILL.replace("class Till", "\n\n\nclass Till"))
    house.write("shop/stock.py", STOCK.replace("LIMIT = 3", "LIMIT = 3\nLESS = 1"))
    await house.index()
    await house.embed()
    assert house.given() == ["shop stock"]


async def test_a_new_name_is_a_new_text_for_what_it_names_and_what_holds_it(house: House) -> None:
    await house.index()
    await house.embed()
    house.given()
    house.write("shop/till.py", TILL.replace("def count", "def add_up"))
    await house.index()
    await house.embed()
    assert house.given() == ["till", "till add up"]
    assert house.rows(COUNTS) == [(9, 9)]


async def test_vectors_and_words_go_with_their_symbols(house: House) -> None:
    await house.index()
    await house.embed()
    house.write("shop/till.py", '"""Where one pays."""\n')
    await house.index()
    assert house.rows(COUNTS) == [(5, 5)]
    (house.root / "shop/stock.py").unlink()
    await house.index()
    assert house.rows(COUNTS) == [(2, 2)]
    assert house.place.run("workspaces", "remove", "shop").code == 0
    assert house.rows(COUNTS) == [(0, 0)]
    assert house.rows("SELECT count(*) FROM embedded_file") == [(0,)]
    assert house.rows("PRAGMA integrity_check") == [("ok",)]


async def test_a_renamed_file_keeps_what_did_not_change(house: House) -> None:
    await house.index()
    await house.embed()
    house.given()
    (house.root / "shop/stock.py").rename(house.root / "shop/store.py")
    await house.index()
    await house.embed()
    assert house.given() == ["shop store"]


async def test_equal_texts_are_embedded_once(house: House) -> None:
    house.write("shop/other.py", STOCK)
    await house.index()
    result = await house.embed()
    assert (result.embedded, result.stored) == (10, 12)
    assert sorted(house.given()) == sorted([*EVERYTHING, "shop other"])
    house.write("shop/third.py", STOCK)
    await house.index()
    await house.embed()
    assert house.given() == ["shop third"]


async def test_another_model_embeds_everything_again(house: House) -> None:
    await house.index()
    await house.embed()
    house.given()
    house.weights = "two"
    result = await house.embed()
    assert house.given() == EVERYTHING
    assert result.total == 9
    assert house.rows(COUNTS) == [(9, 9)]
    assert house.rows("SELECT count(DISTINCT model_id) FROM embedding") == [(1,)]


async def test_a_file_that_is_not_the_indexed_one_waits_for_the_next_run(house: House) -> None:
    await house.index()
    house.write("shop/till.py", TILL + "\n\ndef later() -> None: ...\n")
    result = await house.embed()
    assert result.left == ["shop/till.py"]
    assert house.given() == ["discard", "order", "shop", "shop stock"]
    await house.index()
    assert (await house.embed()).left == []
    assert "later" in house.given()


async def test_a_link_in_place_of_the_indexed_file_is_not_followed(house: House) -> None:
    await house.index()
    file = house.root / "shop/till.py"
    outside = house.place.folder / "outside.py"
    file.rename(outside)
    file.symlink_to(outside)
    assert (await house.embed()).left == ["shop/till.py"]


async def test_a_text_that_kills_the_process_costs_itself_alone(house: House) -> None:
    house.write("shop/bad.py", 'def bad():\n    """This kills the process."""\n')
    await house.index()
    result = await house.embed()
    assert result.failed == 1
    assert result.problem == ""
    assert sorted(set(house.given())) == sorted([*EVERYTHING, "shop bad"])
    ((path, message),) = house.errors()
    assert path == "shop/bad.py"
    assert message == "bad could not be embedded: the process ended with exit code 9"


async def test_what_failed_is_tried_again_when_its_file_changes_and_not_before(
    house: House,
) -> None:
    house.write("shop/bad.py", 'def bad():\n    """This is refused."""\n')
    await house.index()
    assert (await house.embed()).failed == 1
    ((_, message),) = house.errors()
    assert message == "bad could not be embedded: ValueError: no such words here"
    house.given()
    again = await house.embed(command=("/bin/false",))
    assert (again.failed, again.problem) == (0, "")
    house.write("shop/bad.py", 'def bad():\n    """This is fine."""\n')
    await house.index()
    assert (await house.embed()).failed == 0
    assert house.given() == ["bad"]
    assert house.errors() == []


async def test_a_process_that_does_not_start_is_nobodys_failure(house: House) -> None:
    await house.index()
    result = await house.embed(command=("/bin/false",))
    assert "ended with exit code 1 before it was ready" in result.problem
    assert (result.failed, house.errors()) == (0, [])
    assert (await house.embed()).embedded == 9


async def test_a_process_that_dies_of_everything_is_given_up_for_now(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enrichd.embed.service._DEATHS", 6)
    for n in range(10):
        house.write(f"shop/bad{n}.py", f'def bad{n}():\n    """This kills the process."""\n')
    for name in ("till", "stock", "__init__"):
        (house.root / f"shop/{name}.py").unlink()
    await house.index()
    killer = "import os, sys; from enrichd.embed.worker import serve; serve(lambda _: os._exit(9))"
    result = await house.embed(command=(sys.executable, "-c", killer))
    assert "again and again" in result.problem
    assert (await house.embed()).failed == 10


async def test_what_changed_while_it_was_embedded_is_not_stored(house: House) -> None:
    await house.index()
    store = await SqliteStore.open(house.place.database, SystemClock())
    try:
        (workspace,) = await store.read(lambda reader: reader.workspaces())
        file = await store.read(lambda reader: reader.file(workspace.id, "shop/till.py"))
        assert file is not None
        (symbol, *_) = await store.read(lambda reader: reader.embeddings.extents(file.id, ""))
        known = EmbeddedSymbol(symbol.symbol_id, b"text", b"\0" * 8, "till", "said", "body")
        model = EmbeddingModel("some", "1", 4)
        house.write("shop/till.py", TILL + "\n")
    finally:
        await store.close()
    await house.index()
    store = await SqliteStore.open(house.place.database, SystemClock())
    try:
        stored = await store.store_embeddings(
            workspace.id, model, [EmbeddedFile(file, [known], whole=True)], 1
        )
    finally:
        await store.close()
    assert stored == 0
    assert house.rows(COUNTS) == [(0, 0)]


async def test_a_run_that_is_broken_off_keeps_what_it_has_and_leaves_no_process(
    house: House,
) -> None:
    house.write("shop/many.py", "".join(f"def many{n}(): ...\n\n\n" for n in range(200)))
    await house.index()
    house.breaks_off = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        await house.embed()
    first = house.given()
    assert 0 < len(first) < 200
    assert house.workers() == []
    house.breaks_off = None
    result = await house.embed()
    assert len(first) + result.embedded == 210
    assert house.rows(COUNTS) == [(210, 210)]


async def test_a_model_that_is_gone_is_a_problem_that_ends_nothing(house: House) -> None:
    await house.index()
    await house.embed()
    (house.place.folder / "model" / "config.json").unlink()
    result = await house.embed(write_model=False)
    assert "config.json can't be read" in result.problem


async def test_a_question_does_not_wait_for_a_run(house: House) -> None:
    await house.index()
    store = await SqliteStore.open(house.place.database, SystemClock())
    embedding = house.stage(store)
    asked: list[int] = []

    async def report(done: int, total: int, file: str) -> None:
        meaning = await embedding.meaning_of("open the till")
        pages = await store.read(
            lambda reader: list(reader.embeddings.vectors(meaning.model.version, None, None))
        )
        asked.append(len(meaning.nearest(pages, 5)))

    try:
        (workspace,) = await store.read(lambda reader: reader.workspaces())
        await embedding.run(workspace, report)
    finally:
        await embedding.close()
        await store.close()
    assert asked == [0, 5]
