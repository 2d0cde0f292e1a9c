"""`enrichd`: the root of all commands, which are loaded when they are called.

The one place where errors become a line on stderr and an exit code.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from enrichd import __version__
from enrichd.cli.invocation import Invocation, global_options
from enrichd.errors import AnswerIsNo, EnrichdError, ExitCode

_INTERRUPTED = 130  # 128 + SIGINT, as shells have it

COMMANDS = {
    "index": "enrichd.cli.run",
    "run": "enrichd.cli.run",
    "status": "enrichd.cli.status",
    "servers": "enrichd.cli.servers",
    "wait": "enrichd.cli.wait",
    "symbols": "enrichd.cli.graph",
    "callers": "enrichd.cli.graph",
    "callees": "enrichd.cli.graph",
    "references": "enrichd.cli.graph",
    "supertypes": "enrichd.cli.graph",
    "subtypes": "enrichd.cli.graph",
    "implementations": "enrichd.cli.graph",
    "unused": "enrichd.cli.graph",
    "search": "enrichd.cli.search",
    "explain": "enrichd.cli.explain",
    "failures": "enrichd.cli.failures",
    "retry": "enrichd.cli.failures",
    "errors": "enrichd.cli.errors",
    "stats": "enrichd.cli.errors",
    "jobs": "enrichd.cli.runs",
    "workspaces": "enrichd.cli.workspaces",
    "export": "enrichd.cli.export",
    "verify": "enrichd.cli.verify",
    "doctor": "enrichd.cli.doctor",
    "config": "enrichd.cli.config",
}
"""Command and the module that holds it, under the same name."""


class _ReaderIsGone(Exception):
    """Whoever read stdout has closed it."""


class Root(click.Group):
    """Loads the module of a command when the command is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name])
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            guess = f"; did you mean {close[0]}?" if close else ""
            raise click.UsageError(f"there is no command {args[0]}{guess}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise _ReaderIsGone from None  # click would make it an exit code of its own
        return result

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> NoReturn:
        del standalone_mode, extra
        invocation = Invocation()
        try:
            code = super().main(
                args,
                prog_name or "enrichd",
                complete_var,
                standalone_mode=False,
                obj=invocation,
                color=False if os.environ.get("NO_COLOR") else None,
            )
        except Exception as error:
            code = _explain(error, invocation)
        except KeyboardInterrupt:
            code = _INTERRUPTED
        sys.exit(code or 0)


def _explain(error: Exception, invocation: Invocation) -> int:
    """Say what went wrong, and which exit code says it."""
    if invocation.debug and not isinstance(error, click.exceptions.Exit):
        import traceback  # noqa: PLC0415

        traceback.print_exception(error)
    match error:
        case click.exceptions.Exit():
            code = error.exit_code
        case click.Abort():
            code = _INTERRUPTED
        case click.ClickException():
            code = ExitCode.USAGE
            _tell_usage(error)
        case EnrichdError():
            code = error.exit_code
            _tell(error, invocation)
        case _ReaderIsGone():
            code = ExitCode.OK
            # Who read has seen enough. Python would complain when it flushes at its end.
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        case OSError():
            code = ExitCode.PERMISSION if isinstance(error, PermissionError) else ExitCode.IO
            _say(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        case _:
            code = ExitCode.SOFTWARE
            _say(
                f"this is a bug: {type(error).__name__}: {error}",
                None if invocation.debug else "`enrichd --debug ...` shows the traceback",
            )
    return code


def _tell_usage(error: click.ClickException) -> None:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        error.show()
        return
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"see `{context.command_path} --help`" if context is not None else None
    _say(error.format_message().rstrip("."), hint)


def _tell(error: EnrichdError, invocation: Invocation) -> None:
    from enrichd.query.select import AmbiguousSymbol  # noqa: PLC0415

    candidates = error.candidates if isinstance(error, AmbiguousSymbol) else []
    if invocation.as_json and isinstance(error, AnswerIsNo):
        from enrichd.cli.text import print_json  # noqa: PLC0415

        problem = {"message": error.message, "hint": error.hint}
        shown = {"candidates": candidates} if candidates else {}
        print_json({"schema_version": 1, "error": problem | shown})
    _say(error.message, None if candidates else error.hint)
    if candidates:
        from enrichd.cli.text import symbol_rows, table  # noqa: PLC0415

        click.echo(table(symbol_rows(candidates, with_uid=True)), err=True)
        click.echo(f"hint: {error.hint}", err=True)


def _say(message: str, hint: str | None = None) -> None:
    one_line = " ".join(message.split())
    click.echo(f"{click.style('enrichd:', fg='red')} {one_line}", err=True)
    if hint:
        click.echo(f"hint: {hint}", err=True)


def _print_version(context: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        click.echo(f"enrichd {__version__}")
        context.exit()


@click.group(
    cls=Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@global_options(shown=True)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Print the version.",
)
def root() -> None:
    """A precise, current code graph of your repositories, that says what it does not know.

    S, in the commands below, is a symbol: a dotted name (Flask.run, flask.app.Flask.run), a place
    (src/flask/app.py:546, with :column if you like), or a uid (src/flask/app.py/Flask#run().).

    Exit codes: 0 ok, 1 the answer is no or degraded, 64 usage, 69 daemon unreachable, 70 bug,
    74 I/O, 75 another instance holds the lock, 77 permission, 78 configuration.

    \b
    Examples:
      enrichd index ~/src/flask         index a repository and enrich it
      enrichd callers Flask.run         who calls it, and how sure that is
      enrichd status --json             how things stand, for a program
    """


def main() -> NoReturn:
    """The console script."""
    try:
        root.main()
    finally:
        # What is left is freed with the process. Python would look through all of it for cycles,
        # several times, which takes a command as long as some of its imports.
        gc.freeze()
