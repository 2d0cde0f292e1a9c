"""A source text by the byte: where its lines begin, and how to hold it as one character a byte."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate


def line_starts(source: bytes) -> list[int]:
    r"""The byte offset at which each line begins.

    A line ends at ``\n``, ``\r\n`` or a lone ``\r``: the Language Server Protocol's rule, which
    is not tree-sitter's (it counts ``\n`` alone).
    """
    starts = [0, *accumulate(map(len, source.splitlines(keepends=True)))]
    if len(starts) > 1 and not source.endswith((b"\n", b"\r")):
        starts.pop()
    return starts


def position(starts: list[int], offset: int) -> tuple[int, int]:
    """The 0-based line of a byte offset, and its distance from that line's start in bytes."""
    line = bisect_right(starts, offset) - 1
    return line, offset - starts[line]


def by_bytes(source: bytes) -> str:
    """The text with one character for each byte, so that offsets are the same in both."""
    return source.decode("latin-1")


def from_bytes(piece: str) -> str:
    """A piece of such a text as what it really says."""
    return piece if piece.isascii() else piece.encode("latin-1").decode("utf-8", "replace")
