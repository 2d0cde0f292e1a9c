"""What can be set: every section and key of config.toml, its default and its law.

The names and defaults are a contract with users. What a type can't say is said in
``__post_init__``, as ``ValueError("key: what is wrong")``. ``fitted`` turns a document into
``Settings``, or says which key is wrong and how in the words of a person.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable
from datetime import date, time
from enum import Enum
from ipaddress import ip_address
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field
from msgspec.structs import fields

from enrichd_tracker.model import Operation

LogLevel = Literal["debug", "info", "warning", "error"]
LogFormat = Literal["auto", "json", "console"]
ExternalPolicy = Literal["off", "imports", "all"]
DocumentPolicy = Literal["none", "per-file", "all"]

Text = Annotated[str, Meta(min_length=1)]
AboveZero = Annotated[float, Meta(gt=0)]
WORKSPACE_NAME = re.compile(r"[A-Za-z0-9._-]+")
SOURCES = "sources"
"""The folder beside the database in which repositories are cloned."""


class Address(Struct, frozen=True):
    """Where to listen on TCP."""

    host: str
    port: int


class DaemonSettings(Struct, frozen=True, kw_only=True):
    """``[daemon]``: where the daemon keeps its state and how it talks."""

    database: Path = Path("enrichd.db")
    socket: Path = Path("enrichd.sock")
    listen: str = "127.0.0.1:9911"
    token_file: Path = Path("token")
    log_level: LogLevel = "info"
    log_format: LogFormat = "auto"

    def __post_init__(self) -> None:
        if self.listen:
            parse_address(self.listen)

    @property
    def address(self) -> Address | None:
        """Where to listen on TCP, or None for the Unix socket alone."""
        return parse_address(self.listen) if self.listen else None


class WorkspaceSettings(Struct, frozen=True, kw_only=True):
    """One ``[[workspace]]``; ``exclude`` holds patterns as in .gitignore."""

    name: Text
    root: Path
    exclude: tuple[Text, ...] = ()

    def __post_init__(self) -> None:
        if not WORKSPACE_NAME.fullmatch(self.name):
            raise ValueError('name: only letters, digits, ".", "_" and "-" can stand in it')


class MonitorSettings(Struct, frozen=True, kw_only=True):
    """``[monitor]``: how often orphans are looked for, and how many wait at most."""

    interval_s: AboveZero = 5.0
    queue_size: Annotated[int, Meta(ge=1)] = 1000


class TrackerSettings(Struct, frozen=True, kw_only=True):
    """``[tracker]``: when a symbol is tried again, and when it is given up."""

    initial_s: AboveZero = 5.0
    factor: Annotated[float, Meta(ge=1)] = 2.0
    max_s: AboveZero = 320.0
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 7
    jitter: Annotated[float, Meta(ge=0, le=1)] = 0.0

    def __post_init__(self) -> None:
        if self.max_s < self.initial_s:
            raise ValueError(f"max_s: {self.max_s:g} is less than initial_s = {self.initial_s:g}")


class EnrichSettings(Struct, frozen=True, kw_only=True):
    """``[enrich]``: what is asked of language servers, and of which."""

    external: ExternalPolicy = "imports"
    request_timeout_s: AboveZero = 25.0
    servers: dict[Text, Text] = field(default_factory=lambda: {"python": "ty"})
    """Language = name of a server profile; a file adds to the default, key by key."""


class IndexSettings(Struct, frozen=True, kw_only=True):
    """``[index]``: which files are read, and by how many processes (0: one a core)."""

    max_file_bytes: Annotated[int, Meta(gt=0)] = 2 * 1024 * 1024
    exclude: tuple[Text, ...] = ()
    parse_processes: Annotated[int, Meta(ge=0)] = 0
    max_clone_bytes: Annotated[int, Meta(gt=0)] = 1024 * 1024 * 1024
    """What a clone of a Git URL may take on the disk, work tree and history."""


class EmbeddingsSettings(Struct, frozen=True, kw_only=True):
    """``[embeddings]``: the model that symbols are embedded with; empty for none."""

    model: str = ""
    """A folder (with ``/`` in it), or the name of an installed package that carries one."""


class ServerSettings(Struct, frozen=True, kw_only=True):
    """One ``[[server]]``: a new profile, or the changed keys of a built-in one."""

    name: Text
    languages: tuple[Text, ...] | UnsetType = UNSET
    command: Annotated[tuple[Text, ...], Meta(min_length=1)] | UnsetType = UNSET
    root_markers: tuple[Text, ...] | UnsetType = UNSET
    documents: DocumentPolicy | UnsetType = UNSET
    window: Annotated[int, Meta(ge=1)] | UnsetType = UNSET
    ready_timeout_s: AboveZero | UnsetType = UNSET
    operations: tuple[Operation, ...] | UnsetType = UNSET
    settings: dict[str, object] | UnsetType = UNSET
    initialization_options: dict[str, object] | UnsetType = UNSET
    environment: dict[Text, str] | UnsetType = UNSET
    max_rss_bytes: Annotated[int, Meta(gt=0)] | UnsetType = UNSET

    def changes(self) -> dict[str, object]:
        """The keys that were set, ``name`` among them, as plain lists, dicts and scalars."""
        plain: dict[str, object] = msgspec.to_builtins(self, builtin_types=())
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in plain.items()
        }


class Settings(Struct, frozen=True, kw_only=True):
    """The whole of config.toml. In the file ``workspaces`` and ``servers`` are singular."""

    daemon: DaemonSettings = field(default_factory=DaemonSettings)
    workspaces: tuple[WorkspaceSettings, ...] = field(default=(), name="workspace")
    monitor: MonitorSettings = field(default_factory=MonitorSettings)
    tracker: TrackerSettings = field(default_factory=TrackerSettings)
    enrich: EnrichSettings = field(default_factory=EnrichSettings)
    index: IndexSettings = field(default_factory=IndexSettings)
    embeddings: EmbeddingsSettings = field(default_factory=EmbeddingsSettings)
    servers: tuple[ServerSettings, ...] = field(default=(), name="server")

    def __post_init__(self) -> None:
        names = [workspace.name for workspace in self.workspaces]
        roots = [os.path.realpath(workspace.root) for workspace in self.workspaces]
        _reject_twins("workspace", "name", names)
        _reject_twins("workspace", "root", roots)
        _reject_twins("server", "name", [server.name for server in self.servers])


def parse_address(listen: str) -> Address:
    """``host:port`` as parts; ValueError for what isn't one, and for a host beyond loopback."""
    host, colon, port = listen.rpartition(":")
    if not colon or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError(f'listen: expected "host:port" or "", got "{listen}"')
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if host != "localhost":
        try:
            loopback = ip_address(host).is_loopback
        except ValueError:
            loopback = False
        if not loopback:
            raise ValueError(
                f'listen: "{host}" is not a loopback host; '
                "use 127.0.0.1, [::1] or localhost, and a proxy for anything further"
            )
    return Address(host, int(port))


