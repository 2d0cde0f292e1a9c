"""The embedding stage: keeps a vector and the words of every symbol that has a body."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import structlog
from msgspec import Struct, field

from enrichd.child_process import ChildDied
from enrichd.clock import Clock
from enrichd.embed.model import FoundModel, identify
from enrichd.embed.nearest import Meaning
from enrichd.embed.process import CannotEmbed, EmbedderProcess, worker_command
from enrichd.embed.reading import Spoken, read
from enrichd.embed.text import FORM
from enrichd.errors import EnrichdError
from enrichd.metrics import EmbeddingMetrics
from enrichd_tracker.model import ErrorType, Failure, KnownFile, Stage, Workspace
from enrichd_tracker.store.port import Store
from enrichd_tracker.store.port_embeddings import (
    EmbeddedFile,
    EmbeddedSymbol,
    EmbeddingModel,
    EmbeddingRun,
)

Report = Callable[[int, int, str], Awaitable[None]]
"""Told of symbols done, of all there are to do, and of the file that is worked on."""

_BATCH_TEXTS = 128
_BATCH_FILES = 256  # of which there may be nothing to embed
_DEATHS = 24
"""Of a process, with nothing embedded between: it is not the texts' fault then."""
_SHOWN_NAMES = 3

_log = structlog.get_logger()


class EmbeddingResult(Struct):
    """What a run came to."""

    total: int = 0
    """Symbols there were to do."""
    embedded: int = 0
    """Texts that the model was given."""
    stored: int = 0
    """Symbols that got a vector: more than embedded where texts are alike, or were known."""
    failed: int = 0
    left: list[str] = field(default_factory=list)
    """Files that are not as they were indexed: their turn comes with the next run."""
    seconds: float = 0.0
    problem: str = ""
    """Why it ended early; what was done till then is kept."""


