"""From a file on disk to the texts of its symbols, if it is still the file that was indexed."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

from msgspec import Struct

from enrichd.embed.text import Piece, SymbolText, text_of
from enrichd.file_stat import OnDisk, look_at
from enrichd_tracker.model import NEEDED_OPERATIONS, TYPES, KnownFile, SymbolKind
from enrichd_tracker.store.port_embeddings import Extent

_BOM = b"\xef\xbb\xbf"
_TEXT_BYTES = 8
_OPEN = TYPES | {SymbolKind.MODULE}
"""What stands inside these is told by its name: it speaks for itself."""


class Spoken(Struct, frozen=True):
    """A symbol with a body, and its text."""

    extent: Extent
    text: SymbolText
    digest: bytes

    @property
    def is_new(self) -> bool:
        """Whether there is no vector of this text."""
        return self.digest != self.extent.text


def has_body(extent: Extent) -> bool:
    """Whether it is embedded at all."""
    return bool(NEEDED_OPERATIONS[SymbolKind(extent.kind)])


def read(root: Path, file: KnownFile, extents: Sequence[Extent]) -> list[Spoken] | None:
    """The texts of a file's symbols; None if it is not the one that was indexed. Blocks."""
    on_disk, content = look_at(root / file.path, file)
    if on_disk is not OnDisk.SAME:
        return None
    lines = content.removeprefix(_BOM).splitlines()
    inside: dict[int, list[Extent]] = {}
    for extent in extents:
        if extent.parent_id is not None:
            inside.setdefault(extent.parent_id, []).append(extent)
    found = []
    for extent in extents:
        if has_body(extent):
            text = text_of(_piece(extent, inside.get(extent.symbol_id, [])), lines)
            found.append(Spoken(extent, text, _digest(text)))
    return found


def _piece(extent: Extent, inside: Sequence[Extent]) -> Piece:
    if extent.kind not in _OPEN:
        return Piece(extent.kind, extent.qualified_name, extent.start, extent.end)
    return Piece(
        kind=extent.kind,
        qualified_name=extent.qualified_name,
        start=extent.start,
        end=extent.end,
        members=list(dict.fromkeys(each.name for each in inside)),
        holes=[(each.start[0], each.end[0]) for each in inside if has_body(each)],
    )


def _digest(text: SymbolText) -> bytes:
    said = "\0".join((text.meaning, text.name, text.said, text.body))
    return blake2b(said.encode(errors="replace"), digest_size=_TEXT_BYTES).digest()
