"""A language server for Python, built with pygls, right by nature and bad on request.

    command = [sys.executable, ".../tests/servers/pygls_server.py", '{"delay_s": 0.1}']

The one argument is a JSON object; every key is optional, without any the server is right. It
answers ``definition`` with the ``def``, ``class`` or top-level assignment of the name at the
position: in the same file, else the first file by path (naive: no scopes, no imports), else the
module of that name. ``documentSymbol`` lists the same. Texts come from disk, or from documents
that are open.

    encoding            "utf-8" (default), "utf-16", "utf-32"
    shape               "links" (default), "locations", "location" (the first, bare)
    only                bad behaviour only for URIs that contain this
    fail_with           error code for every request
    fail_times          ... only for so many requests, then right
    silent              true: never answer
    delay_s             answer after that
    empty_for_requests  so many empty answers first
    empty_for_s         empty answers for so long after initialize
    null_when_empty     true: null in place of []
    die_on              exit at a request whose URI contains this
    die_after           exit at the request after so many
    die_status          exit status for that (default 3)
    method_not_found    true: definition is declared, and refused at run time
    undeclared          true: definition is not declared
    outline             false: no documentSymbol
    slow_initialize_s   initialize is answered after that
    grow_by             so many bytes more are held after each request
    progress_s          work-done progress for so long after initialized
    needs_open          true: null for documents that are not open
    trace               file: one line for each start ("start PID"), each received method after it
    version             serverInfo.version (default "1")
    live                file: a JSON object of options that is read anew at each request
"""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import json
import marshal
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import CodeType
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

import attr._make

CODE = Path(__file__).parents[2] / ".enrichd" / "cache" / "pygls"


@contextmanager
def kept_code() -> Iterator[None]:
    """What attrs compiles is kept for the next start: for LSP's types that is half of its time."""
    file = CODE / f"{importlib.util.MAGIC_NUMBER.hex()}.code"
    known: dict[tuple[str, str], CodeType] = {}
    with suppress(OSError, EOFError, ValueError, TypeError):
        known = marshal.loads(file.read_bytes())
    before = len(known)

    def compiled(source: str, filename: str, mode: str) -> CodeType:
        if (source, filename) not in known:
            known[source, filename] = compile(source, filename, mode)
        return known[source, filename]

    attr._make.compile = compiled  # type: ignore[attr-defined]
    gc.disable()
    yield
    gc.enable()
    del attr._make.compile  # type: ignore[attr-defined]
    if len(known) > before:
        draft = file.with_suffix(f".{os.getpid()}")
        with suppress(OSError):
            CODE.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(marshal.dumps(known))
            draft.replace(file)


with kept_code():
    from lsprotocol import types as lsp
    from pygls.capabilities import ServerCapabilitiesBuilder
    from pygls.exceptions import JsonRpcException, JsonRpcMethodNotFound
    from pygls.lsp.server import LanguageServer

DEFINITION = re.compile(
    r"^\s*(?:async\s+def|def|class)\s+(\w+)|^(\w+)\s*(?::[^=\n]+)?=[^=]", re.MULTILINE
)
WORD = re.compile(r"\w+")
CODECS = {"utf-16": ("utf-16-le", 2), "utf-32": ("utf-32-le", 4)}

Place = tuple[str, int, int, int]  # URI, line, start and end as indexes into the line


class Options:
    def __init__(self, given: dict[str, Any]) -> None:
        self.given = given

    def __getattr__(self, name: str) -> Any:
        return self.given.get(name)

    def refresh(self) -> None:
        if self.live:
            self.given.update(json.loads(Path(self.live).read_text()))


def to_path(uri: str) -> str:
    return os.fsdecode(unquote_to_bytes(uri.removeprefix("file://")))


def to_uri(path: Path) -> str:
    return "file://" + quote_from_bytes(os.fsencode(path), safe="/")


