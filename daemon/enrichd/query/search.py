"""Finding symbols by what they are about: by meaning and by words, each ranked, then fused.

The two ranks are put together by reciprocal rank fusion: a symbol's score is the sum of
1 / (60 + rank) over the lists that hold it (Cormack, Clarke and Buettcher, SIGIR 2009), so that a
cosine and a BM25 need not be made comparable. What tests a thing says the same words as the thing
itself; it is moved down in both lists, unless tests are asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from math import log
from typing import Protocol

from msgspec import Struct

from enrichd.errors import UsageError
from enrichd.query import completeness
from enrichd.query.answers import SCHEMA_VERSION, Circumstances, SymbolView, Views, counted
from enrichd.query.completeness import Completeness
from enrichd.query.select import MAX_TEXT_CHARS, chosen
from enrichd_tracker.model import SymbolKind
from enrichd_tracker.store.port import Reader, StoredSymbol
from enrichd_tracker.store.port_embeddings import EmbeddingModel, Vectors

_K = 60
_CANDIDATES = 300
_RANKED = 100
_TEST_COSINE = 0.1
_TEST_SHARE = 0.6
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_A-Za-z]+")
_NAMED_TEST = re.compile(r"test_.*|.*_test\.\w+|.*\.(test|spec)\.\w+|conftest\.py")
_TEST_FOLDERS = frozenset({"test", "tests", "__tests__", "spec"})
_SAYS_NOTHING = (
    "a an and are as at be by can do does for from has have how i in into is it its not of on or "
    "that the then there this to was what when where which who why will with"
)

Ranked = Sequence[tuple[int, float]]
"""Symbols and their scores, the best first."""


class Meaning(Protocol):
    """What was asked for, as a vector."""

    @property
    def model(self) -> EmbeddingModel: ...

    def nearest(self, stored: Iterable[Vectors], limit: int) -> list[tuple[int, float]]:
        """Symbols and their cosines, the nearest first."""
        ...


class Hit(Struct, frozen=True):
    """A symbol, and why it was found."""

    symbol: SymbolView
    score: float
    by_meaning: int | None
    """Its rank by meaning, from 1; None where it is not among the first."""
    by_words: int | None
    similarity: float | None
    """The cosine of its vector and the question's."""


class SearchAnswer(Struct, frozen=True):
    """What was found, the best first."""

    schema_version: int
    query: str
    count: int
    more: bool
    hits: list[Hit]
    model: str | None
    """None: meaning was not asked about."""
    symbols: int
    """Those that could be embedded."""
    missing: int
    """Those of them that have no vector of the model as they are now."""
    notes: list[str]
    completeness: Completeness


def search(
    reader: Reader,
    text: str,
    meaning: Meaning | None,
    given: Circumstances,
    *,
    workspace: str | None = None,
    kind: str | None = None,
    limit: int = 10,
) -> SearchAnswer:
    """The symbols that are about ``text``; without ``meaning`` by its words alone."""
    if not text.strip() or len(text) > MAX_TEXT_CHARS or "\0" in text:
        raise UsageError("expected some words, such as 'open a session cookie'")
    if kind is not None and kind not in list(SymbolKind):
        raise UsageError(f"there is no kind {kind}; there are: {', '.join(SymbolKind)}")
    workspaces = chosen(reader, workspace)
    narrowed = workspaces[0].id if workspace is not None else None
    look = _Look(reader, text, narrowed, kind)
    near = look.by_meaning(meaning) if meaning is not None else []
    worded = look.by_words()
    fused = fuse([[each for each, _ in near], [each for each, _ in worded]])
    places = [{each: rank for rank, (each, _) in enumerate(one, 1)} for one in (near, worded)]
    cosines = dict(look.cosines)
    views = Views.of(reader)
    hits = [
        Hit(
            symbol=views.symbol(look.symbols[each]),
            score=round(score, 5),
            by_meaning=places[0].get(each),
            by_words=places[1].get(each),
            similarity=round(cosines[each], 3) if each in cosines else None,
        )
        for each, score in fused[:limit]
    ]
    version = meaning.model.version if meaning is not None else ""
    counts = reader.embeddings.counts(narrowed, version)
    missing = counts.symbols - counts.embedded
    return SearchAnswer(
        schema_version=SCHEMA_VERSION,
        query=text,
        count=len(hits),
        more=len(fused) > limit,
        hits=hits,
        model=meaning.model.name if meaning is not None else None,
        symbols=counts.symbols,
        missing=missing,
        notes=_notes(meaning, counts.symbols, missing, full_text=look.full_text),
        completeness=completeness.of_symbols(reader, workspaces, given),
    )


