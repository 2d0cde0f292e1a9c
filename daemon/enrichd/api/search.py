"""The routes about meaning: searching by it, and how far embedding has come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from msgspec import Meta, Struct

from enrichd.api.daemon import Daemon, circumstances
from enrichd.api.parameters import Text, about
from enrichd.api.routing import NOT_FOUND, Route, get
from enrichd.errors import AnswerIsNo
from enrichd.query.embeddings import EmbeddingMetricsView, embedding_metrics
from enrichd.query.search import SearchAnswer, search
from enrichd.query.select import MAX_TEXT_CHARS
from enrichd_tracker.model import SymbolKind

SearchText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        pattern=r"^\s*[^\s\x00][^\x00]*$",
        description="What the symbols are about, in words of one's own.",
        extra={"expected": "some words, such as 'open a session cookie'"},
    ),
]
SearchLimit = Annotated[int, Meta(ge=1, le=100, description="How many symbols at most.")]


class SearchQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for, and where."""

    q: SearchText
    kind: SymbolKind | None = None
    workspace: Text | None = None
    limit: SearchLimit = 10


class EmbeddingQuery(Struct, frozen=True, forbid_unknown_fields=True):
    """Of which workspace; else of all."""

    workspace: Text | None = None


class SearchRoutes:
    """The handlers, around the daemon whose store they read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Iterable[Route]:
        """What each asks and gives."""
        return (
            get(
                "/api/v1/search",
                "Find symbols by what they are about",
                self._search,
                asks=SearchQuery,
                gives=SearchAnswer,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/index/metrics/embedding",
                "How far embedding has come, and how fast it goes",
                self._metrics,
                asks=EmbeddingQuery,
                gives=EmbeddingMetricsView,
                refuses=(NOT_FOUND,),
            ),
        )

    async def _search(self, asked: SearchQuery) -> SearchAnswer:
        daemon = self._daemon
        given = circumstances(daemon)
        meaning = await daemon.meaning_of(asked.q)
        with about("q"):
            return await daemon.store.read(
                lambda reader: search(
                    reader,
                    asked.q,
                    meaning,
                    given,
                    workspace=asked.workspace,
                    kind=asked.kind,
                    limit=asked.limit,
                )
            )

    async def _metrics(self, asked: EmbeddingQuery) -> EmbeddingMetricsView:
        model = await self._daemon.embedding_model()
        if model is None:
            raise AnswerIsNo("nothing is embedded here", hint="[embeddings] model names a model")
        return await self._daemon.store.read(
            lambda reader: embedding_metrics(reader, model, workspace=asked.workspace)
        )