class Server(LanguageServer):
    """The workspace's definitions are looked up anew after every change that it is told of."""

    def __init__(self, options: Options) -> None:
        super().__init__("pygls_server", options.version or "1")
        self.options = options
        self.opened: dict[str, str] = {}
        self.requests = 0
        self.initialized_at = 0.0
        self.known: dict[str, list[Place]] | None = None
        self.texts: dict[str, list[str]] = {}
        self.held: list[bytes] = []
        self.trace("start", os.getpid())

    def trace(self, *words: object) -> None:
        if self.options.trace:
            with Path(self.options.trace).open("a") as file:
                file.write(" ".join(map(str, words)) + "\n")

    def lines(self, uri: str) -> list[str]:
        text = self.opened.get(uri)
        if text is not None:
            return text.split("\n")
        if uri not in self.texts:
            try:
                self.texts[uri] = Path(to_path(uri)).read_text("utf-8", "replace").split("\n")
            except OSError:
                return []
        return self.texts[uri]

    def files(self) -> list[Path]:
        root = Path(to_path(self.workspace.root_uri or ""))
        return sorted(root.rglob("*.py"))

    def definitions(self) -> dict[str, list[Place]]:
        if self.known is None:
            self.known = {}
            for path in self.files():
                uri = to_uri(path)
                for name, place in definitions_in(uri, self.lines(uri)):
                    self.known.setdefault(name, []).append(place)
            for path in self.files():
                name = path.parent.name if path.stem == "__init__" else path.stem
                self.known.setdefault(name, []).append((to_uri(path), 0, 0, 0))
        return self.known

    def changed(self) -> None:
        self.known = None
        self.texts.clear()

    def units(self, line: str, index: int) -> int:
        encoding = self.options.encoding or "utf-8"
        if encoding == "utf-8":
            return len(line[:index].encode("utf-8", "surrogateescape"))
        codec, width = CODECS[encoding]
        return len(line[:index].encode(codec)) // width

    def index(self, line: str, units: int) -> int:
        return next((i for i in range(len(line) + 1) if self.units(line, i) >= units), len(line))

    def find(self, params: lsp.DefinitionParams) -> list[Place]:
        uri = params.text_document.uri
        lines = self.lines(uri)
        if params.position.line >= len(lines):
            return []
        line = lines[params.position.line]
        index = self.index(line, params.position.character)
        word = next((m[0] for m in WORD.finditer(line) if m.start() <= index <= m.end()), None)
        places = self.definitions().get(word or "", [])
        here = [place for place in places if place[0] == uri and place[3] > 0]
        return (here or places)[:1]

    def link(self, place: Place) -> lsp.LocationLink:
        uri, line, start, end = place
        text = self.lines(uri)[line] if self.lines(uri) else ""
        where = lsp.Range(
            lsp.Position(line, self.units(text, start)), lsp.Position(line, self.units(text, end))
        )
        whole = lsp.Range(lsp.Position(line, 0), lsp.Position(line + 1, 0))
        return lsp.LocationLink(target_uri=uri, target_range=whole, target_selection_range=where)


def definitions_in(uri: str, lines: list[str]) -> list[tuple[str, Place]]:
    found = []
    for number, line in enumerate(lines):
        match = DEFINITION.match(line)
        if match is not None:
            group = 1 if match[1] else 2
            found.append((match[group], (uri, number, match.start(group), match.end(group))))
    return found


async def misbehave(server: Server, uri: str) -> bool:
    """Whether the answer is to be empty; raises, waits or dies as the options say."""
    options = server.options
    options.refresh()
    server.requests += 1
    server.held.append(b"x" * (options.grow_by or 0))
    if options.only and options.only not in uri:
        return False
    if (options.die_on and options.die_on in uri) or (
        options.die_after is not None and server.requests > options.die_after
    ):
        os._exit(3 if options.die_status is None else options.die_status)
    if options.silent:
        await asyncio.Event().wait()
    if options.delay_s:
        await asyncio.sleep(options.delay_s)
    if options.fail_with and (not options.fail_times or server.requests <= options.fail_times):
        raise JsonRpcException("as it was told to", options.fail_with)
    if options.needs_open and uri not in server.opened:
        return True
    if options.empty_for_requests and server.requests <= options.empty_for_requests:
        return True
    age = time.monotonic() - server.initialized_at
    return bool(options.empty_for_s and age < options.empty_for_s)