def _reject_twins(section: str, key: str, values: list[str]) -> None:
    seen: dict[str, int] = {}
    for place, value in enumerate(values):
        first = seen.setdefault(value, place)
        if first != place:
            raise ValueError(f'{section}[{place}].{key}: "{value}" is also {section}[{first}]')


class Misfit(ValueError):
    """A document breaks a law: the dotted key (empty for the whole), and what is wrong."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(key, text)
        self.key = key
        self.text = text


def fitted(document: dict[str, object]) -> Settings:
    """The document as ``Settings``; raises ``Misfit``. Paths may be given as text."""
    _require_plain(document, "")
    _require_known(Settings, document, "")
    try:
        return msgspec.convert(document, Settings, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise _explained(error) from error


def tables_in(value: object) -> list[dict[str, object]]:
    """The tables of an array of tables; nothing for any other value."""
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def kind_of(value: object) -> str:
    """What a person calls the type of a value."""
    names = {"str": "str", "bool": "bool", "int": "int", "float": "float", "list": "array"}
    return _WORDS[names.get(type(value).__name__, "object")]


def join_key(key: str, name: str) -> str:
    """The dotted key of ``name`` in the table at ``key``."""
    return f"{key}.{name}" if key else name


def did_you_mean(wrong: str, known: Iterable[str], prefix: str = "") -> str:
    """A suggestion to append to a message, or nothing; all names begin with ``prefix``."""
    import difflib  # noqa: PLC0415  (only when something is wrong)

    names = [each.removeprefix(prefix) for each in known]
    close = difflib.get_close_matches(wrong.removeprefix(prefix), names, n=1)
    return f'; did you mean "{prefix}{close[0]}"?' if close else ""


_WORDS = {
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "Path": "a path",
    "null": "nothing",
}


def _path(kind: type, value: object) -> object:
    if kind is object:  # what is passed on to a language server as it is
        return value
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError(f"expected a path, got {kind_of(value)}")


def _require_plain(value: object, key: str) -> None:
    """Refuse what TOML has and JSON hasn't: language servers are sent JSON."""
    match value:
        case dict():
            for name, inner in value.items():
                _require_plain(inner, join_key(key, name))
        case list() | tuple():
            for place, inner in enumerate(value):
                _require_plain(inner, f"{key}[{place}]")
        case float() if not math.isfinite(value):
            raise Misfit(key, f"expected a finite number, got {value}")
        case date() | time():
            raise Misfit(key, "dates and times have no meaning here; write text")
        case _:
            pass


