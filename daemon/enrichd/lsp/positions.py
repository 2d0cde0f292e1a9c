"""Where things are, in the server's terms and in ours: columns by encoding, files as URIs.

Inside enrichd a column counts UTF-8 bytes. A server counts code units of the encoding that was
negotiated at initialize (LSP 3.17, PositionEncodingKind); without negotiation that is UTF-16.
"""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes


class Encoding(StrEnum):
    """What a server's columns count."""

    UTF8 = "utf-8"
    UTF16 = "utf-16"
    UTF32 = "utf-32"


_CODECS = {Encoding.UTF16: ("utf-16-le", 2), Encoding.UTF32: ("utf-32-le", 4)}
_SCHEME = "file://"
_HOSTS = ("", "localhost")


def to_server(line: bytes, column: int, encoding: str) -> int:
    """The column of a byte in ``line``, in the server's units.

    A byte inside a character counts as the character's start, one past the end as the end.
    """
    if encoding == Encoding.UTF8 or line.isascii():
        return min(column, len(line))
    codec, width = _CODECS[Encoding(encoding)]
    whole = line.decode("utf-8", "surrogateescape")
    before = line[:column].decode("utf-8", "surrogateescape")
    while not whole.startswith(before):  # cut inside a character
        before = before[:-1]
    return len(before.encode(codec, "surrogatepass")) // width


def from_server(line: bytes, units: int, encoding: str) -> int:
    """The byte column in ``line`` of a column in the server's units; clamped as above."""
    if encoding == Encoding.UTF8 or line.isascii():
        return min(units, len(line))
    codec, width = _CODECS[Encoding(encoding)]
    text = line.decode("utf-8", "surrogateescape")
    before = text.encode(codec, "surrogatepass")[: units * width]
    if encoding == Encoding.UTF16 and before and before[-1] & 0xFC == 0xD8:
        before = before[:-2]  # half of a surrogate pair: the column is inside the character
    return len(before.decode(codec, "surrogatepass").encode("utf-8", "surrogateescape"))


def path_to_uri(path: str | os.PathLike[str]) -> str:
    """The ``file:`` URI of an absolute path; bytes that are not UTF-8 survive."""
    return _SCHEME + quote_from_bytes(os.fsencode(path), safe="/")


def path_to_uri_json(path: str | os.PathLike[str]) -> bytes:
    """The same as a JSON string, the way ``Client.ask_position`` takes it."""
    return json.dumps(path_to_uri(path)).encode()


def shown_name(folder: Path) -> str:
    """The folder's name as text that JSON can carry."""
    return os.fsencode(folder.name).decode("utf-8", "replace")


def uri_to_path(uri: str) -> str | None:
    """The absolute path behind a ``file:`` URI of this machine; None for any other."""
    if not uri.startswith(_SCHEME):
        return None
    slash = uri.find("/", len(_SCHEME))
    if slash < 0 or uri[len(_SCHEME) : slash].lower() not in _HOSTS:
        return None
    path = uri[slash:]
    if "%" not in path:
        return path
    raw = unquote_to_bytes(path)
    return None if b"\0" in raw else os.fsdecode(raw)
