"""The configuration: flags over ENRICHD_* environment over file over defaults, and shown again.

The file is $ENRICHD_CONFIG, else enrichd/config.toml in $XDG_CONFIG_HOME, else
/etc/enrichd/config.toml. Its relative paths are relative to its folder; those of flags and of the
environment are relative to the working directory. Every error is a ``ConfigError`` of one line
that names the place, the key and what is wrong with it.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import structs

from enrichd.errors import ConfigError
from enrichd.settings import Misfit, Settings, did_you_mean, fitted, join_key, kind_of, tables_in

SYSTEM_FILE = Path("/etc/enrichd/config.toml")
PREFIX = "ENRICHD_"
_FILE_VARIABLE = PREFIX + "CONFIG"
_SECTIONS_OF_VARIABLES = ("daemon", "monitor", "tracker", "enrich", "index", "embeddings")


class Config(Settings, frozen=True, kw_only=True):
    """The effective configuration; every path is absolute."""

    path: Path | None = None
    """The file that was read, if there was one."""
    sources: dict[str, str] = msgspec.field(default_factory=dict)
    """Dotted key of each value that isn't a default: who set it (file, variable, ``flag``)."""


def load(
    path: Path | None, environ: Mapping[str, str], flags: Mapping[str, object] | None = None
) -> Config:
    """The effective configuration.

    ``path`` is the file that a flag named. ``flags`` are dotted keys as in the file
    (``daemon.database``); the whole of ``workspace`` can be one. None means not given.
    """
    file, document = _read(path, environ)
    layers = _Layers(file, document)
    for key, (name, text) in _variables(environ).items():
        layers.put(key, text, name)
    for key, value in (flags or {}).items():
        if value is not None:
            layers.put(key, value, "flag")
    layers.complete(environ)
    return layers.convert()


def show(config: Config) -> str:
    """The configuration as TOML that ``load`` takes, with the source of each value beside it."""
    return "\n".join(_rendered(config)) + "\n"


# Reading


def _read(path: Path | None, environ: Mapping[str, str]) -> tuple[Path | None, dict[str, object]]:
    named = path or (Path(environ[_FILE_VARIABLE]) if environ.get(_FILE_VARIABLE) else None)
    candidates = [named] if named else [_xdg(environ, "CONFIG", ".config") / "config.toml"]
    for candidate in candidates if named else [*candidates, SYSTEM_FILE]:
        file = candidate.absolute()
        try:
            content = file.read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            if named:
                raise _refused(f"{file}: can't be read: {error.strerror}") from error
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise _refused(f"{file}: can't be read: {reason}") from error
        else:
            return file, _parse(content, file)
    return None, {}


