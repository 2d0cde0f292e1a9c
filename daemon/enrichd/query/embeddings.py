"""How far embedding has come, and how fast it goes."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from enrichd.query.answers import SCHEMA_VERSION, moment
from enrichd.query.select import chosen
from enrichd_tracker.model import ErrorType
from enrichd_tracker.store.port import Reader
from enrichd_tracker.store.port_embeddings import EmbeddingModel


class RunView(Struct, frozen=True):
    """One pass that had something to embed."""

    workspace: str
    at: datetime
    embedded: int
    seconds: float
    rate: float | None
    """Texts a second."""


class EmbeddingMetricsView(Struct, frozen=True):
    """Where embedding stands."""

    schema_version: int
    model: str
    version: str
    dimensions: int
    symbols: int
    embedded: int
    missing: int
    failures: int
    """Files in which something could not be embedded."""
    rate: float | None
    """Texts a second, over the runs that are kept."""
    runs: list[RunView]
    """The newest first."""


def embedding_metrics(
    reader: Reader, model: EmbeddingModel, *, workspace: str | None = None, limit: int = 10
) -> EmbeddingMetricsView:
    """Where embedding with this model stands. Raises AnswerIsNo for an unknown workspace."""
    workspace_id = chosen(reader, workspace)[0].id if workspace is not None else None
    names = {each.id: each.name for each in reader.workspaces()}
    counts = reader.embeddings.counts(workspace_id, model.version)
    runs = reader.embeddings.runs(workspace_id, limit)
    errors = reader.runs.error_counts(workspace_id)
    return EmbeddingMetricsView(
        schema_version=SCHEMA_VERSION,
        model=model.name,
        version=model.version,
        dimensions=model.dimensions,
        symbols=counts.symbols,
        embedded=counts.embedded,
        missing=counts.symbols - counts.embedded,
        failures=errors.get(ErrorType.EMBEDDING, 0),
        rate=_rate(sum(each.embedded for each in runs), sum(each.seconds for each in runs)),
        runs=[
            RunView(
                workspace=names.get(each.workspace_id, ""),
                at=moment(each.at),
                embedded=each.embedded,
                seconds=round(each.seconds, 3),
                rate=_rate(each.embedded, each.seconds),
            )
            for each in runs
        ],
    )


def _rate(count: int, seconds: float) -> float | None:
    return round(count / seconds, 1) if seconds > 0 else None
