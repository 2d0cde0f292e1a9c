"""Digests of pieces of a text: of what it says, not of how it is laid out.

Comments, blank lines and space at the ends of lines are left out; what is left of a line keeps its
place in it, since in some languages indentation says something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from enrichd.index.regions import Captures
from enrichd.index.spans import Span

DIGEST_BYTES = 8
_GAPS = re.compile(rb"[ \t\f\r]*\n(?:[ \t\f\r]*\n)*")


class Words:
    """What a text says, piece by piece."""

    def __init__(self, source: bytes, captures: Captures) -> None:
        without_comments = bytearray(source)
        for node in captures.get("comment", ()):
            start, end = node.byte_range
            without_comments[start:end] = b" " * (end - start)
        self._text = bytes(without_comments)

    def between(self, start: int, end: int, holes: Sequence[Span] = ()) -> bytes:
        """What a piece says without its holes, which are given in order."""
        text = self._text[start:end]
        if holes:
            pieces = []
            for hole_start, hole_end in holes:
                pieces.append(self._text[start:hole_start])
                start = hole_end
            text = b"\0".join([*pieces, self._text[start:end]])
        if b"\n" in text:
            text = _GAPS.sub(b"\n", text)
        return text.lstrip(b"\n").rstrip()


def digest_of(*pieces: bytes) -> bytes:
    """Of several pieces, each of which counts by itself."""
    return blake2b(b"\x1f".join(pieces), digest_size=DIGEST_BYTES).digest()
