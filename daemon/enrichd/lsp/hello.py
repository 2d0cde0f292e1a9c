"""What enrichd says of itself at initialize.

Imported with the first server that is started, see ``life.prepare``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import cattrs
from lsprotocol import types as lsp
from lsprotocol.converters import get_converter

from enrichd.lsp.positions import path_to_uri, shown_name


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
