"""`status`: how things stand."""

from __future__ import annotations

import sys
from threading import Event
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, database_options, json_option
from enrichd.cli.text import by_kind, parsed, print_json, table
from enrichd.errors import EnrichdError

if TYPE_CHECKING:
    from enrichd.query.status import Freshness, ServerInfo, Status, WorkspaceStatus

_EVERY_S = 2.0
_DAEMON_TIMEOUT_S = 3.0


@click.command
@click.option("--watch", is_flag=True, help="Draw it again every 2 s, until Ctrl-C.")
@json_option
@database_options
@click.pass_obj
def status(invocation: Invocation, watch: bool) -> None:
    """How things stand.

    The daemon, the workspaces, the servers, the last job, and what is wrong.

    \b
    Examples:
      enrichd status
      enrichd status --watch
      enrichd status --json
    """
    if not watch:
        _show(gather(invocation), invocation)
        return
    pause = Event()
    while True:
        found = gather(invocation)
        if sys.stdout.isatty():
            click.clear()
        _show(found, invocation)
        try:
            pause.wait(_EVERY_S)
        except KeyboardInterrupt:
            return


def gather(invocation: Invocation) -> Status:
    """From the daemon, where one has the database and answers; else from the database."""
    import msgspec  # noqa: PLC0415

    from enrichd.query.status import DaemonInfo, Status, build  # noqa: PLC0415

    silent: list[str] = []
    pid = invocation.owner
    if pid is not None:
        from enrichd.cli.client import DaemonClient  # noqa: PLC0415

        socket = invocation.config.daemon.socket
        try:
            body = DaemonClient(socket, pid, timeout_s=_DAEMON_TIMEOUT_S).get("/api/v1/status")
            return msgspec.json.decode(body, type=Status)
        except (EnrichdError, msgspec.MsgspecError) as error:
            reason = error.message if isinstance(error, EnrichdError) else "not understood"
            silent.append(f"process {pid} has the database and was not heard: {reason}")
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415  (only without a daemon)

    with reading(invocation.database) as reader:
        found = build(reader, daemon=None, servers=(), now=invocation.now, advice=invocation.advice)
    return msgspec.structs.replace(
        found,
        daemon=DaemonInfo(running=False, pid=pid),
        problems=[*silent, *found.problems],
    )


def _show(found: Status, invocation: Invocation) -> None:
    if invocation.as_json:
        print_json(found)
        return
    now = invocation.now
    lines = [_daemon(found)]
    for workspace in found.workspaces:
        lines += ["", *_workspace(workspace, now)]
    if not found.workspaces:
        lines += ["no workspaces yet: `enrichd index PATH`"]
    if found.servers:
        lines += ["", "servers", table(map(_server, found.servers))]
    if found.jobs:
        job = found.jobs[0]
        lines += ["", f"last job: {job.kind} of {job.workspace}, {job.status}"]
        lines[-1] += f" ({job.stage}, {job.progress:.0%})" if job.completed_at is None else ""
    if found.problems:
        lines += ["", click.style("problems", fg="yellow")]
        lines += [f"  {problem}" for problem in found.problems]
    click.echo("\n".join(lines))


def _daemon(found: Status) -> str:
    from enrichd.query.answers import duration  # noqa: PLC0415

    daemon = found.daemon
    if not daemon.running:
        return "enrichd is not running" + (f" (process {daemon.pid} writes)" if daemon.pid else "")
    up = f", up {duration(daemon.uptime_s)}" if daemon.uptime_s is not None else ""
    return f"enrichd {daemon.version or ''}".rstrip() + f" is running, pid {daemon.pid}{up}"


def _workspace(one: WorkspaceStatus, now: float) -> list[str]:
    from enrichd.query.answers import counted, duration  # noqa: PLC0415

    when = "its first run has not ended"
    if one.indexed_at is not None:
        when = f"indexed {duration(now - one.indexed_at.timestamp())} ago"
    if one.freshness is not None and one.indexed_at is not None:
        when += f", {_freshness(one.freshness)}"
    orphans = f"{one.orphans:,}"
    if one.backing_off:
        orphans += f" ({one.backing_off:,} backing off)"
    rows = [
        ["files", f"{one.files:,} ({parsed(one.parse)})"],
        ["symbols", f"{one.symbols:,}, of which {one.enriched:,} enriched"],
        ["orphans", orphans],
        ["skipped", f"{one.skipped:,}"],
        ["edges", f"{sum(one.edges.values()):,} ({by_kind(one.edges) or 'none'})"],
        ["outcomes", by_kind(one.outcomes) or "none"],
    ]
    for each in one.languages:
        server = (
            f"{each.server} {each.version or '(never started)'}" if each.server else "no server"
        )
        counts = f"{counted(each.files, 'file')}, {counted(each.orphans, 'orphan')}"
        rows.append([each.language, f"{counts}, {server}"])
    if one.errors:
        rows.append(["errors", by_kind(one.errors)])
    return [f"{click.style(one.name, bold=True)}  {one.root}  ({when})", table(rows)]


def _freshness(found: Freshness) -> str:
    from enrichd.query.answers import counted, duration  # noqa: PLC0415

    if found.pending_changes:
        waiting = counted(found.pending_changes, "change")
        return f"{waiting} not indexed yet, the oldest for {found.lag_s:.1f} s"
    if found.watching == "events":
        return "current"
    if found.looked_at_s_ago is None:
        return "not looked at yet"
    return f"looked at {duration(found.looked_at_s_ago)} ago"


def _server(server: ServerInfo) -> list[str]:
    counts = f"{server.requests:,} requests" if server.requests else ""
    if server.in_flight:
        counts += f", {server.in_flight} in flight"
    restarts = f"{server.restarts} restarts" if server.restarts else ""
    name = f"{server.name} {server.version}".rstrip()
    where = f"{server.language} of {server.workspace}"
    return [name, where, server.state, restarts, counts, server.last_error]
