"""What a server said of itself at initialize: as much as is needed of it."""

from __future__ import annotations

import msgspec
from msgspec import Raw, Struct

from enrichd.lsp.positions import Encoding
from enrichd_tracker.model import Operation

_PROVIDERS = {
    Operation.DEFINITION: "definitionProvider",
    Operation.REFERENCES: "referencesProvider",
    Operation.IMPLEMENTATION: "implementationProvider",
    Operation.INCOMING_CALLS: "callHierarchyProvider",
    Operation.OUTGOING_CALLS: "callHierarchyProvider",
    Operation.SUPERTYPES: "typeHierarchyProvider",
    Operation.SUBTYPES: "typeHierarchyProvider",
}
_DOCUMENT_SYMBOL = "documentSymbolProvider"


class _ServerInfo(Struct):
    name: str = ""
    version: str | None = None


class _Answer(Struct):
    """InitializeResult, only as far as it is needed: servers get the rest wrong freely."""

    capabilities: dict[str, Raw] = {}
    server_info: _ServerInfo | None = msgspec.field(default=None, name="serverInfo")


class Declared(Struct, frozen=True):
    """What a server said of itself at initialize."""

    version: str
    """The empty string when it did not say."""
    encoding: Encoding
    operations: frozenset[Operation]
    document_symbols: bool


def read_answer(result: Raw) -> Declared:
    """Take from the answer what is needed. Raises msgspec.DecodeError on another shape."""
    answer = msgspec.json.decode(result, type=_Answer)
    offered = {name for name, value in answer.capabilities.items() if _truthy(value)}
    raw_encoding = answer.capabilities.get("positionEncoding", Raw(b"null"))
    encoding = msgspec.json.decode(raw_encoding, type=Encoding | None)
    info = answer.server_info or _ServerInfo()
    return Declared(
        version=info.version or "",
        encoding=encoding or Encoding.UTF16,  # the protocol's default
        operations=frozenset(each for each, name in _PROVIDERS.items() if name in offered),
        document_symbols=_DOCUMENT_SYMBOL in offered,
    )


def _truthy(value: Raw) -> bool:
    """A provider is declared by true or by an object, also by an empty one."""
    return bytes(value) not in {b"null", b"false"}
