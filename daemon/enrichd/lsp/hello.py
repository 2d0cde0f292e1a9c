"""The handshake: what enrichd says of itself at initialize, and what it takes from the answer."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cattrs
import msgspec
from lsprotocol import types as lsp
from lsprotocol.converters import get_converter
from msgspec import Raw, Struct

from enrichd.lsp.positions import Encoding, path_to_uri
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


def initialize_params(root: Path, initialization_options: Mapping[str, Any]) -> dict[str, Any]:
    """The params of ``initialize`` for one workspace."""
    uri = path_to_uri(root)
    params = lsp.InitializeParams(
        process_id=os.getpid(),
        client_info=lsp.ClientInfo(name="enrichd"),
        root_uri=uri,
        workspace_folders=[lsp.WorkspaceFolder(uri=uri, name=shown_name(root))],
        initialization_options=dict(initialization_options) or None,
        capabilities=_capabilities(),
    )
    unstructured: dict[str, Any] = _converter().unstructure(params, lsp.InitializeParams)
    return unstructured


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


def shown_name(root: Path) -> str:
    """The folder's name as text that JSON can carry."""
    return os.fsencode(root.name).decode("utf-8", "replace")


def _truthy(value: Raw) -> bool:
    """A provider is declared by true or by an object, also by an empty one."""
    return bytes(value) not in {b"null", b"false"}


@cache
def _converter() -> cattrs.Converter:
    return get_converter()


def _capabilities() -> lsp.ClientCapabilities:
    link = lsp.DefinitionClientCapabilities(link_support=True)
    return lsp.ClientCapabilities(
        general=lsp.GeneralClientCapabilities(
            position_encodings=[
                lsp.PositionEncodingKind.Utf8,
                lsp.PositionEncodingKind.Utf16,
                lsp.PositionEncodingKind.Utf32,
            ]
        ),
        workspace=lsp.WorkspaceClientCapabilities(
            configuration=True,
            workspace_folders=True,
            did_change_configuration=lsp.DidChangeConfigurationClientCapabilities(),
            did_change_watched_files=lsp.DidChangeWatchedFilesClientCapabilities(
                dynamic_registration=True, relative_pattern_support=False
            ),
        ),
        window=lsp.WindowClientCapabilities(work_done_progress=True),
        text_document=lsp.TextDocumentClientCapabilities(
            synchronization=lsp.TextDocumentSyncClientCapabilities(),
            definition=link,
            implementation=lsp.ImplementationClientCapabilities(link_support=True),
            references=lsp.ReferenceClientCapabilities(),
            document_symbol=lsp.DocumentSymbolClientCapabilities(
                hierarchical_document_symbol_support=True
            ),
            call_hierarchy=lsp.CallHierarchyClientCapabilities(),
            type_hierarchy=lsp.TypeHierarchyClientCapabilities(),
        ),
        experimental={"serverStatusNotification": True},
    )
