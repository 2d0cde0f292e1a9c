"""Which of the stored vectors are nearest to one: every one is compared, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable

from enrichd.embed.blas import keep_to_one_thread
from enrichd_tracker.store.port_embeddings import EmbeddingModel, Vectors


class Meaning:
    """What was asked for, as a vector of a model."""

    def __init__(self, model: EmbeddingModel, vector: bytes) -> None:
        self.model = model
        self._vector = vector

    def nearest(self, stored: Iterable[Vectors], limit: int) -> list[tuple[int, float]]:
        """Symbols and their cosines, the nearest first.

        All vectors are of unit length, so that a product of matrices gives the cosines.
        """
        keep_to_one_thread()
        import numpy as np  # noqa: PLC0415  (the extra: only where a model is run)

        wanted = np.frombuffer(self._vector, "<f2").astype(np.float32)
        ids: list[int] = []
        found = [np.zeros(0, np.float32)]
        for page in stored:
            rows = np.frombuffer(page.rows, "<f2").reshape(len(page.symbol_ids), -1)
            found.append(rows.astype(np.float32) @ wanted)
            ids += page.symbol_ids
        cosines = np.concatenate(found)
        count = min(limit, len(cosines))
        best = np.argpartition(-cosines, count - 1)[:count] if count else np.zeros(0, np.int64)
        best = best[np.argsort(-cosines[best], kind="stable")]
        return [(ids[place], float(cosines[place])) for place in best.tolist()]