class Embedding:
    """The stage, for all workspaces of a store; runs come one after another."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        metrics: EmbeddingMetrics,
        found: FoundModel,
        command: Sequence[str] | None = None,
    ) -> None:
        """``command`` starts another worker than the one that runs the model."""
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._found = found
        self._command = tuple(command or worker_command(found.folder))
        self._model: EmbeddingModel | None = None
        self._worker: EmbedderProcess | None = None
        self._one_at_a_time = asyncio.Lock()
        self._one_question = asyncio.Lock()
        self._closed = False

    async def model(self) -> EmbeddingModel:
        """Which model it is: read once."""
        if self._model is None:
            self._model = await asyncio.to_thread(identify, self._found)
        return self._model

    async def run(self, workspace: Workspace, report: Report) -> EmbeddingResult:
        """Embed what has no vector of this model, and what has changed since it got one.

        Never raises for what goes wrong with texts or with the model: see ``problem``. Raises
        what the store raises, and what ``report`` does.
        """
        async with self._one_at_a_time:
            try:
                return await _Run(self, workspace, report).run()
            finally:
                await self._end_worker()

    async def meaning_of(self, text: str) -> Meaning:
        """What a person asks for, to be compared with what is stored; raises EnrichdError."""
        model = await self.model()
        async with self._one_question:  # a run may take minutes: it is not waited for
            worker = await EmbedderProcess.start(self._command, self._clock)
            try:
                vectors = await worker.embed([text])
            except (CannotEmbed, ChildDied) as error:
                raise EnrichdError(f"the text could not be embedded: {error}") from error
            finally:
                await worker.end()
        return Meaning(model, vectors[0])

    async def close(self) -> None:
        """End the process, whatever it is at; a run that goes on ends with a problem."""
        self._closed = True
        await self._end_worker()

    async def _ready_worker(self) -> EmbedderProcess:
        if self._closed:
            raise EnrichdError("embedding was stopped")
        if self._worker is None:
            self._worker = await EmbedderProcess.start(self._command, self._clock)
        return self._worker

    async def _end_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            await worker.end()


class _Hopeless(Exception):
    """There is no point in going on: the process does not start, or dies on everything."""


class _Part(Struct):
    """What of a file is in a batch."""

    file: KnownFile
    spoken: list[Spoken] = field(default_factory=list)
    whole: bool = False
    """The file ends here."""


class _Run:
    def __init__(self, embedding: Embedding, workspace: Workspace, report: Report) -> None:
        self._own = embedding
        self._store = embedding._store
        self._workspace = workspace
        self._report = report
        self._model: EmbeddingModel
        self._result = EmbeddingResult()
        self._done = 0
        self._deaths = 0
        self._parts: list[_Part] = []
        self._waiting = 0
        self._had_errors: set[str] = set()
        self._why: dict[bytes, str] = {}  # texts that can't be embedded
        self._failed: dict[str, tuple[list[str], str]] = {}  # path to symbols without a vector, why

    async def run(self) -> EmbeddingResult:
        clock, result, workspace = self._own._clock, self._result, self._workspace
        started = clock.monotonic()
        try:
            self._model = model = await self._own.model()
        except EnrichdError as error:
            result.problem = error.message
            return result
        files = await self._store.read(
            lambda reader: reader.embeddings.files(workspace.id, model.version, FORM)
        )
        if not files:
            return result
        counts = await self._store.read(
            lambda reader: reader.embeddings.counts(workspace.id, model.version)
        )
        result.total = counts.symbols - counts.embedded
        self._had_errors = await self._store.read(
            lambda reader: reader.runs.error_paths(workspace.id, ErrorType.EMBEDDING)
        )
        await self._report(0, result.total, "")
        try:
            for file in files:
                await self._take(file)
            await self._flush()
        except _Hopeless as error:
            result.problem = str(error)
        result.total = max(result.total, self._done)
        result.seconds = clock.monotonic() - started
        if result.problem:
            _log.error("can't embed", action="embedding_failed", error=result.problem)
        if result.embedded:
            run = EmbeddingRun(workspace.id, clock.time(), result.embedded, result.seconds)
            with suppress(EnrichdError):  # the workspace may be gone by now
                await self._store.note_embedding_run(run)
            self._own._metrics.duration.observe(result.seconds)
        return result

    async def _take(self, file: KnownFile) -> None:
        """Put what is to be done of a file into the batch, and do the batch when it is full."""
        extents = await self._store.read(
            lambda reader: reader.embeddings.extents(file.id, self._model.version)
        )
        root = Path(self._workspace.root)
        spoken = await asyncio.to_thread(read, root, file, extents)
        if spoken is None:
            self._result.left.append(file.path)
            return
        part = _Part(file)
        self._parts.append(part)
        for each in spoken:
            if not each.is_new:
                self._done += each.extent.stale
                continue
            part.spoken.append(each)
            self._waiting += 1
            if self._waiting >= _BATCH_TEXTS:
                await self._flush()
                part = _Part(file)
                self._parts.append(part)
        part.whole = True
        if len(self._parts) >= _BATCH_FILES:
            await self._flush()

    async def _flush(self) -> None:
        """Embed what waits, and store it as one transaction."""
        parts, self._parts, self._waiting = self._parts, [], 0
        vectors = await self._vectors(parts)
        self._result.stored += await self._store.store_embeddings(
            self._workspace.id,
            self._model,
            [EmbeddedFile(part.file, _symbols(part, vectors), part.whole) for part in parts],
            FORM,
        )
        for part in parts:
            await self._tell_of(part, vectors)
        if parts:
            self._done += sum(len(part.spoken) for part in parts)
            self._result.total = max(self._result.total, self._done)
            await self._report(self._done, self._result.total, parts[-1].file.path)

    async def _vectors(self, parts: Sequence[_Part]) -> dict[bytes, bytes]:
        """A vector for each text that can be embedded, by its digest; equal ones share it."""
        texts = {each.digest: each.text.meaning for part in parts for each in part.spoken}
        known = await self._store.read(
            lambda reader: reader.embeddings.known(self._model.version, texts)
        )
        left = [digest for digest in texts if digest not in known and digest not in self._why]
        if not left:
            return known
        embedded = await self._embed([(digest, texts[digest]) for digest in left])
        self._result.embedded += len(embedded)
        self._own._metrics.embedded.inc(len(embedded))
        return known | embedded

    async def _embed(self, texts: Sequence[tuple[bytes, str]]) -> dict[bytes, bytes]:
        """The vectors; what fails is tried again in halves, until it is known which text it is."""
        try:
            worker = await self._own._ready_worker()
        except EnrichdError as error:
            raise _Hopeless(error.message) from error
        try:
            vectors = await worker.embed([text for _, text in texts])
        except (CannotEmbed, ChildDied) as error:
            if isinstance(error, ChildDied):
                await self._own._end_worker()
                self._deaths += 1
                if self._deaths >= _DEATHS:
                    raise _Hopeless(f"the process that embeds {error}, again and again") from error
            if len(texts) == 1:
                died = "the process " if isinstance(error, ChildDied) else ""
                self._why[texts[0][0]] = f"{died}{error}"
                return {}
            middle = len(texts) // 2
            return await self._embed(texts[:middle]) | await self._embed(texts[middle:])
        self._deaths = 0
        return {digest: vector for (digest, _), vector in zip(texts, vectors, strict=True)}

    async def _tell_of(self, part: _Part, vectors: Mapping[bytes, bytes]) -> None:
        """What went wrong with a file, once it is through; or that nothing does any more."""
        path = part.file.path
        failed = [each for each in part.spoken if each.digest not in vectors]
        if failed:
            self._result.failed += len(failed)
            names, why = self._failed.setdefault(path, ([], self._why[failed[0].digest]))
            names += [each.extent.qualified_name for each in failed]
        if not part.whole:
            return
        if path in self._failed:
            names, why = self._failed.pop(path)
            more = len(names) - _SHOWN_NAMES
            listed = ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")
            message = f"{listed} could not be embedded: {why}"
            failure = Failure(ErrorType.EMBEDDING, Stage.EMBEDDING, message)
            with suppress(EnrichdError):  # the run does not end because it can't be written down
                await self._store.log_error(self._workspace.id, path, part.file.language, failure)
        elif path in self._had_errors:
            await self._store.resolve_embedding_errors(self._workspace.id, path)


def _symbols(part: _Part, vectors: Mapping[bytes, bytes]) -> list[EmbeddedSymbol]:
    return [_symbol(each, vectors) for each in part.spoken if each.digest in vectors]


def _symbol(spoken: Spoken, vectors: Mapping[bytes, bytes]) -> EmbeddedSymbol:
    text = spoken.text
    return EmbeddedSymbol(
        symbol_id=spoken.extent.symbol_id,
        text=spoken.digest,
        vector=vectors[spoken.digest],
        name=text.name,
        said=text.said,
        body=text.body,
    )
