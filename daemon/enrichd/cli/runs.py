"""`jobs`: the indexing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from enrichd.cli.invocation import Invocation, reading_options
from enrichd.cli.text import by_kind, print_json, table
from enrichd.errors import DaemonUnreachable, UsageError
from enrichd_tracker.jobs import Level

if TYPE_CHECKING:
    from enrichd.query.jobs import JobView, StageView

_LIST, _LOG = 20, 1000


@click.command
@click.argument("job_id", metavar="[ID]", required=False)
@click.option(
    "--follow", is_flag=True, help="Show what happens, as it happens; a job until its end."
)
@click.option("--logs", is_flag=True, help="Show what the job had to say.")
@click.option(
    "--level",
    type=click.Choice([each.value for each in Level]),
    default=Level.INFO.value,
    show_default=True,
    help="Of the lines that --logs shows: this level, and what matters more.",
)
@click.option("--cancel", is_flag=True, help="Break the job off, or don't let it begin.")
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(1, 1000),
    help=f"How many jobs, or lines.  [default: {_LIST} jobs, {_LOG:,} lines]",
)
@click.option("--offset", metavar="N", default=0, type=click.IntRange(0))
@reading_options
@click.pass_obj
def jobs(
    invocation: Invocation,
    job_id: str | None,
    follow: bool,
    logs: bool,
    level: str,
    cancel: bool,
    limit: int | None,
    offset: int,
) -> int:
    """The indexing runs, or one of them.

    The newest first; one is shown with its stages. ID is a job's id, or as much of it as is needed.
    Exit 1: there is no such job, or the job that was followed did not complete. --follow and
    --cancel need a running daemon (69: there is none); when it restarts, following goes on. With
    --follow, --json prints one document a line, as the daemon's stream has them.

    \b
    Examples:
      enrichd jobs
      enrichd jobs --limit 5 --json
      enrichd jobs 3f2a
      enrichd jobs 3f2a --follow
      enrichd jobs --follow --workspace flask
      enrichd jobs 3f2a --logs --level warning
      enrichd jobs 3f2a --cancel
    """
    if sum((follow, logs, cancel)) > 1:
        raise UsageError("--follow, --logs and --cancel do not go together")
    if job_id is None and (logs or cancel):
        raise UsageError("whose? give the ID of a job", hint="`enrichd jobs` lists them")
    if follow:
        from enrichd.cli.follow import follow_all, follow_job  # noqa: PLC0415

        return follow_all(invocation) if job_id is None else follow_job(invocation, job_id)
    if job_id is None:
        _list_jobs(invocation, limit or _LIST, offset)
    elif logs:
        _show_log(invocation, job_id, Level(level), limit or _LOG, offset)
    elif cancel:
        _cancel(invocation, job_id)
    else:
        _show_one(invocation, job_id)
    return 0


def _list_jobs(invocation: Invocation, limit: int, offset: int) -> None:
    from enrichd.query import jobs as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    with reading(invocation.database) as reader:
        page = query.jobs(
            reader, now=now, workspace=invocation.workspace, limit=limit, offset=offset
        )
    if invocation.as_json:
        print_json(page)
    elif page.jobs:
        click.echo(table((_job_row(each, now) for each in page.jobs), indent=""))
        if page.more:
            invocation.tell(f"there are more: --offset {offset + limit}")
    else:
        click.echo("no jobs" if offset == 0 else "no more jobs")


def _show_one(invocation: Invocation, job_id: str) -> None:
    from enrichd.query import jobs as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    with reading(invocation.database) as reader:
        one = query.job(reader, job_id, now=now)
    if invocation.as_json:
        print_json(one)
    else:
        show_job(one, now)


def _show_log(invocation: Invocation, job_id: str, level: Level, limit: int, offset: int) -> None:
    from enrichd.query import jobs as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        log = query.log(reader, job_id, level=level, limit=limit, offset=offset)
    if invocation.as_json:
        print_json(log)
        return
    rows = ([f"{each.at:%H:%M:%S}", each.level, each.message] for each in log.lines)
    click.echo(table(rows, indent="") if log.lines else "no lines")
    if log.more:
        invocation.tell(f"there are more: --offset {offset + limit}")


def _cancel(invocation: Invocation, job_id: str) -> None:
    import msgspec  # noqa: PLC0415

    from enrichd.query.jobs import JobView  # noqa: PLC0415

    client = invocation.client(require_daemon(invocation))
    answer = client.post(f"/api/v1/index/status/{quote(job_id, safe='')}/cancel", {})
    job = msgspec.convert(answer, JobView)
    if invocation.as_json:
        print_json(job)
    else:
        invocation.tell(f"{job.job_id[:8]}: {job.status}")


def require_daemon(invocation: Invocation) -> int:
    """The process that has the database; raises DaemonUnreachable where there is none."""
    pid = invocation.owner
    if pid is None:
        raise DaemonUnreachable(
            f"no daemon has {invocation.database}", hint="start one with `enrichd run`"
        )
    return pid


def _job_row(job: JobView, now: float) -> list[str]:
    from enrichd.query.answers import duration  # noqa: PLC0415

    ended = job.completed_at or job.started_at or job.created_at
    when = f"{duration(now - ended.timestamp())} ago"
    if job.completed_at is None:
        how = f"{job.status}, {job.stage or 'at its start'}, {job.progress:.0%}"
    else:
        how = job.status
    files = f"{job.files_indexed:,} of {job.files_total:,} files"
    return [job.job_id[:8], job.workspace, job.kind, when, how, files, job.error_message or ""]


def show_job(job: JobView, now: float) -> None:
    """All about it, for a person."""
    rows = [
        ["job", job.job_id],
        ["workspace", job.workspace],
        ["kind", job.kind],
        ["status", job.status + (f": {job.error_message}" if job.error_message else "")],
        ["progress", f"{job.progress:.0%}"],
        [
            "files",
            f"{job.files_indexed:,} of {job.files_total:,} indexed, {job.files_failed:,} failed",
        ],
        ["symbols", f"{job.symbols_found:,}"],
        ["languages", by_kind(job.languages) or "none"],
        ["began", f"{job.started_at or job.created_at:%Y-%m-%d %H:%M:%S} UTC"],
    ]
    if job.completed_at is not None:
        rows.append(["ended", f"{job.completed_at:%Y-%m-%d %H:%M:%S} UTC"])
    click.echo(table(rows, indent=""))
    click.echo(table(_stage_row(each, now) for each in job.stages))


def _stage_row(stage: StageView, now: float) -> list[str]:
    from enrichd.query.answers import duration  # noqa: PLC0415

    end = now if stage.completed_at is None else stage.completed_at.timestamp()
    return [
        stage.stage,
        f"{stage.processed:,} of {stage.total:,}",
        duration(end - stage.started_at.timestamp()),
        f"{stage.rate:,.0f} a second" if stage.rate else "",
        "" if stage.completed_at is not None else f"at {stage.current_item}",
    ]
