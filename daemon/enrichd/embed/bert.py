"""A BERT encoder of sentences in numpy: from token ids to one vector of unit length a text.

It is what sentence-transformers runs for models of this family, without that library and what it
stands on. Sources: Devlin et al. 2018 (arXiv 1810.04805) for the layout, Vaswani et al. 2017
(arXiv 1706.03762) for attention, Reimers and Gurevych 2019 (arXiv 1908.10084) for the pooling.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct

from enrichd.embed.blas import keep_to_one_thread
from enrichd.errors import ConfigError
from enrichd_tracker.store.port_embeddings import EmbeddingModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

REVISION = 1
"""To be raised when other vectors come out of the same weights."""
MAX_TOKENS = 128
"""Of a text, its two special tokens among them: what all-MiniLM-L6-v2 was trained with."""
_BATCH_TOKENS = 1024
"""Done at once: what lies between two layers stays near the core, and rows are enough for BLAS."""
_CACHED = 64 * 1024  # numbers that a piece of work on every one of them should not exceed
_FAMILY = "bert"
_WEIGHTS = "model.safetensors"
_DENSE = {
    "projection": "attention.output.dense",
    "inner": "intermediate.dense",
    "outer": "output.dense",
}
_NORMS = {"attended": "attention.output.LayerNorm", "out": "output.LayerNorm"}


class Shape(Struct, frozen=True):
    """What config.json says; see ``BertConfig`` of transformers for the names."""

    model_type: str
    hidden_size: int
    num_attention_heads: int
    num_hidden_layers: int
    max_position_embeddings: int
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12


def shape_of(folder: Path) -> Shape:
    """What the model in a folder looks like; raises ConfigError for one that can't be run here."""
    try:
        shape = msgspec.json.decode((folder / "config.json").read_bytes(), type=Shape)
    except (OSError, msgspec.MsgspecError) as error:
        raise ConfigError(f"{folder / 'config.json'} can't be read: {error}") from error
    if shape.model_type != _FAMILY or shape.hidden_act != "gelu":
        raise ConfigError(
            f"the model in {folder} is of the type {shape.model_type} with {shape.hidden_act}",
            hint="models of the type bert with gelu can be run, such as all-MiniLM-L6-v2",
        )
    return shape


