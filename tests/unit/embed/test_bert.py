"""The encoder, on a tiny model of random weights: against the formulas, written out plainly."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from tests.tiny_model import HEADS, HIDDEN, LAYERS, write_tiny_model

from enrichd.embed.bert import MAX_TOKENS, Bert
from enrichd.errors import ConfigError
from enrichd_tracker.store.port_embeddings import EmbeddingModel

MODEL = EmbeddingModel("tiny", "1", HIDDEN)
TEXTS = ["open a file", "close", "read the file and close it again", "a b c d e f g h", ""]

Vector = NDArray[np.float64]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_tiny_model(tmp_path)


def plain(folder: Path, ids: list[int]) -> Vector:
    """One text, alone, in double precision, head by head, with the true erf."""
    w = {
        name: each.astype(np.float64)
        for name, each in load_file(folder / "model.safetensors").items()
    }

    def dense(x: Vector, name: str) -> Vector:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def normal(x: Vector, name: str) -> Vector:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        found: Vector = scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
        return found

    def gelu(x: Vector) -> Vector:
        erf = np.vectorize(math.erf)
        found: Vector = x * (1 + erf(x / math.sqrt(2))) / 2
        return found

    x = (
        w["embeddings.word_embeddings.weight"][ids]
        + w["embeddings.position_embeddings.weight"][: len(ids)]
        + w["embeddings.token_type_embeddings.weight"][0]
    )
    x = normal(x, "embeddings.LayerNorm")
    size = HIDDEN // HEADS
    for n in range(LAYERS):
        at = f"encoder.layer.{n}"
        q, k, v = (dense(x, f"{at}.attention.self.{each}") for each in ("query", "key", "value"))
        heads = []
        for head in range(HEADS):
            part = slice(head * size, (head + 1) * size)
            scores = np.exp(q[:, part] @ k[:, part].T / math.sqrt(size))
            heads.append(scores / scores.sum(-1, keepdims=True) @ v[:, part])
        mixed = dense(np.concatenate(heads, axis=1), f"{at}.attention.output.dense")
        x = normal(x + mixed, f"{at}.attention.output.LayerNorm")
        inner = gelu(dense(x, f"{at}.intermediate.dense"))
        x = normal(x + dense(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    mean = x.mean(0)
    unit: Vector = mean / np.linalg.norm(mean)
    return unit


def test_vectors_are_those_of_the_formulas(folder: Path) -> None:
    bert = Bert(folder, MODEL)
    vectors = bert.vectors(TEXTS)
    for text, vector in zip(TEXTS, vectors, strict=True):
        ids = bert._tokenizer.encode(text).ids
        assert np.abs(plain(folder, ids) - vector).max() < 1e-5


def test_a_text_alone_and_in_a_batch_gives_the_same_vector(folder: Path) -> None:
    texts = TEXTS * 40 + ["a file " * 100]
    together = Bert(folder, MODEL, threads=2).vectors(texts)
    alone = Bert(folder, MODEL)
    for text, vector in zip(texts, together, strict=True):
        assert np.abs(alone.vectors([text])[0] - vector).max() < 1e-5


def test_vectors_are_of_unit_length_and_two_bytes_a_number(folder: Path) -> None:
    bert = Bert(folder, MODEL)
    assert np.allclose(np.linalg.norm(bert.vectors(TEXTS), axis=1), 1, atol=1e-5)
    for stored in bert.embed(TEXTS):
        assert len(stored) == 2 * HIDDEN
        assert abs(np.linalg.norm(np.frombuffer(stored, "<f2").astype(np.float32)) - 1) < 1e-2


def test_what_is_longer_than_the_model_reads_is_cut_off(folder: Path) -> None:
    bert = Bert(folder, MODEL)
    long = "a " * MAX_TOKENS
    assert np.abs(bert.vectors([long])[0] - bert.vectors([f"{long} file"])[0]).max() < 1e-6


def test_nothing_to_embed_is_nothing(folder: Path) -> None:
    assert Bert(folder, MODEL).embed([]) == []


def test_another_kind_of_model_is_refused(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "gpt2"}))
    with pytest.raises(ConfigError, match="gpt2") as refused:
        Bert(folder, MODEL)
    assert "bert" in (refused.value.hint or "")


def test_a_file_that_is_no_model_is_an_error_for_persons(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ConfigError, match="can't be read"):
        Bert(folder, MODEL)
    save_file({"something": np.zeros(1)}, folder / "model.safetensors")
    with pytest.raises(ConfigError, match=r"embeddings\.word_embeddings"):
        Bert(folder, MODEL)