def _parse(content: bytes, file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        problem = "not UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem, _, place = str(error).rpartition(" (at ")
        line, column = _line_and_column(place, content.decode())
        problem = problem[:1].lower() + problem[1:]
    except RecursionError:
        raise _refused(f"{file}: nested too deeply") from None
    raise _refused(f"{file}: line {line}, column {column}: {problem}")


def _line_and_column(place: str, text: str) -> tuple[int, int]:
    if found := re.fullmatch(r"line (\d+), column (\d+)\)", place):
        return int(found[1]), int(found[2])
    lines = text.split("\n")
    return len(lines), len(lines[-1]) + 1


def _variables(environ: Mapping[str, str]) -> dict[str, tuple[str, object]]:
    """Dotted key: (name of the variable, its value), for every ENRICHD_ variable."""
    known: dict[str, tuple[str, object]] = {}
    for section in _SECTIONS_OF_VARIABLES:
        default = getattr(Settings(), section)
        prefix = PREFIX if section == "daemon" else f"{PREFIX}{section.upper()}_"
        for key in default.__struct_fields__:
            known[prefix + key.upper()] = (f"{section}.{key}", getattr(default, key))
    found: dict[str, tuple[str, object]] = {}
    for name, text in environ.items():
        if name == _FILE_VARIABLE or not name.startswith(PREFIX):
            continue
        if name not in known:
            guess = did_you_mean(name, [*known, _FILE_VARIABLE], PREFIX)
            raise _refused(f"environment: unknown variable {name}{guess}")
        if text != text.encode(errors="replace").decode():
            raise _refused(f"environment: {name}: not UTF-8")
        key, default = known[name]
        found[key] = (name, _from_text(text, default))
    return found


def _from_text(text: str, default: object) -> object:
    """The value of a variable, shaped like the default; what doesn't fit is left for the laws."""
    try:
        match default:
            case int():
                return int(text)
            case float():
                return float(text)
            case tuple():
                return [item.strip() for item in text.split(",") if item.strip()]
            case dict():
                return dict(item.strip().split("=", 1) for item in text.split(",") if item.strip())
            case _:
                return text
    except ValueError:
        return text


# Layers


class _Layers:
    """The document as it is put together, and who set which key."""

    def __init__(self, file: Path | None, document: dict[str, object]) -> None:
        self._file = file
        self._document = document
        self._sources = {key: str(file) for key in _keys_of(document)}

    def put(self, key: str, value: object, source: str) -> None:
        section, dot, name = key.partition(".")
        if dot:
            table = self._document.setdefault(section, {})
            if not isinstance(table, dict):
                raise self._error(Misfit(section, f"expected a table, got {kind_of(table)}"))
            table[name] = value
        else:
            self._document[section] = value
        self._sources = {
            known: by
            for known, by in self._sources.items()
            if known != key and not known.startswith((f"{key}.", f"{key}["))
        }
        self._sources[key] = source

    def complete(self, environ: Mapping[str, str]) -> None:
        """Add the defaults that depend on the machine, and make every path absolute."""
        home = str(_home(environ))
        state, runtime = _folders(environ)
        daemon = self._document.setdefault("daemon", {})
        if isinstance(daemon, dict):
            for key, folder in (("database", state), ("socket", runtime), ("token_file", state)):
                if key in daemon:
                    self._resolve(daemon, key, f"daemon.{key}", home)
                else:
                    daemon[key] = str(folder / getattr(Settings().daemon, key))
        for place, workspace in enumerate(tables_in(self._document.get("workspace"))):
            self._resolve(workspace, "root", f"workspace[{place}].root", home)
        for place, server in enumerate(tables_in(self._document.get("server"))):
            command = server.get("command")
            # A bare name is looked for on PATH; anything else is a path like all the others.
            if isinstance(command, list) and command and "/" in str(command[0]):
                program: dict[str, object] = {"command": command[0]}
                self._resolve(program, "command", f"server[{place}].command", home)
                server["command"] = [program["command"], *command[1:]]
        embeddings = self._document.get("embeddings")
        # A bare name is that of a package; anything else is a path like all the others.
        if isinstance(embeddings, dict) and "/" in str(embeddings.get("model", "")):
            self._resolve(embeddings, "model", "embeddings.model", home)
        enrich = self._document.setdefault("enrich", {})
        if isinstance(enrich, dict) and isinstance(enrich.get("servers", {}), dict):
            # Naming a server for one language takes none from another.
            enrich["servers"] = Settings().enrich.servers | enrich.get("servers", {})

    def convert(self) -> Config:
        try:
            settings = fitted(self._document)
        except Misfit as misfit:
            raise self._error(misfit) from misfit
        values = structs.asdict(settings)
        return Config(**values, path=self._file, sources=self._sources)

    def _resolve(self, table: dict[str, object], name: str, key: str, home: str) -> None:
        value = table.get(name)
        if not isinstance(value, str | Path):
            return
        text = str(value)
        if not text:
            raise self._error(Misfit(key, "expected a path, got empty text"))
        if "\0" in text:
            raise self._error(Misfit(key, "a path can't hold a NUL character"))
        if text == "~" or text.startswith("~/"):
            text = home + text[1:]
        from_file = self._file is not None and self._source(key) == str(self._file)
        folder = self._file.parent if self._file and from_file else Path.cwd()
        table[name] = os.path.normpath(folder / text)

    def _source(self, key: str) -> str | None:
        while key:
            if key in self._sources:
                return self._sources[key]
            key = key[: max(key.rfind("."), key.rfind("["), 0)]
        return None

    def _error(self, misfit: Misfit) -> ConfigError:
        source = self._source(misfit.key) or str(self._file or "configuration")
        if source.startswith(PREFIX):
            return _refused(f"environment: {source}: {misfit.text}")
        return _refused(": ".join(part for part in (source, misfit.key, misfit.text) if part))


def _keys_of(value: object, key: str = "") -> Iterator[str]:
    """The dotted keys of all values: arrays of tables are gone into, other lists are values."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _keys_of(inner, join_key(key, name))
    elif tables := tables_in(value):
        for place, table in enumerate(tables):
            yield from _keys_of(table, f"{key}[{place}]")
    else:
        yield key


def _folders(environ: Mapping[str, str]) -> tuple[Path, Path]:
    """Where state and what lasts as long as the process goes: systemd's word first, then XDG's."""
    state = _first(environ.get("STATE_DIRECTORY")) or _xdg(environ, "STATE", ".local/state")
    runtime = _first(environ.get("RUNTIME_DIRECTORY"))
    if runtime is None:
        base = environ.get("XDG_RUNTIME_DIR", "")
        runtime = Path(base) / "enrichd" if Path(base).is_absolute() else state
    return state, runtime


def _refused(message: str) -> ConfigError:
    return ConfigError(_one_line(message))


def _one_line(text: str) -> str:
    """Whatever the names in it are."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _first(folders: str | None) -> Path | None:
    return Path(folders.split(":")[0]) if folders else None


def _xdg(environ: Mapping[str, str], kind: str, fallback: str) -> Path:
    """enrichd's folder of one kind; the XDG specification has relative values ignored."""
    base = Path(environ.get(f"XDG_{kind}_HOME", ""))
    return (base if base.is_absolute() else _home(environ) / fallback) / "enrichd"


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path("~").expanduser())


# Showing


def _rendered(config: Config) -> Iterator[str]:
    yield f"# {_one_line(str(config.path or 'no file was read'))}"
    document = msgspec.to_builtins(config, enc_hook=str)
    for section, value in document.items():
        if section in {"path", "sources"}:
            continue
        tables = [(f"[{section}]", section, value)]
        if isinstance(value, list | tuple):
            tables = [
                (f"[[{section}]]", f"{section}[{place}]", table)
                for place, table in enumerate(value)
            ]
        for header, key, table in tables:
            yield ""
            yield header
            for name, inner in table.items():
                source = _source_of(config.sources, f"{key}.{name}")
                yield f"{_toml_key(name)} = {_toml(inner)}  # {source}"


def _source_of(sources: Mapping[str, str], key: str) -> str:
    found = {
        by
        for known, by in sources.items()
        if known == key or known.startswith(f"{key}.") or re.match(re.escape(known) + r"\[", key)
    }
    return _one_line(", ".join(sorted(found))) or "default"


def _toml(value: object) -> str:
    """One value on one line. What TOML has and JSON hasn't was refused when it was read."""
    match value:
        case dict():
            pairs = ", ".join(f"{_toml_key(key)} = {_toml(inner)}" for key, inner in value.items())
            return f"{{ {pairs} }}" if pairs else "{}"
        case list() | tuple():
            return f"[{', '.join(map(_toml, value))}]"
        case str():
            # TOML's basic strings are JSON's, but for DEL, which has to be escaped; a path that
            # isn't UTF-8 can't be said in TOML at all.
            sayable = value.encode(errors="replace").decode()
            return json.dumps(sayable, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return json.dumps(value)


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _toml(key)
