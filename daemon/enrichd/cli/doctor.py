"""`doctor`: is everything there that enrichd needs?"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from enrichd.cli.invocation import Invocation, database_options, json_option
from enrichd.cli.text import print_json, table
from enrichd.errors import ConfigError, EnrichdError

if TYPE_CHECKING:
    from enrichd.config import Config
    from enrichd.lsp.profiles import Profile

_LEAST_SQLITE = (3, 37)  # STRICT tables
_PROGRAM_TIMEOUT_S = 10.0
_DAEMON_TIMEOUT_S = 3.0
_INOTIFY = Path("/proc/sys/fs/inotify")
_SYSTEMD = Path("/run/systemd/system")


class State(StrEnum):
    """What a check came to."""

    OK = "ok"
    NOTE = "note"
    """Worth knowing; nothing that is needed is missing."""
    MISSING = "missing"


class Check(Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    state: State
    text: str
    hint: str = ""


class Diagnosis(Struct, frozen=True):
    """All that was looked at."""

    schema_version: int
    well: bool
    checks: list[Check]


class _Indexed(Struct, frozen=True):
    """What the database holds, as far as it matters here."""

    languages: dict[str, int] = {}
    """Files by language."""
    orphans: dict[str, int] = {}
    folders: int = 0


_COLOURS = {State.OK: "green", State.NOTE: "cyan", State.MISSING: "red"}


@click.command
@json_option
@database_options
@click.pass_obj
def doctor(invocation: Invocation) -> int:
    """Is everything there that enrichd needs?

    Says what is missing, and how to get it.

    Exit 1: something that is needed is missing.

    \b
    Examples:
      enrichd doctor
      enrichd doctor --db graph.db --json
    """
    _look_in_no_workspace(invocation)
    checks = [*_machine(), *_installation(invocation)]
    well = all(check.state is not State.MISSING for check in checks)
    if invocation.as_json:
        print_json(Diagnosis(1, well, checks))
    else:
        rows = [
            [f"{check.state:7}", check.name, check.text + (f"; {check.hint}" if check.hint else "")]
            for check in checks
        ]
        lines = table(rows, indent="").splitlines()
        for check, line in zip(checks, lines, strict=True):
            click.echo(click.style(line[:7], fg=_COLOURS[check.state]) + line[7:])
    return 0 if well else 1


def _look_in_no_workspace(invocation: Invocation) -> None:
    """Programs are run here, too."""
    from enrichd.search_path import leave_out  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with suppress(EnrichdError):
        for each in invocation.config.workspaces:
            leave_out(each.root)
    with suppress(EnrichdError), reading(invocation.database) as reader:
        for workspace in reader.workspaces():
            leave_out(Path(workspace.root))


def _machine() -> Iterator[Check]:
    from enrichd_tracker.store.reading import sqlite_version  # noqa: PLC0415

    yield Check("python", State.OK, f"{platform.python_version()} at {sys.executable}")
    found = sqlite_version()
    good = tuple(map(int, found.split(".")[:2])) >= _LEAST_SQLITE
    yield Check(
        "sqlite",
        State.OK if good else State.MISSING,
        found,
        "" if good else f"{'.'.join(map(str, _LEAST_SQLITE))} or newer is needed",
    )
    git = _output(["git", "--version"])
    yield Check(
        "git",
        State.OK if git else State.NOTE,
        git or "not found",
        "" if git else "only needed to clone a repository",
    )
    yield _systemd()


def _systemd() -> Check:
    if not _SYSTEMD.is_dir():
        return Check("systemd", State.NOTE, "this machine was not started by it")
    unit = _output(["systemctl", "show", "enrichd", "--property=LoadState,ActiveState"]) or ""
    states = dict(line.partition("=")[::2] for line in unit.splitlines())
    if states.get("LoadState") != "loaded":
        return Check("systemd", State.NOTE, "enrichd.service is not installed")
    return Check("systemd", State.OK, f"enrichd.service is {states.get('ActiveState', '?')}")


def _installation(invocation: Invocation) -> Iterator[Check]:
    try:
        config = invocation.config
    except ConfigError as error:
        yield Check("config", State.MISSING, error.message, error.hint or "")
        return
    yield Check("config", State.OK, str(config.path or "no file, the defaults hold"))
    database, indexed = _database(config.daemon.database)
    yield database
    yield _daemon(config)
    yield from _servers(config, indexed)
    yield _embeddings(config)
    yield _inotify(indexed.folders)


def _database(path: Path) -> tuple[Check, _Indexed]:
    from enrichd_tracker.store.lock import holder  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading, schema_of  # noqa: PLC0415

    if not path.exists():
        hint = "`enrichd index PATH` makes it"
        return Check("database", State.NOTE, f"there is none at {path} yet", hint), _Indexed()
    try:
        with reading(path) as reader:
            languages: dict[str, int] = {}
            orphans: dict[str, int] = {}
            folders: set[tuple[int, str]] = set()
            for workspace in reader.workspaces():
                for language, number in reader.languages(workspace.id).items():
                    languages[language] = languages.get(language, 0) + number
                for language, number in reader.orphans_by_language(workspace.id).items():
                    orphans[language] = orphans.get(language, 0) + number
                folders.update(
                    (workspace.id, path.rpartition("/")[0])
                    for path, _ in reader.file_stats(workspace.id)
                )
            number_of_workspaces = len(reader.workspaces())
        version, known = schema_of(path)
    except EnrichdError as error:
        return Check("database", State.MISSING, error.message, error.hint or ""), _Indexed()
    pid = holder(path)
    who = f"process {pid} writes to it" if pid is not None else "nobody writes to it"
    text = f"{path}: schema {version} of {known}, {number_of_workspaces} workspaces, {who}"
    return Check("database", State.OK, text), _Indexed(languages, orphans, len(folders))


def _daemon(config: Config) -> Check:
    from enrichd.cli.client import DaemonClient  # noqa: PLC0415

    socket = config.daemon.socket
    if not socket.exists():
        return Check("daemon", State.NOTE, f"there is no socket at {socket}: it is not running")
    try:
        DaemonClient(socket, timeout_s=_DAEMON_TIMEOUT_S).get("/healthz")
    except EnrichdError as error:
        return Check("daemon", State.MISSING, error.message, error.hint or "")
    return Check("daemon", State.OK, f"answers on {socket}")


def _servers(config: Config, indexed: _Indexed) -> Iterator[Check]:
    from enrichd.servers import profiles  # noqa: PLC0415

    try:
        known = profiles(config)
    except ConfigError as error:
        yield Check("servers", State.MISSING, error.message, error.hint or "")
        return
    chosen = set(config.enrich.servers.values())
    for name, profile in sorted(known.items()):
        speaks = sorted(language for language, one in config.enrich.servers.items() if one == name)
        needed = [language for language in speaks if indexed.languages.get(language)]
        yield _server(profile, speaks, needed=bool(needed), chosen=name in chosen)
    for language in sorted(set(indexed.orphans) - set(config.enrich.servers)):
        text = f"{indexed.orphans[language]:,} symbols, and no server for it"
        hint = f"name one in [enrich.servers]: {language} = ..."
        yield Check(language, State.MISSING, text, hint)


def _server(profile: Profile, speaks: list[str], *, needed: bool, chosen: bool) -> Check:
    from enrichd.lsp.profiles import find_command  # noqa: PLC0415

    use = f"for {', '.join(speaks)}" if speaks else f"can speak {', '.join(profile.languages)}"
    command = find_command(profile)
    if command is None:
        state = State.MISSING if needed else State.NOTE
        hint = profile.install_hint if needed or chosen else ""
        return Check(profile.name, state, f"not installed ({use})", hint)
    version = _version(profile, Path(command[0]).parent)
    text = version.splitlines()[0] if version else "found"
    return Check(profile.name, State.OK, f"{text} at {command[0]} ({use})")


def _version(profile: Profile, folder: Path) -> str:
    """What the server's version command says; its program stands beside the server's."""
    if not profile.version_command:
        return ""
    program, *arguments = profile.version_command
    beside = folder / program
    return _output([str(beside) if beside.exists() else program, *arguments])


def _embeddings(config: Config) -> Check:
    from enrichd.embed import model  # noqa: PLC0415

    name = "embeddings"
    try:
        found = model.configured(config)
    except ConfigError as error:
        return Check(name, State.MISSING, error.message, error.hint or "")
    if found is not None:
        text = str(found.folder) if "/" in found.name else f"{found.name} in {found.folder}"
        return Check(name, State.OK, text)
    hint = f"`{model.GET_LIBRARIES}`, `{model.GET_MODEL}`, then [embeddings] model"
    if not model.missing_libraries():
        hint = f"name a model in [embeddings], such as {model.EXAMPLE}: `{model.GET_MODEL}`"
    return Check(name, State.NOTE, "off: `enrichd search` goes by words alone", hint)


def _inotify(folders: int) -> Check:
    try:
        watches = int((_INOTIFY / "max_user_watches").read_text())
        instances = int((_INOTIFY / "max_user_instances").read_text())
    except (OSError, ValueError):
        return Check("inotify", State.NOTE, "its limits can't be read")
    text = f"{watches:,} watches, {instances:,} instances; {folders:,} folders hold indexed files"
    if folders <= watches:
        return Check("inotify", State.OK, text)
    return Check(
        "inotify", State.MISSING, text, f"sysctl fs.inotify.max_user_watches={2 * folders}"
    )


def _output(command: list[str]) -> str:
    """What a program says on stdout; empty when it is not there or does not succeed."""
    program = shutil.which(command[0])
    if program is None:
        return ""
    try:
        done = subprocess.run(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROGRAM_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
