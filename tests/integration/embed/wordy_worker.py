"""A worker without a model: the vector of a text counts its words. Some texts are too much for it.

Its first argument is a folder: what it was given is written down in it.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from zlib import crc32

from enrichd.embed.text import words_of
from enrichd.embed.worker import serve

DIMENSIONS = 32
GIVEN = "given"
"""The file with all texts that were embedded, divided by NUL."""


def embed(texts: Sequence[str]) -> list[bytes]:
    if any("kills the process" in text for text in texts):
        os._exit(9)
    if any("is refused" in text for text in texts):
        raise ValueError("no such words here")
    with Path(sys.argv[1], GIVEN).open("a") as file:
        file.writelines(f"{text}\0" for text in texts)
    return [vector(text) for text in texts]


def vector(text: str) -> bytes:
    counts = [0.0] * DIMENSIONS
    for word in words_of(text):
        counts[crc32(word.encode()) % DIMENSIONS] += 1
    length = sum(each * each for each in counts) ** 0.5 or 1.0
    return struct.pack(f"<{DIMENSIONS}e", *(each / length for each in counts))


if __name__ == "__main__":
    serve(embed)
