"""The port: what the stage asks of a model, whatever runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from enrichd_tracker.store.port_embeddings import EmbeddingModel


class Embedder(Protocol):
    """Turns texts into vectors."""

    @property
    def model(self) -> EmbeddingModel:
        """Which model it is: vectors of two models have nothing to say to each other."""
        ...

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """A vector for each text: unit length, little-endian float16.

        What is longer than the model reads is cut off. Blocks, so it is for a thread or a process
        of its own.
        """
        ...
