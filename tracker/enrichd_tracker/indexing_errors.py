"""Indexing errors: what makes two of them the same, and how much of each is kept."""

from __future__ import annotations

import re

from enrichd_tracker.model import Failure

_NUMBER = re.compile(r"0x[0-9a-f]+|\d+")

MAX_MESSAGE_CHARS = 500
MAX_TRACEBACK_CHARS = 10_000


def given_up(reason: str) -> str:
    """What is said of a file with symbols whose attempts are used up."""
    return f"symbols were given up: {reason}; `enrichd failures --state skipped` lists them"


def kept(text: str, max_chars: int) -> str:
    """The text, cut, and without what is no character: lone surrogates from names and reprs."""
    return text.encode(errors="backslashreplace").decode()[:max_chars]


def fingerprint(path: str, failure: Failure) -> bytes:
    """Sixteen bytes that are equal for the same error on the same file.

    Numbers in the message count for nothing: it is the same error on another line.
    """
    import hashlib  # noqa: PLC0415  (it loads OpenSSL; who only reads needs none)

    identity = "\0".join((path, failure.type, _NUMBER.sub("#", failure.message)))
    return hashlib.blake2b(identity.encode(errors="backslashreplace"), digest_size=16).digest()