def fuse(lists: Iterable[Sequence[int]]) -> list[tuple[int, float]]:
    """Reciprocal rank fusion of several lists, each with the best first."""
    scores: dict[int, float] = {}
    for ranked in lists:
        for rank, each in enumerate(ranked, 1):
            scores[each] = scores.get(each, 0.0) + 1 / (_K + rank)
    return sorted(scores.items(), key=lambda found: (-found[1], found[0]))


def words_of(text: str) -> list[str]:
    """The words of a question that say something; all of them if none does."""
    words = list(dict.fromkeys(word.lower() for word in _WORD.findall(text)))
    return [word for word in words if word not in _SAYS_NOTHING.split()] or words


def is_test(path: str) -> bool:
    """Whether a file is there to test others, as far as its name says."""
    *folders, name = path.split("/")
    return not _TEST_FOLDERS.isdisjoint(folders) or _NAMED_TEST.fullmatch(name) is not None


class _Look:
    """One question to one state of the graph."""

    def __init__(
        self, reader: Reader, text: str, workspace_id: int | None, kind: str | None
    ) -> None:
        self._reader = reader
        self._words = words_of(text)
        self._workspace_id = workspace_id
        self._kind = kind
        self._tests_wanted = not {"test", "tests"}.isdisjoint(self._words)
        self.symbols: dict[int, StoredSymbol] = {}
        self.cosines: Ranked = []
        self.full_text = True

    def by_meaning(self, meaning: Meaning) -> Ranked:
        stored = self._reader.embeddings.vectors(
            meaning.model.version, self._workspace_id, self._kind
        )
        self.cosines = meaning.nearest(stored, _CANDIDATES)
        tests = self._tests_among(self.cosines)
        return _ranked(
            (each, cosine - (_TEST_COSINE if each in tests else 0)) for each, cosine in self.cosines
        )

    def by_words(self) -> Ranked:
        """By the full text; by names alone where nothing has put one there."""
        embeddings = self._reader.embeddings
        self.full_text = embeddings.has_words(self._workspace_id)
        if self.full_text:
            found: Ranked = embeddings.with_words(
                self._words, self._workspace_id, self._kind, _CANDIDATES
            )
        else:
            named = embeddings.named_with(self._words, self._workspace_id, self._kind)
            found = by_names(self._words, named)[:_CANDIDATES]
        tests = self._tests_among(found)
        return _ranked(
            (each, score * (1 - _TEST_SHARE) if each in tests else score) for each, score in found
        )

    def _tests_among(self, found: Ranked) -> set[int]:
        """Those to be moved down; all that was found is looked up for it."""
        tests = set()
        for each, _ in found:
            symbol = self.symbols.get(each) or self._reader.symbol(each)
            assert symbol is not None  # one question sees one state of the graph
            self.symbols[each] = symbol
            if not self._tests_wanted and is_test(symbol.path or ""):
                tests.add(each)
        return tests


def _ranked(found: Iterable[tuple[int, float]]) -> Ranked:
    return sorted(found, key=lambda each: -each[1])[:_RANKED]


def by_names(words: Sequence[str], named: Sequence[tuple[int, str]]) -> Ranked:
    """Symbols by how many of the words their names hold; a rare word says more (its log share)."""
    own = {each: set(words_of(name)) for each, name in named}
    holding = Counter(word for each in own.values() for word in words if word in each)
    value = {word: log(1 + len(own) / count) for word, count in holding.items()}
    scores = [
        (each, sum(value[word] for word in words if word in parts) / (1 + 0.1 * len(parts)))
        for each, parts in own.items()
    ]
    return sorted((each for each in scores if each[1]), key=lambda each: -each[1])


def _notes(meaning: Meaning | None, symbols: int, missing: int, *, full_text: bool) -> list[str]:
    notes = []
    if meaning is None or missing == symbols:
        notes.append(f"searched by words alone{'' if full_text else ', and those of names only'}")
    elif missing:
        notes.append(f"{counted(missing, 'symbol')} of {symbols:,} can't be found by meaning yet")
    return notes
