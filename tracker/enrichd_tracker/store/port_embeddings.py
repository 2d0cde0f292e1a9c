"""The port's third part: what symbols mean as vectors, and the words that they are found by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from enrichd_tracker.model import KnownFile


class EmbeddingModel(Struct, frozen=True):
    """Who makes vectors; those of two versions can't be compared."""

    name: str
    version: str
    """A digest of all that decides what comes out."""
    dimensions: int


class Extent(Struct, frozen=True):
    """A symbol as it stands in its file, and what its vector was made of."""

    symbol_id: int
    parent_id: int | None
    kind: str
    name: str
    qualified_name: str
    start: tuple[int, int]
    end: tuple[int, int]
    text: bytes | None
    """Digest of the text whose vector is stored; None where there is no vector of the model."""
    stale: bool
    """Has no vector, or one of what it was."""


class EmbeddedSymbol(Struct, frozen=True):
    """A vector, and the words that the symbol is found by."""

    symbol_id: int
    text: bytes
    """Digest of the text that was embedded."""
    vector: bytes
    name: str
    said: str
    body: str


class EmbeddedFile(Struct, frozen=True):
    """Some symbols of a file; they are kept only if it is still the file that was read."""

    file: KnownFile
    symbols: list[EmbeddedSymbol]
    whole: bool
    """There is nothing more to be done for it until it changes."""


class EmbeddingCounts(Struct, frozen=True):
    """How far the vectors of one model reach."""

    symbols: int
    """Those that have a body."""
    embedded: int
    """Those of them whose vector was made of what they are now."""


class EmbeddingRun(Struct, frozen=True):
    """One pass that had something to do."""

    workspace_id: int
    at: float
    embedded: int
    seconds: float


class Vectors(Struct, frozen=True):
    """Some of the stored vectors: row by row, little-endian float16."""

    symbol_ids: list[int]
    rows: bytes


class EmbeddingsReader(Protocol):
    """Questions about vectors and words."""

    def models(self) -> list[EmbeddingModel]:
        """Those that vectors are stored of, the one with the most first."""
        ...

    def files(self, workspace_id: int, version: str, form: int) -> list[KnownFile]:
        """Those to look at: changed since they were embedded whole, in this form."""
        ...

    def extents(self, file_id: int, version: str) -> list[Extent]:
        """The file's symbols in the order of their places."""
        ...

    def known(self, version: str, texts: Iterable[bytes]) -> dict[bytes, bytes]:
        """Vectors that were made of texts with these digests."""
        ...

    def counts(self, workspace_id: int | None, version: str) -> EmbeddingCounts: ...
    def runs(self, workspace_id: int | None, limit: int = 10) -> list[EmbeddingRun]:
        """The newest first."""
        ...

    def vectors(
        self, version: str, workspace_id: int | None, kind: str | None
    ) -> Iterator[Vectors]:
        """All of them, a few thousand at a time."""
        ...

    def has_words(self, workspace_id: int | None) -> bool:
        """Whether there is a full text at all."""
        ...

    def with_words(
        self, words: Iterable[str], workspace_id: int | None, kind: str | None, limit: int
    ) -> list[tuple[int, float]]:
        """Symbols whose text holds some of the words, with a score, the best first."""
        ...

    def named_with(
        self, words: Iterable[str], workspace_id: int | None, kind: str | None
    ) -> list[tuple[int, str]]:
        """Id and qualified name of symbols whose name holds one of the words, in no order."""
        ...


class EmbeddingsStore(Protocol):
    """What is written about them; each is one transaction."""

    async def store_embeddings(
        self, workspace_id: int, model: EmbeddingModel, files: list[EmbeddedFile], form: int
    ) -> int:
        """Write vectors and words; returns how many, without those of files that have changed."""
        ...

    async def resolve_embedding_errors(self, workspace_id: int, path: str) -> None:
        """All of a file could be embedded."""
        ...

    async def note_embedding_run(self, run: EmbeddingRun) -> None: ...
