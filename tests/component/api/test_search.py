"""Searching over HTTP, and how far embedding has come."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

import aiohttp
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_routes import get

from enrichd_tracker.model import SymbolKind
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.port_embeddings import (
    EmbeddedFile,
    EmbeddedSymbol,
    EmbeddingModel,
    EmbeddingRun,
    Vectors,
)

MODEL = EmbeddingModel("tiny", "1", 2)


class Last:
    """Means the symbol whose vector was stored last."""

    model = MODEL

    def nearest(self, stored: Iterable[Vectors], limit: int) -> list[tuple[int, float]]:
        ids = [each for page in stored for each in page.symbol_ids]
        return [(max(ids), 0.75)] if ids else []


async def embed(daemon: FakeDaemon, path: str) -> int:
    """Vectors and words for a file; how many."""
    (workspace,) = await daemon.store.read(lambda reader: reader.workspaces())

    def read(reader: Reader) -> EmbeddedFile:
        file = reader.file(workspace.id, path)
        assert file is not None
        extents = reader.embeddings.extents(file.id, MODEL.version)
        symbols = [
            EmbeddedSymbol(each.symbol_id, b"text", b"\0\0\0\0", each.name, "grand sum", "")
            for each in extents
            if each.kind in {SymbolKind.FUNCTION, SymbolKind.MODULE}
        ]
        return EmbeddedFile(file, symbols, whole=True)

    file = await daemon.store.read(read)
    stored = await daemon.store.store_embeddings(workspace.id, MODEL, [file], 1)
    await daemon.store.note_embedding_run(EmbeddingRun(workspace.id, 1.0, stored, 2.0))
    return stored


async def test_without_a_model_names_are_searched_and_there_are_no_metrics(
    unix: aiohttp.ClientSession,
) -> None:
    status, document = await get(unix, "/api/v1/search", q="the total")
    assert status == HTTPStatus.OK
    assert {each["symbol"]["name"] for each in document["hits"]} == {"total"}
    assert document["notes"] == ["searched by words alone, and those of names only"]
    status, document = await get(unix, "/api/v1/index/metrics/embedding")
    assert status == HTTPStatus.NOT_FOUND
    assert "[embeddings] model" in document["error"]["hint"]


async def test_meaning_and_words_are_fused_and_what_is_missing_is_said(
    unix: aiohttp.ClientSession, daemon: FakeDaemon
) -> None:
    daemon.meaning = Last()
    await embed(daemon, "cart.py")
    status, document = await get(unix, "/api/v1/search", q="total", limit="5", workspace="shop")
    assert status == HTTPStatus.OK
    first = document["hits"][0]
    assert first["symbol"]["uid"] == "cart.py/total()."
    assert (first["by_words"], first["by_meaning"], first["similarity"]) == (1, 1, 0.75)
    assert document["model"] == "tiny"
    assert 0 < document["missing"] < document["symbols"]
    assert document["notes"] == [
        f"{document['missing']} symbols of {document['symbols']} can't be found by meaning yet"
    ]
    assert document["completeness"]["level"]


async def test_how_far_embedding_has_come(unix: aiohttp.ClientSession, daemon: FakeDaemon) -> None:
    daemon.meaning = Last()
    stored = await embed(daemon, "cart.py")
    status, document = await get(unix, "/api/v1/index/metrics/embedding", workspace="shop")
    assert status == HTTPStatus.OK
    assert (document["model"], document["dimensions"]) == ("tiny", 2)
    assert document["embedded"] == stored
    assert document["symbols"] == stored + document["missing"]
    assert (document["failures"], document["rate"]) == (0, round(stored / 2, 1))
    assert [each["embedded"] for each in document["runs"]] == [stored]
    status, _ = await get(unix, "/api/v1/index/metrics/embedding", workspace="nowhere")
    assert status == HTTPStatus.NOT_FOUND


async def test_a_search_for_nothing_is_refused(unix: aiohttp.ClientSession) -> None:
    for asked in ({}, {"q": " "}, {"q": "a", "limit": "0"}, {"q": "a", "kind": "shape"}):
        status, _ = await get(unix, "/api/v1/search", **asked)
        assert status == HTTPStatus.UNPROCESSABLE_ENTITY, asked