def _require_known(kind: Any, value: object, key: str) -> None:
    """Refuse unknown keys and unknown words, with a suggestion."""
    while get_origin(kind) in {Annotated, Union, UnionType}:  # a union is only ever with UNSET
        kind = get_args(kind)[0]
    if get_origin(kind) is Literal:
        _require_word(get_args(kind), value, key)
    elif get_origin(kind) is tuple and isinstance(value, list):
        for place, inner in enumerate(value):
            _require_known(get_args(kind)[0], inner, f"{key}[{place}]")
    elif get_origin(kind) is dict and isinstance(value, dict):
        for name, inner in value.items():
            if get_args(kind)[1] is not object and not isinstance(inner, str):
                raise Misfit(join_key(key, name), f"expected text, got {kind_of(inner)}")
    elif isinstance(kind, type) and issubclass(kind, Enum):
        _require_word([str(member.value) for member in kind], value, key)
    elif isinstance(kind, type) and issubclass(kind, Struct) and isinstance(value, dict):
        _require_known_keys(kind, value, key)


def _require_known_keys(kind: type[Struct], table: dict[str, object], key: str) -> None:
    known = {each.encode_name: each.type for each in fields(kind)}
    for name, inner in table.items():
        if name not in known:
            raise Misfit(join_key(key, name), f"unknown key{_suggestion(name, known, key)}")
        _require_known(known[name], inner, join_key(key, name))


def _require_word(words: Iterable[str], value: object, key: str) -> None:
    words = list(words)
    if isinstance(value, str) and value not in words:
        raise Misfit(key, f'expected one of {", ".join(words)}; got "{value}"')


def _suggestion(name: str, known: Iterable[str], key: str) -> str:
    if not key:
        for section in fields(Settings):
            inner = section.type
            if isinstance(inner, type) and name in {each.name for each in fields(inner)}:
                return f"; it belongs in [{section.name}]"
    return did_you_mean(name, known)


def _explained(error: msgspec.ValidationError) -> Misfit:
    """msgspec's message, "Expected `int`, got `str` - at `$.monitor.queue_size`", for a person."""
    text, _, place = str(error).partition(" - at `$")
    key = place.removesuffix("`").removeprefix(".").replace("[...]", "")
    if law := re.fullmatch(r"([\w.\[\]]+): (.*)", text, re.DOTALL):
        return Misfit(join_key(key, law[1]), law[2])
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return Misfit(join_key(key, missing[1]), "is missing")
    text = re.sub(r"`(\w+)`", lambda found: _WORDS.get(found[1], found[1]), text)
    text = re.sub(r"(\d)\.0$", r"\1", text)
    text = text.replace("text of length >= 1", "text that isn't empty")
    text = text.replace("a list of length >= 1", "a list that isn't empty")
    return Misfit(key, text[:1].lower() + text[1:])


def free_name(wanted: str, folder: Path, taken: dict[str, str]) -> str:
    """A name for a folder: as wanted, or with a number behind it where another folder bears it."""
    allowed = "".join(each if each.isalnum() or each in "._-" else "-" for each in wanted)
    base = allowed.encode("ascii", "replace").decode().replace("?", "-") or "root"
    name, number = base, 2
    while taken.get(name, str(folder)) != str(folder):
        name, number = f"{base}-{number}", number + 1
    return name
