"""`index` and `run`: indexing once until settled, and the daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, config_option, database_options, json_option
from enrichd.cli.text import by_kind, parsed, print_json, table
from enrichd.errors import UsageError

if TYPE_CHECKING:
    from enrichd.report import IndexReport


_TERMINATED = 143  # 128 + SIGTERM, as shells have it


@click.command
@config_option
@click.pass_obj
def run(invocation: Invocation) -> int:
    """Be the daemon, in the foreground.

    It ends at SIGTERM or Ctrl-C, and reads its configuration again at SIGHUP.

    \b
    Examples:
      enrichd run
      enrichd run --config /etc/enrichd/config.toml
    """
    config = invocation.config
    from enrichd_tracker.store.lock import require_free  # noqa: PLC0415

    require_free(config.daemon.database)  # known at once, before all of the daemon is loaded
    from enrichd.api.serve import run_daemon  # noqa: PLC0415

    return run_daemon(config, invocation.read_config)


@click.command
@click.argument("path")
@click.option("--no-enrich", is_flag=True, help="Only find the symbols; ask no language server.")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    help="Stop after S seconds, with what is known by then.",
)
@click.option(
    "--changed-only",
    is_flag=True,
    help="Take up what changed since the last run; make no first index. A daemon may be running.",
)
@click.option("--branch", metavar="B", help="Of a URL: this branch; else the default one.")
@click.option(
    "--depth",
    metavar="N",
    type=click.IntRange(1, 1_000_000),
    help="Of a URL: only the last N commits.",
)
@json_option
@database_options
@click.pass_obj
def index(
    invocation: Invocation,
    path: str,
    no_enrich: bool,
    timeout: float | None,
    changed_only: bool,
    branch: str | None,
    depth: int | None,
) -> int:
    """Index a folder, or a Git URL, until it is settled.

    Exit 0: the graph is complete. Exit 1: it is not, and why not, and what to do. Files that did
    not change since the last run are not read again. Where a daemon has the database, it does the
    work, keeps the folder indexed from then on, and goes on when this command is stopped or
    --timeout is over; a URL (https, ssh, file) needs a daemon. With --changed-only a daemon looks
    at once at a folder that it keeps indexed, and is waited for as `enrichd wait` does.

    \b
    Examples:
      enrichd index .
      enrichd index ~/src/flask --db flask.db --timeout 60
      enrichd index . --no-enrich --json
      enrichd index . --changed-only
      enrichd index https://github.com/pallets/flask --depth 1
    """
    from enrichd.cli.workspaces import existing_folder  # noqa: PLC0415

    what = path if _is_url(path) else existing_folder(Path(path))
    if isinstance(what, str) and changed_only:
        raise UsageError("--changed-only is for folders", hint="leave it out")
    if isinstance(what, Path) and (branch or depth):
        raise UsageError("--branch and --depth are for URLs", hint="leave them out")
    if isinstance(what, Path) and changed_only:
        from enrichd.cli.changed import waited_for_daemon  # noqa: PLC0415

        code = waited_for_daemon(invocation, what, no_enrich=no_enrich, timeout_s=timeout)
        if code is not None:
            return code
    pid = invocation.owner
    if pid is not None:
        from enrichd.cli import index_by_daemon  # noqa: PLC0415

        report = index_by_daemon.index(
            invocation,
            pid,
            what,
            more={"branch": branch, "depth": depth},
            enrich=not no_enrich,
            timeout_s=timeout,
        )
    elif isinstance(what, Path):
        found = _index_here(invocation, what, enrich=not no_enrich, timeout_s=timeout)
        if found is None:
            invocation.tell("stopped; what was found out is kept, the next run goes on from there")
            return _TERMINATED
        report = found
    else:
        raise UsageError(
            "a URL is cloned and indexed by the daemon, and none has this database",
            hint="start one with `enrichd run`, or clone it and give the folder",
        )
    if invocation.as_json:
        print_json(report)
    else:
        click.echo(told(report))
    return 0 if report.complete else 1


def _is_url(text: str) -> bool:
    """Whether it is meant as one, and is no folder that is there."""
    from enrichd.sources.url import is_url  # noqa: PLC0415

    return is_url(text) and not Path(text).exists()


def _index_here(
    invocation: Invocation, folder: Path, *, enrich: bool, timeout_s: float | None
) -> IndexReport | None:
    """In this process; None when it was told to stop."""
    import asyncio  # noqa: PLC0415

    from enrichd.cli.progress import progress_for  # noqa: PLC0415

    config = invocation.config
    from enrichd import heap, logs  # noqa: PLC0415
    from enrichd.clock import SystemClock  # noqa: PLC0415
    from enrichd.once import run_index  # noqa: PLC0415

    # What matters is in the report; the daemon's running commentary is for who asks for it.
    said = "daemon.log_level" in config.sources
    level = config.daemon.log_level if said else "warning"
    logs.configure(level, config.daemon.log_format, SystemClock().monotonic)

    progress = progress_for(quiet=invocation.verbosity < 0, as_json=invocation.as_json)
    heap.share()
    heap.keep()
    try:
        return run_index(config, folder, enrich=enrich, timeout_s=timeout_s, progress=progress)
    except asyncio.CancelledError:
        return None
    finally:
        progress.close()


def told(report: IndexReport) -> str:
    """The report for a person."""
    from enrichd.query.answers import counted  # noqa: PLC0415

    if not report.files:
        return "\n".join(["nothing to index", *report.problems])
    if report.nothing_to_do and report.complete:
        return f"nothing to do: {counted(report.files, 'file')} unchanged, the graph is complete"
    moved = f"{report.files_changed:,} changed"
    if report.files_removed is not None:
        moved += f", {report.files_removed:,} removed"
    rows = [
        [
            "files",
            f"{report.files:,} ({moved}): {parsed(report.parse)}; {report.parse_seconds:.1f} s",
        ],
        ["symbols", f"{report.symbols:,}"],
        ["edges", f"{sum(report.edges.values()):,}: {by_kind(report.edges) or 'none'}"],
        ["outcomes", by_kind(report.outcomes) or "nothing asked yet"],
    ]
    if report.requests and report.server:
        asked = f"{report.requests:,} requests, {report.enrich_seconds:.1f} s"
        rows.append(["asked", f"{report.server}: {asked}"])
    left = {
        "orphans": report.orphans,
        "backing off": report.backing_off,
        "skipped": report.skipped,
    }
    if any(left.values()):
        rows.append(["left", by_kind(left)])
    end = "the graph is complete" if report.complete else "the graph is not complete"
    lines = [f"{report.workspace}: {end}, {report.seconds:.1f} s", table(rows)]
    lines += [f"  {problem}" for problem in report.problems]
    return "\n".join(lines)
