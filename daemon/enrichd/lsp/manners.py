"""What a server asks of its client, and what it is told: every request gets an answer.

A server that is not answered stops answering (pyright waits for workspace/configuration for
ever), so there is no request that this module leaves open.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from enrichd.lsp import protocol as lsp
from enrichd.lsp.wire import UNREADABLE, ErrorObject

LOG_LINES = 50
LOG_LINE_CHARACTERS = 500
NAME_CHARACTERS = 500
MAX_REGISTRATIONS = 1000
MAX_PIECES_OF_WORK = 1000

Settings = Mapping[str, Any]


class _Item(Struct):
    section: str | None = None


class _Configuration(Struct):
    items: list[_Item] = []


class _Registration(Struct):
    id: str
    method: str


class _Registrations(Struct):
    registrations: list[_Registration] = []


class _Unregistrations(Struct):
    # the misspelling is the protocol's own (LSP 3.17, UnregistrationParams)
    unregistrations: list[_Registration] = field(default_factory=list, name="unregisterations")


class _Progress(Struct):
    token: int | str
    value: Raw = Raw()


class _ProgressValue(Struct):
    kind: str = ""


class _Log(Struct):
    message: str = ""


class _Status(Struct):
    quiescent: bool | None = None


class Manners:
    """The client's side of one connection: what it was asked, told and shown."""

    def __init__(self, settings: Settings, root_uri: str, root_name: str) -> None:
        self._settings = settings
        self._folder = {"uri": root_uri, "name": root_name}
        self._working: set[int | str] = set()
        self.registrations: dict[str, str] = {}
        """Registration id -> method."""
        self.progress_begun = 0
        self.quiescent: bool | None = None
        """What experimental/serverStatus said last; None when it never said anything."""
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self._answers: dict[str, Callable[[Raw], object]] = {
            lsp.WORKSPACE_CONFIGURATION: self._configuration,
            lsp.CLIENT_REGISTER_CAPABILITY: self._register,
            lsp.CLIENT_UNREGISTER_CAPABILITY: self._unregister,
            lsp.WINDOW_WORK_DONE_PROGRESS_CREATE: _nothing,
            lsp.WORKSPACE_WORKSPACE_FOLDERS: lambda _: [self._folder],
            lsp.WINDOW_SHOW_MESSAGE_REQUEST: _nothing,
            lsp.WORKSPACE_APPLY_EDIT: lambda _: {"applied": False},
            lsp.WINDOW_SHOW_DOCUMENT: lambda _: {"success": False},
            lsp.WORKSPACE_CODE_LENS_REFRESH: _nothing,
            lsp.WORKSPACE_DIAGNOSTIC_REFRESH: _nothing,
            lsp.WORKSPACE_FOLDING_RANGE_REFRESH: _nothing,
            lsp.WORKSPACE_INLAY_HINT_REFRESH: _nothing,
            lsp.WORKSPACE_INLINE_VALUE_REFRESH: _nothing,
            lsp.WORKSPACE_SEMANTIC_TOKENS_REFRESH: _nothing,
        }

    @property
    def progress_active(self) -> int:
        """How many pieces of work the server says it is doing."""
        return len(self._working)

    @property
    def quiet(self) -> bool:
        """Whether the server says nothing of being at work."""
        return not self._working and self.quiescent is not False

    def answer(self, method: str, params: Raw) -> object | ErrorObject:
        """The result for a server's request, or the error."""
        respond = self._answers.get(method)
        if respond is None:
            return ErrorObject(lsp.ErrorCodes.MethodNotFound, f"enrichd does not know {method}")
        try:
            return respond(params)
        except UNREADABLE as error:
            return ErrorObject(lsp.ErrorCodes.InvalidParams, str(error))

    def notice(self, method: str, params: Raw) -> None:
        """Take note of a notification; those of no use, or unreadable, are passed over."""
        try:
            if method == lsp.PROGRESS:
                self._progress(msgspec.json.decode(params, type=_Progress))
            elif method in {lsp.WINDOW_LOG_MESSAGE, lsp.WINDOW_SHOW_MESSAGE}:
                message = msgspec.json.decode(params, type=_Log).message
                self.log.append(message[:LOG_LINE_CHARACTERS])
            elif method == "experimental/serverStatus":
                self.quiescent = msgspec.json.decode(params, type=_Status).quiescent
        except UNREADABLE:
            return

    def _progress(self, progress: _Progress) -> None:
        kind = msgspec.json.decode(progress.value, type=_ProgressValue).kind
        token = progress.token if isinstance(progress.token, int) else _short(progress.token)
        if kind == "begin":
            if len(self._working) < MAX_PIECES_OF_WORK:
                self._working.add(token)
            self.progress_begun += 1
        elif kind == "end":
            self._working.discard(token)

    def _configuration(self, params: Raw) -> list[object]:
        items = msgspec.json.decode(params, type=_Configuration).items
        return [section_of(self._settings, item.section) for item in items]

    def _register(self, params: Raw) -> None:
        for each in msgspec.json.decode(params, type=_Registrations).registrations:
            if len(self.registrations) < MAX_REGISTRATIONS:
                self.registrations[_short(each.id)] = _short(each.method)

    def _unregister(self, params: Raw) -> None:
        for each in msgspec.json.decode(params, type=_Unregistrations).unregistrations:
            self.registrations.pop(_short(each.id), None)


def section_of(settings: Settings, section: str | None) -> object:
    """The part of ``settings`` that a dotted section names; None where there is nothing."""
    if not section:
        return settings
    if section in settings:
        return settings[section]
    found: object = settings
    for name in section.split("."):
        if not isinstance(found, Mapping) or name not in found:
            return None
        found = found[name]
    return found


def _short(name: str) -> str:
    return name[:NAME_CHARACTERS]


def _nothing(_: Raw) -> None:
    return None