class Bert:
    """The encoder; what it holds is read only, so that any thread may use it."""

    def __init__(self, folder: Path, model: EmbeddingModel, *, threads: int = 1) -> None:
        """Load the weights; raises ConfigError for a folder that holds no such model.

        ``threads`` do a batch each: where there are several, BLAS itself has but one.
        """
        keep_to_one_thread()
        import numpy  # noqa: PLC0415  (the extra: only where a model is run)
        from safetensors.numpy import load_file  # noqa: PLC0415
        from tokenizers import Tokenizer  # noqa: PLC0415

        self._np = numpy
        self.model = model
        self._shape = shape = shape_of(folder)
        try:
            self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
            weights: dict[str, Array] = load_file(folder / _WEIGHTS)
        except Exception as error:  # both libraries raise their own, without a common root
            raise ConfigError(f"the model in {folder} can't be read: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(min(MAX_TOKENS, shape.max_position_embeddings))
        self._threads = threads
        self._weights = _prepared(weights, shape, numpy)

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """See the port."""
        return [row.astype("<f2").tobytes() for row in self.vectors(texts)]

    def vectors(self, texts: Sequence[str]) -> Array:
        """One row a text, of unit length."""
        np = self._np
        ids = [each.ids for each in self._tokenizer.encode_batch(list(texts))]
        found: Array = np.zeros((len(ids), self._shape.hidden_size), np.float32)

        def do(places: list[int]) -> None:
            longest = len(ids[places[0]])
            tokens = np.zeros((len(places), longest), np.int64)
            mask = np.zeros((len(places), longest), np.float32)
            for row, place in enumerate(places):
                tokens[row, : len(ids[place])] = ids[place]
                mask[row, : len(ids[place])] = 1
            found[places] = self._pooled(self._encoded(tokens, mask), mask)

        batches = list(_batches([len(each) for each in ids]))
        if self._threads == 1 or len(batches) == 1:
            for batch in batches:
                do(batch)
        else:
            with ThreadPoolExecutor(self._threads) as pool:
                list(pool.map(do, batches))
        return found

    def _encoded(self, tokens: NDArray[np.int64], mask: Array) -> Array:
        """Hidden states after the last layer, (texts, tokens, hidden).

        Word, position and type embeddings are added and normalised (Devlin et al., section 3);
        each layer is attention and a feed-forward network, each with a residual connection and a
        normalisation behind it (Vaswani et al., section 3.1). Padding is kept from being attended
        to by the mask alone.
        """
        w, size = self._weights, self._shape.hidden_size
        texts, length = tokens.shape
        x: Array = w["words"][tokens] + w["positions"][:length] + w["type"]
        x = x.reshape(texts * length, size)
        self._normalise(x, w["embeddings.scale"], w["embeddings.shift"])
        hidden = None if mask.all() else (mask[:, None, None, :] - 1) * 1e9
        for layer in range(self._shape.num_hidden_layers):
            x += self._attention(x, texts, hidden, layer)
            self._normalise(x, w[f"{layer}.attended.scale"], w[f"{layer}.attended.shift"])
            inner: Array = x @ w[f"{layer}.inner"]
            inner += w[f"{layer}.inner.bias"]
            self._gelu(inner)
            x += inner @ w[f"{layer}.outer"]
            x += w[f"{layer}.outer.bias"]
            self._normalise(x, w[f"{layer}.out.scale"], w[f"{layer}.out.shift"])
        states: Array = x.reshape(texts, length, size)
        return states

    def _attention(self, x: Array, texts: int, hidden: Array | None, layer: int) -> Array:
        """softmax(Q K^T / sqrt(d)) V for each head, projected (Vaswani et al., section 3.2)."""
        np, w, heads = self._np, self._weights, self._shape.num_attention_heads
        size = self._shape.hidden_size // heads
        both = x @ w[f"{layer}.qkv"]
        both += w[f"{layer}.qkv.bias"]
        q, k, v = both.reshape(texts, -1, 3, heads, size).transpose(2, 0, 3, 1, 4)
        scores = np.matmul(q, k.transpose(0, 1, 3, 2))  # q is scaled by its weights
        if hidden is not None:
            scores += hidden
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        mixed = np.matmul(scores, v).transpose(0, 2, 1, 3).reshape(x.shape)
        projected: Array = mixed @ w[f"{layer}.projection"]
        projected += w[f"{layer}.projection.bias"]
        return projected

    def _normalise(self, x: Array, scale: Array, shift: Array) -> None:
        """Layer normalisation in place: (x - mean) / sqrt(variance + eps), scaled and shifted.

        Ba, Kiros and Hinton 2016 (arXiv 1607.06450), section 3.
        """
        np = self._np
        epsilon = np.float32(self._shape.layer_norm_eps)
        rows = max(_CACHED // x.shape[1], 1)
        for start in range(0, len(x), rows):
            piece = x[start : start + rows]
            piece -= piece.mean(axis=1, keepdims=True)
            variance = np.einsum("ij,ij->i", piece, piece) / piece.shape[1]
            piece *= (1 / np.sqrt(variance + epsilon))[:, None]
            piece *= scale
            piece += shift

    def _gelu(self, x: Array) -> None:
        """x (1 + erf(x / sqrt 2)) / 2 in place: Hendrycks and Gimpel 2016 (arXiv 1606.08415).

        numpy has no erf: for t = 1 / (1 + p |z|) it is 1 - (a1 t + ... + a5 t^5) exp(-z^2), off by
        at most 1.5e-7 (Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26).
        """
        np = self._np
        flat = x.reshape(-1)
        for start in range(0, len(flat), _CACHED):
            piece = flat[start : start + _CACHED]
            z = np.abs(piece)
            z *= np.float32(0.7071067811865476)
            t = z * np.float32(0.3275911)
            t += 1
            np.reciprocal(t, out=t)
            sum_ = t * np.float32(1.061405429)
            for a in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
                sum_ += np.float32(a)
                sum_ *= t
            z *= z
            np.negative(z, out=z)
            np.exp(z, out=z)
            sum_ *= z  # 1 - erf |z|
            # x (1 + erf z) / 2 is max(x, 0) - |x| (1 - erf |z|) / 2, for either sign.
            np.abs(piece, out=t)
            t *= np.float32(0.5)
            t *= sum_
            np.maximum(piece, 0, out=piece)
            piece -= t

    def _pooled(self, states: Array, mask: Array) -> Array:
        """The mean over a text's own tokens, of unit length (Reimers and Gurevych, section 3)."""
        np = self._np
        mean: Array = np.matmul(mask[:, None, :], states)[:, 0] / mask.sum(axis=1, keepdims=True)
        mean /= np.maximum(np.linalg.norm(mean, axis=1, keepdims=True), np.float32(1e-12))
        return mean


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Places of texts that are done together: of about the same length, the longest first."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    start = 0
    while start < len(order):
        count = max(_BATCH_TOKENS // max(lengths[order[start]], 1), 1)
        yield order[start : start + count]
        start += count


def _prepared(weights: Mapping[str, Array], shape: Shape, np: Any) -> dict[str, Array]:
    """The weights as they are multiplied with; their names in the file are BertModel's."""
    prefix = "bert." if "bert.embeddings.word_embeddings.weight" in weights else ""

    def get(name: str) -> Array:
        if prefix + name not in weights:
            raise ConfigError(f"the model can't be run: {_WEIGHTS} holds no {prefix}{name}")
        found: Array = weights[prefix + name].astype(np.float32, copy=False)
        return found

    def matrix(name: str) -> Array:
        found: Array = np.ascontiguousarray(get(f"{name}.weight").T)
        return found

    found = {
        "words": get("embeddings.word_embeddings.weight"),
        "positions": get("embeddings.position_embeddings.weight"),
        "type": get("embeddings.token_type_embeddings.weight")[0],
        "embeddings.scale": get("embeddings.LayerNorm.weight"),
        "embeddings.shift": get("embeddings.LayerNorm.bias"),
    }
    # Scores are divided by sqrt(d): that is done once, to what the queries are made with.
    scale = np.float32((shape.hidden_size // shape.num_attention_heads) ** -0.5)
    for n in range(shape.num_hidden_layers):
        layer = f"encoder.layer.{n}"
        own = f"{layer}.attention.self"
        found[f"{n}.qkv"] = np.concatenate(
            [matrix(f"{own}.query") * scale, matrix(f"{own}.key"), matrix(f"{own}.value")], axis=1
        )
        found[f"{n}.qkv.bias"] = np.concatenate(
            [get(f"{own}.query.bias") * scale, get(f"{own}.key.bias"), get(f"{own}.value.bias")]
        )
        for ours, theirs in _DENSE.items():
            found[f"{n}.{ours}"] = matrix(f"{layer}.{theirs}")
            found[f"{n}.{ours}.bias"] = get(f"{layer}.{theirs}.bias")
        for ours, theirs in _NORMS.items():
            found[f"{n}.{ours}.scale"] = get(f"{layer}.{theirs}.weight")
            found[f"{n}.{ours}.shift"] = get(f"{layer}.{theirs}.bias")
    return found
