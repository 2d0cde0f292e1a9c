"""`failures` and `retry`: what failed, and trying it again."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, database_options, reading_options, workspace_option
from enrichd.cli.text import print_json, table
from enrichd.cli.writing import write

if TYPE_CHECKING:
    from enrichd.query.failures import FailureView


@click.command
@click.option("--state", type=click.Choice(["backing-off", "skipped"]), help="Only these.")
@click.option("--limit", metavar="N", default=100, show_default=True, type=click.IntRange(1))
@click.option("--offset", metavar="N", default=0, type=click.IntRange(0))
@reading_options
@click.pass_obj
def failures(invocation: Invocation, state: str | None, limit: int, offset: int) -> None:
    """Symbols whose last attempt failed.

    Those that are due for the next one come first, those that were given up last.

    \b
    Examples:
      enrichd failures
      enrichd failures --state skipped --json
    """
    from enrichd.query import failures as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        answer = query.failures(
            reader,
            state=query.FailureState(state) if state else None,
            workspace=invocation.workspace,
            limit=limit,
            offset=offset,
        )
    if invocation.as_json:
        print_json(answer)
        return
    if not answer.failures:
        click.echo("no failures" if offset == 0 else "no more failures")
        return
    now = invocation.now
    click.echo(table((_row(each, now) for each in answer.failures), indent=""))
    if answer.more:
        invocation.tell(f"there are more: --offset {offset + limit}")


def _row(failure: FailureView, now: float) -> list[str]:
    retry = "skipped" if failure.next_retry_at is None else _until(failure.next_retry_at, now)
    attempts = f"{failure.attempts} attempt" + ("" if failure.attempts == 1 else "s")
    place = f"{failure.file}:{failure.line}"
    return [
        retry,
        attempts,
        failure.kind,
        failure.name,
        place,
        f"{failure.server}: {failure.reason}",
    ]


def _until(at: datetime, now: float) -> str:
    from enrichd.query.answers import duration  # noqa: PLC0415

    left = at.timestamp() - now
    return f"retry in {duration(left)}" if left > 0 else "retry due"


@click.command
@click.argument("symbol", metavar="[S]", required=False)
@click.option("--all", "everything", is_flag=True, help="Everything that failed.")
@workspace_option
@database_options
@click.pass_obj
def retry(invocation: Invocation, symbol: str | None, everything: bool) -> None:
    """Ask again about S, or all that failed.

    A running daemon begins at once; without one, the next `enrichd run` or `index` does.

    \b
    Examples:
      enrichd retry Flask.run
      enrichd retry --all
    """
    if (symbol is None) is not everything:
        raise click.UsageError("give either a symbol or --all")

    chosen = _chosen(invocation, symbol)
    pid = invocation.owner
    if not chosen:
        invocation.tell("nothing has failed")
    elif pid is not None:
        client = invocation.client(pid)
        if everything:
            only = {"workspace": invocation.workspace} if invocation.workspace else {}
            client.post("/api/v1/enrichment/retry", {"all": True} | only)
        for uid, _, workspace in [] if everything else chosen:
            client.post("/api/v1/enrichment/retry", {"symbol": uid, "workspace": workspace})
        invocation.tell(_asked_again(len(chosen)))
    else:
        symbol_ids = [symbol_id for _, symbol_id, _ in chosen]
        write(invocation.database, lambda store: store.retry(symbol_ids))
        invocation.tell(f"{_asked_again(len(chosen))} by the next `enrichd run` or `enrichd index`")


def _chosen(invocation: Invocation, text: str | None) -> list[tuple[str, int, str]]:
    """uid, id and workspace of what is tried again."""
    from enrichd.errors import UsageError  # noqa: PLC0415
    from enrichd.query.select import chosen, select  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        if text is None:
            workspaces = {each.id: each.name for each in chosen(reader, invocation.workspace)}
            return [
                (record.uid, record.symbol_id, workspaces[record.lane.workspace_id])
                for record in reader.failures()
                if record.lane.workspace_id in workspaces
            ]
        selected = select(reader, text, workspace=invocation.workspace, folder=Path.cwd())
        if selected.first.path is None:
            raise UsageError(f"{text} lies outside the workspace: nothing is asked about it")
        return [(each.uid, each.id, selected.workspace.name) for each in selected.symbols]


def _asked_again(number: int) -> str:
    return f"{number:,} {'symbol is' if number == 1 else 'symbols are'} asked again"
