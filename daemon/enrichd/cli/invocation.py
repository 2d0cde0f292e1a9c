"""What all commands share of one call of `enrichd`: its options, configuration and database."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from enrichd.cli.client import DaemonClient
    from enrichd.config import Config
    from enrichd.query.answers import Advice, Circumstances, UnindexedOf
    from enrichd_tracker.store.port import Reader, StoredSymbol

F = TypeVar("F", bound=Callable[..., Any])


_LOG_LEVELS = {-1: "error", 0: None, 1: "debug"}


class Invocation:
    """One call: what its options said, and what follows from them when it is asked for."""

    def __init__(self) -> None:
        self.config_file: Path | None = None
        self.database_flag: Path | None = None
        self.workspace: str | None = None
        self.as_json = False
        self.verbosity = 0
        """-1 with ``-q``, 1 with ``-v``."""
        self.debug = False

    @cached_property
    def config(self) -> Config:
        """The effective configuration; raises ConfigError."""
        return self.read_config()

    def read_config(self) -> Config:
        """The same, read anew."""
        from enrichd.config import load  # noqa: PLC0415 (its imports are paid for when used)

        flags: dict[str, object] = {
            "daemon.database": self.database_flag,
            "daemon.log_level": _LOG_LEVELS[self.verbosity],
        }
        return load(self.config_file, os.environ, flags)

    @property
    def database(self) -> Path:
        """The database that is asked."""
        return self.config.daemon.database

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        from enrichd.clock import SystemClock  # noqa: PLC0415

        return SystemClock().time()

    @property
    def advice(self) -> Advice:
        """What to do about a language whose server is missing."""

        def advice(language: str) -> str:
            from enrichd.servers import advice  # noqa: PLC0415

            return advice(self.config, language)

        return advice

    @property
    def owner(self) -> int | None:
        """The process that has the database just now, if there is one."""
        from enrichd_tracker.store.lock import holder  # noqa: PLC0415

        return holder(self.database)

    def client(self, pid: int | None) -> DaemonClient:
        """The way to the daemon that is this process."""
        from enrichd.cli.client import DaemonClient  # noqa: PLC0415

        return DaemonClient(self.config.daemon.socket, pid)

    def unindexed(self, reader: Reader) -> UnindexedOf:
        """What the daemon that has the database knows to be touched; nothing where none is."""
        from enrichd.cli.client import unindexed  # noqa: PLC0415
        from enrichd.query.answers import NOTHING  # noqa: PLC0415

        owner = self.owner
        by_name = {} if owner is None else unindexed(self.config.daemon.socket, owner)
        found = {each.id: by_name.get(each.name, NOTHING) for each in reader.workspaces()}
        return lambda workspace_id: found.get(workspace_id, NOTHING)

    def circumstances(self, reader: Reader) -> Circumstances:
        """What answers depend on beside the graph."""
        from enrichd.query.answers import Circumstances  # noqa: PLC0415

        return Circumstances(self.now, self.advice, self.unindexed(reader))

    def ask_daemon_too(self, question: str, symbol: StoredSymbol, workspace: str) -> None:
        """What an answer lacks is served next, if a daemon hears of the question."""
        from enrichd.cli.client import tell_question  # noqa: PLC0415

        if (owner := self.owner) is not None:
            tell_question(self.config.daemon.socket, owner, question, symbol.uid, workspace)

    def tell(self, text: str) -> None:
        """A message for the person, unless they want none."""
        if self.verbosity >= 0:
            click.echo(text, err=True)


def _keep(name: str, when_set: object = None) -> Callable[..., None]:
    def callback(context: click.Context, _: click.Parameter, value: Any) -> None:
        # An option may stand before the command too; what is not given takes nothing back.
        if value is not None and value is not False:
            invocation = context.ensure_object(Invocation)
            setattr(invocation, name, value if when_set is None else when_set)

    return callback


def global_options(*, shown: bool) -> Callable[[F], F]:
    """What may stand before every command and behind it; the help shows it once."""

    def flag(*names: str, callback: Callable[..., None], says: str) -> Callable[[F], F]:
        return click.option(
            *names,
            is_flag=True,
            expose_value=False,
            hidden=not shown,
            callback=callback,
            help=says,
        )

    def decorate(function: F) -> F:
        for option in (
            flag("--debug", callback=_keep("debug"), says="Show the traceback of an error."),
            flag(
                "-q",
                "--quiet",
                callback=_keep("verbosity", -1),
                says="Say nothing but data and errors.",
            ),
            flag("-v", "--verbose", callback=_keep("verbosity", 1), says="Say more."),
            click.option(
                "--config",
                type=click.Path(path_type=Path),
                metavar="F",
                expose_value=False,
                callback=_keep("config_file"),
                help="The configuration file.",
            ),
        ):
            function = option(function)
        return function

    return decorate


config_option = global_options(shown=False)
"""``--config F``, and hidden what every command takes."""


def database_options(function: F) -> F:
    """``--db F`` and ``--config F``, for commands that use a database."""
    return click.option(
        "--db",
        type=click.Path(path_type=Path),
        metavar="F",
        expose_value=False,
        callback=_keep("database_flag"),
        help="The database; else the one of the configuration.",
    )(config_option(function))


def json_option(function: F) -> F:
    """``--json``, for commands that read."""
    return click.option(
        "--json",
        is_flag=True,
        expose_value=False,
        callback=_keep("as_json"),
        help="Print JSON, with a schema_version.",
    )(function)


def workspace_option(function: F) -> F:
    """``--workspace NAME``"""
    return click.option(
        "-w",
        "--workspace",
        metavar="NAME",
        expose_value=False,
        callback=_keep("workspace"),
        help="Only this workspace.",
    )(function)


def reading_options(function: F) -> F:
    """What every command has that asks the graph."""
    return workspace_option(json_option(database_options(function)))
