"""Indexing errors: what makes two of them the same, and how much of each is kept."""

from __future__ import annotations

import hashlib

from enrichd_tracker.model import Failure

MAX_MESSAGE_CHARS = 500
MAX_TRACEBACK_CHARS = 10_000


def kept(text: str, max_chars: int) -> str:
    """The text, cut, and without what is no character: lone surrogates from names and reprs."""
    return text.encode(errors="backslashreplace").decode()[:max_chars]


def fingerprint(path: str, failure: Failure) -> bytes:
    """Sixteen bytes that are equal for the same error on the same file."""
    identity = "\0".join((path, failure.type, failure.message))
    return hashlib.blake2b(identity.encode(errors="backslashreplace"), digest_size=16).digest()