def make(options: Options) -> Server:
    server = Server(options)
    kind = options.encoding or "utf-8"
    builder: Any = ServerCapabilitiesBuilder
    builder.choose_position_encoding = staticmethod(lambda _: kind)
    make_lifecycle(server)
    make_documents(server)
    if not options.undeclared:
        make_definition(server)
    if options.outline is not False:
        make_outline(server)
    return server


def make_lifecycle(server: Server) -> None:
    options = server.options

    @server.feature(lsp.INITIALIZE)
    def initialize(params: lsp.InitializeParams) -> None:
        server.trace("initialize")
        time.sleep(options.slow_initialize_s or 0)

    @server.feature(lsp.INITIALIZED)
    async def initialized(params: lsp.InitializedParams) -> None:
        server.initialized_at = time.monotonic()
        if options.progress_s:
            await server.work_done_progress.create_async("work")
            server.work_done_progress.begin("work", lsp.WorkDoneProgressBegin(title="loading"))
            await asyncio.sleep(options.progress_s)
            server.work_done_progress.end("work", lsp.WorkDoneProgressEnd())

    @server.feature(lsp.CANCEL_REQUEST)
    def cancelled(params: lsp.CancelParams) -> None:
        server.trace("cancel", params.id)

    @server.feature(lsp.SHUTDOWN)
    def shutdown(*_: object) -> None:
        server.trace("shutdown")

    @server.feature(lsp.EXIT)
    def leave(*_: object) -> None:
        server.trace("exit")


def make_documents(server: Server) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: lsp.DidOpenTextDocumentParams) -> None:
        server.trace("open", params.text_document.uri)
        server.opened[params.text_document.uri] = params.text_document.text
        server.changed()

    @server.feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: lsp.DidChangeTextDocumentParams) -> None:
        server.trace("change", params.text_document.uri)
        server.opened[params.text_document.uri] = params.content_changes[-1].text
        server.changed()

    @server.feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: lsp.DidCloseTextDocumentParams) -> None:
        server.trace("close", params.text_document.uri)
        server.opened.pop(params.text_document.uri, None)

    @server.feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_files(params: lsp.DidChangeWatchedFilesParams) -> None:
        server.trace("files", len(params.changes))
        server.changed()


def make_definition(server: Server) -> None:
    options = server.options

    @server.feature(lsp.TEXT_DOCUMENT_DEFINITION)
    async def definition(
        params: lsp.DefinitionParams,
    ) -> lsp.Location | list[lsp.Location] | list[lsp.LocationLink] | None:
        uri = params.text_document.uri
        server.trace("definition", uri, params.position.line, params.position.character)
        if options.method_not_found:
            raise JsonRpcMethodNotFound
        empty = await misbehave(server, uri)
        links = [] if empty else [server.link(place) for place in server.find(params)]
        if not links and options.null_when_empty:
            return None
        locations = [lsp.Location(each.target_uri, each.target_selection_range) for each in links]
        if options.shape == "location":
            return locations[0] if locations else None
        return locations if options.shape == "locations" else links


def make_outline(server: Server) -> None:
    @server.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    async def outline(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        uri = params.text_document.uri
        server.trace("outline", uri)
        if await misbehave(server, uri):
            return []
        symbols = []
        for name, place in definitions_in(uri, server.lines(uri)):
            where = server.link(place).target_selection_range
            symbols.append(lsp.DocumentSymbol(name, lsp.SymbolKind.Function, where, where))
        return symbols


if __name__ == "__main__":
    make(Options(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {})).start_io()
