"""Digests of pieces of a text: of what it says, not of how it is laid out.

Comments, blank lines and space at the ends of lines are left out; what is left of a line keeps its
place in it, since in some languages indentation says something.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import blake2b

from enrichd.index.regions import Captures
from enrichd.index.spans import Span, around_holes

DIGEST_BYTES = 8
_HOLE = b"\0"
_GAP_BACKWARDS = re.compile(rb"\n[ \t\f\r\n]+")
_NOTHING = b"\0"
"""Fills the place of what says nothing, so that offsets stay what they are; no text has any."""


class Words:
    """What a text says, piece by piece."""

    def __init__(self, source: bytes, captures: Captures) -> None:
        without_comments = bytearray(source)
        for node in captures.get("comment", ()):
            start, end = node.byte_range
            without_comments[start:end] = b" " * (end - start)
        # Read backwards, a gap begins with its one newline that stays: found without looking twice.
        backwards = bytes(without_comments[::-1])
        self._text = _GAP_BACKWARDS.sub(_only_its_newline, backwards)[::-1]

    def between(self, start: int, end: int, holes: Sequence[Span] = ()) -> bytes:
        """What a piece says without its holes, which are given in order."""
        pieces = [self._text[from_:to] for from_, to in around_holes(start, end, holes)]
        words = _HOLE.join([piece.translate(None, _NOTHING) for piece in pieces])
        return words.lstrip(b"\n").rstrip()


def _only_its_newline(gap: re.Match[bytes]) -> bytes:
    return b"\n".ljust(len(gap[0]), _NOTHING)


def digest_of(*pieces: bytes) -> bytes:
    """Of several pieces, each of which counts by itself."""
    return blake2b(b"\x1f".join(pieces), digest_size=DIGEST_BYTES).digest()
