"""`jobs`, `errors`, `stats`: the indexing runs, what went wrong in them, how well files parsed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, reading_options
from enrichd.cli.text import by_kind, print_json, table
from enrichd_tracker.model import ErrorType

if TYPE_CHECKING:
    from enrichd.query.errors import ErrorSummary, ErrorView
    from enrichd.query.jobs import JobView, StageView
    from enrichd.query.parse_health import FileHealth, WorkspaceHealth

_TYPES = [each.value for each in ErrorType]
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_limit = click.option(
    "--limit", metavar="N", default=20, show_default=True, type=click.IntRange(1, 1000)
)
_offset = click.option("--offset", metavar="N", default=0, type=click.IntRange(0))


def _ago(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration: give 90s, 30m, 2h or 7d")
    return float(found[1]) * _UNITS_S[found[2]]


@click.command
@click.argument("job_id", metavar="[ID]", required=False)
@_limit
@_offset
@reading_options
@click.pass_obj
def jobs(invocation: Invocation, job_id: str | None, limit: int, offset: int) -> None:
    """The indexing runs, or one of them.

    The newest first; one is shown with its stages. ID is a job's id, or as much of it as is needed.
    Exit 1: there is no such job.

    \b
    Examples:
      enrichd jobs
      enrichd jobs --limit 5 --json
      enrichd jobs 3f2a
    """
    from enrichd.query import jobs as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    with reading(invocation.database) as reader:
        if job_id is not None:
            one = query.job(reader, job_id, now=now)
        else:
            page = query.jobs(
                reader, now=now, workspace=invocation.workspace, limit=limit, offset=offset
            )
    if job_id is not None:
        print_json(one) if invocation.as_json else _show_job(one, now)
    elif invocation.as_json:
        print_json(page)
    elif page.jobs:
        click.echo(table((_job_row(each, now) for each in page.jobs), indent=""))
        if page.more:
            invocation.tell(f"there are more: --offset {offset + limit}")
    else:
        click.echo("no jobs" if offset == 0 else "no more jobs")


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


def _show_job(job: JobView, now: float) -> None:
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


@click.command
@click.option(
    "--type",
    "error_type",
    type=click.Choice(_TYPES),
    help="Only this type.",
)
@click.option("--language", metavar="L", help="Only files of this language.")
@click.option("--path", metavar="GLOB", help="Only files whose path matches.")
@click.option(
    "--status",
    type=click.Choice(["open", "resolved", "ignored", "all"]),
    default="open",
    show_default=True,
    help="An error is resolved when its file is indexed without it.",
)
@click.option("--since", metavar="D", callback=_ago, help="Seen in the last 90s, 30m, 2h, 7d.")
@click.option("--summary", "summed", is_flag=True, help="Only how many of each type.")
@_limit
@_offset
@reading_options
@click.pass_obj
def errors(
    invocation: Invocation,
    error_type: str | None,
    language: str | None,
    path: str | None,
    status: str,
    since: float | None,
    summed: bool,
    limit: int,
    offset: int,
) -> None:
    """What went wrong while indexing.

    File by file, those last seen first. The same error of the same file is one row, and counted.
    With -v the traceback is shown, where there is one. Symbols that no server could answer for:
    see `enrichd failures`.

    \b
    Examples:
      enrichd errors
      enrichd errors --summary
      enrichd errors --type encoding_error --path 'src/*' --json
      enrichd errors --status all --since 7d
    """
    from enrichd.query import errors as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    wanted = query.Wanted(
        workspace=invocation.workspace,
        error_type=error_type,
        language=language,
        path=path,
        status=status,
        since=None if since is None else invocation.now - since,
    )
    with reading(invocation.database) as reader:
        found = query.summary(reader, wanted)
        page = None if summed else query.errors(reader, wanted, limit=limit, offset=offset)
    if page is None:
        _show_summary(found, invocation)
    elif invocation.as_json:
        print_json(page)
    elif page.errors:
        for error in page.errors:
            _show_error(error, invocation)
        if page.more:
            invocation.tell(f"{found.errors:,} in all; there are more: --offset {offset + limit}")
    else:
        click.echo("no errors" if offset == 0 else "no more errors")


def _show_summary(found: ErrorSummary, invocation: Invocation) -> None:
    if invocation.as_json:
        print_json(found)
        return
    rows = [
        [each.error_type, f"{each.errors:,}", f"in {each.files:,} files", f"{each.occurrences:,} x"]
        for each in found.types
    ]
    click.echo(table(rows, indent="") if rows else "no errors")


def _show_error(error: ErrorView, invocation: Invocation) -> None:
    from enrichd.query.answers import duration  # noqa: PLC0415

    seen = f"{duration(invocation.now - error.last_seen.timestamp())} ago"
    often = f", {error.count:,} times" if error.count > 1 else ""
    shown = "" if error.status == "open" else f"{error.status}: "
    row = [
        f"{error.workspace}: {error.file}",
        f"{shown}{error.error_type}",
        f"{seen}{often}",
        error.message,
    ]
    click.echo(table([row], indent=""))
    if invocation.verbosity > 0 and error.traceback:
        click.echo("".join(f"    {line}\n" for line in error.traceback.splitlines()), nl=False)


@click.command
@click.option("--failures", is_flag=True, help="List the files that did not parse whole, too.")
@click.option("--limit", metavar="N", default=100, show_default=True, type=click.IntRange(1, 1000))
@reading_options
@click.pass_obj
def stats(invocation: Invocation, failures: bool, limit: int) -> None:
    """How well the files parsed.

    By language, and how that moved in the last runs. A file is `ok`, `partial` (some of it did not
    parse), `error` (it could not be read) or `unsupported` (its language is not known here, which
    counts nowhere).

    \b
    Examples:
      enrichd stats
      enrichd stats --failures
      enrichd stats --json
    """
    from enrichd.query import parse_health as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    files: list[FileHealth] = []
    with reading(invocation.database) as reader:
        found = query.stats(reader, invocation.workspace)
        if failures:
            for each in found.workspaces:
                for status in ("error", "partial"):
                    page = query.parse_results(reader, each.workspace, status=status, limit=limit)
                    files += page.files
    if invocation.as_json:
        print_json(
            {"schema_version": found.schema_version, "workspaces": found.workspaces}
            | ({"failures": files} if failures else {})
        )
        return
    for workspace in found.workspaces:
        _show_health(workspace)
    if files:
        click.echo(table((_file_row(each) for each in files), indent=""))


def _show_health(workspace: WorkspaceHealth) -> None:
    click.echo(f"{workspace.workspace}: {_share(workspace.clean_ratio)} parsed cleanly")
    rows = [
        [
            each.language,
            _share(each.clean_ratio),
            f"ok {each.ok:,}, partial {each.partial:,}, error {each.error:,}",
            f"{each.lost_bytes:,} of {each.bytes:,} bytes lost",
        ]
        for each in workspace.languages
    ]
    if rows:
        click.echo(table(rows))
    before = None
    for run in workspace.history:
        here = (run.ok, run.partial, run.error, run.commit)
        if here == before:
            continue  # only what moved
        before = here
        commit = f" at {run.commit[:10]}" if run.commit else ""
        counts = f"ok {run.ok:,}, partial {run.partial:,}, error {run.error:,}"
        click.echo(f"  {run.at:%Y-%m-%d %H:%M} UTC  {_share(run.clean_ratio)}  {counts}{commit}")


def _file_row(file: FileHealth) -> list[str]:
    lines = ", ".join(map(str, file.error_lines))
    more = f" and {file.error_count - len(file.error_lines):,} more"
    text = f"line {lines}{more if file.error_count > len(file.error_lines) else ''}"
    lost = f"{file.lost_ratio:.1%} lost" if file.lost_bytes else ""
    return [file.status, file.file, file.message or text, lost]


def _share(ratio: float | None) -> str:
    return "nothing" if ratio is None else f"{ratio:.1%}"
