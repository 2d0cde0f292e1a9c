"""`errors`, `stats`: what went wrong while indexing, how well the files parsed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

import click

from enrichd.cli.invocation import Invocation, reading_options
from enrichd.cli.text import by_kind, print_json, table
from enrichd.cli.writing import write
from enrichd_tracker.model import ErrorStatus, ErrorType

if TYPE_CHECKING:
    from enrichd.query.errors import ErrorSummary, ErrorView
    from enrichd.query.parse_health import FileHealth, WorkspaceHealth
    from enrichd_tracker.store.port import Store

_TYPES = [each.value for each in ErrorType]
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


_limit = click.option(
    "--limit", metavar="N", default=20, show_default=True, type=click.IntRange(1, 1000)
)
_offset = click.option("--offset", metavar="N", default=0, type=click.IntRange(0))
_ID = click.IntRange(1, 2**63 - 1)


def _ago(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Seconds."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration: give 90s, 30m, 2h or 7d")
    return float(found[1]) * _UNITS_S[found[2]]


def _place(_: click.Context, __: click.Parameter, text: str | None) -> str | None:
    if text is not None:
        from enrichd.query.errors import PLACE  # noqa: PLC0415

        if re.search(PLACE, text) is None:
            raise click.BadParameter(f"{text!r} is not the `next` of a page")
    return text


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
@click.option("--before", metavar="P", callback=_place, help="The page after `next` of another.")
@click.option("--ignore", metavar="ID", multiple=True, type=_ID, help="Let this one be.")
@click.option("--reopen", metavar="ID", multiple=True, type=_ID, help="Ignore it no more.")
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
    before: str | None,
    ignore: tuple[int, ...],
    reopen: tuple[int, ...],
) -> None:
    """What went wrong while indexing.

    File by file, those last seen first. The same error of the same file is one row, and counted.
    With -v the traceback is shown, where there is one. What is ignored is counted nowhere, until
    it is reopened. Symbols that no server could answer for: see `enrichd failures`.

    \b
    Examples:
      enrichd errors
      enrichd errors --summary
      enrichd errors --type encoding_error --path 'src/*' --json
      enrichd errors --status all --since 7d
      enrichd errors --ignore 12 --ignore 17
    """
    from enrichd.query import errors as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    if ignore or reopen:
        _judge(invocation, dict.fromkeys(ignore, ErrorStatus.IGNORED))
        _judge(invocation, dict.fromkeys(reopen, ErrorStatus.OPEN))
        return
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
        page = None
        if not summed:
            page = query.errors(reader, wanted, limit=limit, offset=offset, before=before)
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


def _judge(invocation: Invocation, verdicts: dict[int, ErrorStatus]) -> None:
    """Set what a person says of errors; nothing is set where one of them is not there."""
    from enrichd.query.errors import error  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    if not verdicts:
        return
    with reading(invocation.database) as reader:
        names = {each: error(reader, each, invocation.workspace).error for each in verdicts}
        ids = {each.name: each.id for each in reader.workspaces()}
    owner = invocation.owner
    if owner is not None:
        client = invocation.client(owner)
        for error_id, status in verdicts.items():
            workspace = quote(names[error_id].workspace, safe="")
            path = f"/api/v1/indexing/batch/errors/{workspace}/{error_id}"
            client.post(path, {"status": status})
    else:
        changes = [
            (ids[names[error_id].workspace], error_id, status)
            for error_id, status in verdicts.items()
        ]
        write(invocation.database, lambda store: _judge_here(store, changes))
    with reading(invocation.database) as reader:
        for error_id in verdicts:
            now = error(reader, error_id).error
            invocation.tell(f"error {error_id} is {now.status}: {now.file}: {now.message}")


async def _judge_here(store: Store, changes: list[tuple[int, int, ErrorStatus]]) -> None:
    for workspace_id, error_id, status in changes:
        await store.set_error_status(workspace_id, error_id, status)


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
        f"{error.id}",
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
    parse), `error` (it gave nothing) or `unsupported` (source in a programming language that is
    not parsed, which is no failure).

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
        if each.clean_ratio is not None
    ]
    if rows:
        click.echo(table(rows))
    others = {each.language: each.unsupported for each in workspace.languages}
    if any(others.values()):
        click.echo(f"  not parsed: {by_kind(others)}")
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
    lost = f"{file.lost_ratio:.1%} lost" if file.lost_bytes else ""
    return [file.status, file.file, file.message, lost]


def _share(ratio: float | None) -> str:
    return "nothing" if ratio is None else f"{ratio:.1%}"
