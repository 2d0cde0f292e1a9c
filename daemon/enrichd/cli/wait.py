"""`wait`: until the graph is current, for scripts and agents; also what `index` asks a daemon."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import click

from enrichd.cli.invocation import (
    Invocation,
    database_options,
    json_option,
    workspace_option,
)
from enrichd.cli.text import print_json

if TYPE_CHECKING:
    from enrichd.report import WaitReport

DEFAULT_S = 60.0
_MARGIN_S = 10.0


@click.command
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    default=DEFAULT_S,
    show_default=True,
    help="Wait no longer than S seconds.",
)
@workspace_option
@json_option
@database_options
@click.pass_obj
def wait(invocation: Invocation, timeout: float) -> int:
    """Wait until the graph is current.

    Every change that was made before this call is indexed when it returns, and every symbol that
    it concerns has been asked about. Exit 0: the graph is current and complete. Exit 1: it is as
    current as it can be but not complete, or the time was up: why, and what to do. It needs a
    running daemon (69: there is none).

    \b
    Examples:
      enrichd wait && enrichd callers Flask.run
      enrichd wait --workspace flask --timeout 10
      enrichd wait --json
    """
    from enrichd.errors import DaemonUnreachable  # noqa: PLC0415

    pid = invocation.owner
    if pid is None:
        raise DaemonUnreachable(
            f"no daemon keeps {invocation.database} current",
            hint="start one with `enrichd run`, or index once with `enrichd index PATH`",
        )
    report = ask(invocation, pid, invocation.workspace, timeout)
    return show(invocation, report)


def ask(invocation: Invocation, pid: int, workspace: str | None, timeout_s: float) -> WaitReport:
    """The daemon's report, when it has come to an end; raises DaemonUnreachable."""
    import msgspec  # noqa: PLC0415

    from enrichd.cli.client import DaemonClient  # noqa: PLC0415
    from enrichd.report import WaitReport  # noqa: PLC0415

    client = DaemonClient(invocation.config.daemon.socket, pid, timeout_s=timeout_s + _MARGIN_S)
    wanted = {"timeout": f"{timeout_s:g}"} | ({"workspace": workspace} if workspace else {})
    body = client.get(f"/api/v1/wait?{urlencode(wanted)}")
    return msgspec.json.decode(body, type=WaitReport)


def show(invocation: Invocation, report: WaitReport) -> int:
    """Print it; returns the exit code that it stands for."""
    if invocation.as_json:
        print_json(report)
        return 0 if report.complete else 1
    if report.complete:
        invocation.tell(f"current after {report.seconds:.1f} s: the graph is complete")
        return 0
    if report.timed_out:
        click.echo(f"not current: the time was up after {report.seconds:.1f} s")
    else:
        click.echo("as current as it can be, but the graph is not complete")
    for problem in report.problems:
        click.echo(f"  {problem}")
    return 1
