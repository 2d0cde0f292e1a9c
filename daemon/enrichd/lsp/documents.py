"""The documents that a server holds open for enrichd, and what it is told when they change."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path, PurePosixPath

from msgspec import Struct

from enrichd.file_stat import read_regular
from enrichd.lsp import protocol as lsp
from enrichd.lsp.client import Client
from enrichd.lsp.positions import path_to_uri
from enrichd.lsp.profiles import DocumentPolicy

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024


class ChangeKind(StrEnum):
    """What became of a file."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


_WIRE_KINDS = {
    ChangeKind.CREATED: lsp.FileChangeType.Created,
    ChangeKind.CHANGED: lsp.FileChangeType.Changed,
    ChangeKind.DELETED: lsp.FileChangeType.Deleted,
}

# where LSP's name of a language is not tree-sitter's, or one server serves several
_LANGUAGE_IDS = {
    ".tsx": "typescriptreact",
    ".jsx": "javascriptreact",
    ".ts": "typescript",
    ".mts": "typescript",
    ".cts": "typescript",
    ".js": "javascript",
    ".mjs": "javascript",
    ".cjs": "javascript",
    ".c": "c",
    ".cc": "cpp",
    ".cpp": "cpp",
    ".cxx": "cpp",
    ".hpp": "cpp",
}


class _Open(Struct):
    holders: int
    version: int


class Documents:
    """Paths are relative to ``root``. A document is open while somebody holds it.

    Whoever gives no client only notes it, for the next server that is told by ``reopen``.
    """

    def __init__(self, root: Path, language: str, policy: DocumentPolicy) -> None:
        self._root = root
        self._language = language
        self._policy = policy
        self._open: dict[str, _Open] = {}

    def hold(self, path: str, client: Client | None) -> None:
        """Open the document, or hold it once more. A file that can't be read is passed over."""
        if self._policy is DocumentPolicy.NONE:
            return
        document = self._open.get(path)
        if document is not None:
            document.holders += 1
            return
        self._open[path] = _Open(holders=1, version=0)
        if client is not None:
            self._tell_open(path, client)

    def release(self, path: str, client: Client | None) -> None:
        """Close the document when nobody else holds it."""
        document = self._open.get(path)
        if document is None:
            return
        document.holders -= 1
        if document.holders > 0:
            return
        del self._open[path]
        if client is not None:
            self._tell_close(path, client)

    def hold_all(self, paths: list[str], client: Client) -> None:
        """Have each of them open, for the policy ``all``."""
        for path in paths:
            if path not in self._open:
                self.hold(path, client)

    def reopen(self, client: Client) -> None:
        """Tell a fresh server of everything that is held."""
        for path in self._open:
            self._tell_open(path, client)

    def changed(self, changes: list[tuple[str, ChangeKind]], client: Client) -> None:
        """Tell of files that changed on disk: watched files, and the text of open documents."""
        for path, kind in changes:
            if path not in self._open:
                if kind is ChangeKind.CREATED and self._policy is DocumentPolicy.ALL:
                    self.hold(path, client)
            elif kind is ChangeKind.DELETED:
                self._tell_close(path, client)
            else:
                self._tell_change(path, client)
        client.notify(
            lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES,
            {
                "changes": [
                    {"uri": self._uri(path), "type": int(_WIRE_KINDS[kind])}
                    for path, kind in changes
                ]
            },
        )

    def _tell_open(self, path: str, client: Client) -> None:
        text = read_document(self._root / path)
        if text is None:
            return
        self._open[path].version = 1
        suffix = PurePosixPath(path).suffix.lower()
        client.notify(
            lsp.TEXT_DOCUMENT_DID_OPEN,
            {
                "textDocument": {
                    "uri": self._uri(path),
                    "languageId": _LANGUAGE_IDS.get(suffix, self._language),
                    "version": 1,
                    "text": text,
                }
            },
        )

    def _tell_change(self, path: str, client: Client) -> None:
        document = self._open[path]
        text = read_document(self._root / path)
        if text is None:
            return
        if document.version == 0:  # it could not be read when it was opened
            self._tell_open(path, client)
            return
        document.version += 1
        client.notify(
            lsp.TEXT_DOCUMENT_DID_CHANGE,
            {
                "textDocument": {"uri": self._uri(path), "version": document.version},
                "contentChanges": [{"text": text}],
            },
        )

    def _tell_close(self, path: str, client: Client) -> None:
        if path in self._open:
            self._open[path].version = 0
        client.notify(lsp.TEXT_DOCUMENT_DID_CLOSE, {"textDocument": {"uri": self._uri(path)}})

    def _uri(self, path: str) -> str:
        return path_to_uri(self._root / path)


def read_document(path: Path) -> str | None:
    """The text of a regular file; None for anything else."""
    content = read_regular(path, MAX_DOCUMENT_BYTES)
    return None if content is None else content.decode("utf-8", "replace")
