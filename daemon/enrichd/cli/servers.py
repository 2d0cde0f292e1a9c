"""`servers`: the language servers of the daemon, and starting one afresh."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, database_options, json_option, workspace_option
from enrichd.cli.text import print_json, table

if TYPE_CHECKING:
    from enrichd.cli.client import DaemonClient
    from enrichd.query.servers import ServerDetail

_LAST_LINES = 5
"""Of stderr, where a server is not ready and nobody asked for more."""


@click.group(invoke_without_command=True)
@click.option("--stderr", is_flag=True, help="Show all that is kept of the servers' stderr.")
@json_option
@database_options
@click.pass_context
def servers(context: click.Context, stderr: bool) -> None:
    """The language servers, and their state.

    One line a server: state, version, process, work, and what is wrong; its memory includes the
    processes that it started. Of a server that is not ready the last lines of its stderr are shown
    too. It needs a running daemon (69: there is none).

    A server that fails is tried again after 1, 2, 4, ... 300 s; after five deaths in three minutes
    one single try is made about every 320 s. A reload (SIGHUP) tries at once; so does another
    program in the place of the one that failed (it is looked at every 10 s), which also makes its
    deaths forgotten. A server that works is left alone: its next start takes the new program.

    \b
    Examples:
      enrichd servers
      enrichd servers --stderr
      enrichd servers --json
      enrichd servers restart ty
    """
    if context.invoked_subcommand is not None:
        return
    import msgspec  # noqa: PLC0415

    from enrichd.query.servers import ServerList  # noqa: PLC0415

    invocation = context.ensure_object(Invocation)
    found = msgspec.json.decode(_daemon(invocation).get("/api/v1/servers"), type=ServerList)
    if invocation.as_json:
        print_json(found)
    elif found.servers:
        rows = table(map(_row, found.servers), indent="").splitlines()
        for server, row in zip(found.servers, rows, strict=True):
            click.echo("\n".join([row, *_last_words(server, everything=stderr)]))
    else:
        invocation.tell("there are none: no workspace has files of a language with a server")


@servers.command
@click.argument("name")
@workspace_option
@database_options
@click.pass_obj
def restart(invocation: Invocation, name: str) -> None:
    """Start the server NAME afresh, in every workspace that it serves.

    It is ended politely and started at once, whatever it was doing, and its deaths are forgotten.
    What was asked of it is asked again; no symbol is charged.

    Exit 1: there is no such server; the names are said.

    \b
    Examples:
      enrichd servers restart ty
      enrichd servers restart ty --workspace flask
    """
    only = {"workspace": invocation.workspace} if invocation.workspace else {}
    answer = _daemon(invocation).post("/api/v1/servers/restart", {"name": name} | only)
    for each in answer["restarted"]:
        place = f"{each['language']} of {each['workspace']}"
        invocation.tell(f"{each['name']} is started afresh for {place}")


def _daemon(invocation: Invocation) -> DaemonClient:
    from enrichd.errors import DaemonUnreachable  # noqa: PLC0415

    pid = invocation.owner
    if pid is None:
        raise DaemonUnreachable(
            f"no daemon runs on {invocation.database}, so there are no servers",
            hint="start one with `enrichd run`; `enrichd doctor` says which servers are installed",
        )
    return invocation.client(pid)


def _row(server: ServerDetail) -> list[str]:
    """Name, version, whom it serves, state, pid, memory, requests, restarts, what is wrong."""
    return [
        f"{server.name} {server.version}".rstrip(),
        f"{server.language} of {server.workspace}",
        _state(server),
        f"pid {server.pid}" if server.pid else "",
        f"{server.memory_bytes >> 20:,} MiB" if server.memory_bytes else "",
        _requests(server),
        _restarts(server),
        server.install_hint or server.last_error,
    ]


def _state(server: ServerDetail) -> str:
    from enrichd.query.answers import duration  # noqa: PLC0415

    if server.next_start_in_s is None:
        return server.state
    what = "looked for" if server.state == "unavailable" else "next start"
    return f"{server.state}, {what} in {duration(server.next_start_in_s)}"


def _requests(server: ServerDetail) -> str:
    from enrichd.query.answers import counted  # noqa: PLC0415

    told = f"{counted(server.requests, 'request')}, {counted(server.failures, 'failure')}"
    if server.in_flight:
        told += f", {server.in_flight} in flight (the oldest for {server.oldest_in_flight_s:.1f} s)"
    return told


def _restarts(server: ServerDetail) -> str:
    from enrichd.cli.text import by_kind  # noqa: PLC0415
    from enrichd.query.answers import counted  # noqa: PLC0415

    why = f" ({by_kind(server.restart_reasons)})" if server.restarts else ""
    return counted(server.restarts, "restart") + why


def _last_words(server: ServerDetail, *, everything: bool) -> Iterator[str]:
    if everything:
        lines = server.stderr or ["nothing on stderr"]
    else:
        lines = [] if server.state == "ready" else server.stderr[-_LAST_LINES:]
    if lines:
        yield table(([line] for line in lines), indent="    ")
