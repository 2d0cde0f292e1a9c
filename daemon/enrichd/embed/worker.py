"""The process that embeds: texts in on standard input, vectors out on standard output.

Both are rows of frames (child.py) of MessagePack: a list of texts, and the ``Reply`` to it. The
first reply is an empty one and says that the model is loaded. It ends when its input does, and
when its parent dies.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from enrichd.child import behave, claim_output, frame, frames
from enrichd.embed.port import Embedder
from enrichd_tracker.store.port_embeddings import EmbeddingModel

_NICENESS = 10


class Reply(Struct, array_like=True, frozen=True, gc=False):
    """The vectors, one a text; or why there are none."""

    vectors: list[bytes] = []
    error: str = ""


def serve(embed: Callable[[Sequence[str]], list[bytes]]) -> None:
    """Answer requests until there are no more."""
    results = claim_output()
    decoder = msgspec.msgpack.Decoder(list[str])
    encoder = msgspec.msgpack.Encoder()
    try:
        results.write(frame(encoder.encode(Reply())))  # ready
        results.flush()
        for payload in frames(sys.stdin.buffer):
            try:
                reply = Reply(embed(decoder.decode(payload)))
            except Exception as error:  # whatever it is, it is about these texts
                reply = Reply(error=f"{type(error).__name__}: {error}")
            results.write(frame(encoder.encode(reply)))
            results.flush()
    except BrokenPipeError:
        os._exit(0)  # nobody is left to read


def main(folder: str) -> None:
    """Load the model of the folder and serve."""
    behave(_NICENESS)
    from enrichd.embed.bert import Bert  # noqa: PLC0415  (after the niceness: it is work)

    # Which model it is was found out by whoever asks.
    unnamed = EmbeddingModel("", "", 0)
    embedder: Embedder = Bert(Path(folder), unnamed, threads=len(os.sched_getaffinity(0)))
    serve(embedder.embed)


if __name__ == "__main__":
    main(sys.argv[1])
