"""`explain`: why a symbol is where it is."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, reading_options
from enrichd.cli.text import by_kind, print_json, table

if TYPE_CHECKING:
    from enrichd.query.explain import Explanation, OperationView


@click.command
@click.argument("symbol", metavar="S")
@reading_options
@click.pass_obj
def explain(invocation: Invocation, symbol: str) -> None:
    """Why S is where it is.

    What was asked about it, what came of that, attempts, reasons, the next retry.

    \b
    Examples:
      enrichd explain Flask.run
      enrichd explain src/flask/app.py:546 --json
    """
    from enrichd.query import explain as query  # noqa: PLC0415
    from enrichd.query.answers import Circumstances  # noqa: PLC0415
    from enrichd.query.select import select  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    with reading(invocation.database) as reader:
        selected = select(reader, symbol, workspace=invocation.workspace, folder=Path.cwd())
        answer = query.explain(
            reader,
            selected,
            Circumstances(now, invocation.advice),
            max_attempts=invocation.config.tracker.max_attempts,
        )
    if invocation.as_json:
        print_json(answer)
        return
    click.echo("\n\n".join(_told(each, now) for each in answer.symbols))
    click.echo(f"its own body: {answer.completeness.text(now)}")
    for reason in answer.completeness.reasons[1:]:
        click.echo(f"  also: {reason}")


def _told(one: Explanation, now: float) -> str:
    symbol = one.symbol
    end = f"-{one.end_line}" if one.end_line not in {None, symbol.line} else ""
    rows = [
        ["uid", symbol.uid],
        ["workspace", symbol.workspace],
        ["state", f"{one.state}{f', asked of {one.server}' if one.server else ''}"],
    ]
    if one.attempts:
        rows.append(["attempts", f"{one.attempts} of {one.max_attempts} failed: {one.reason}"])
        rows.append(["last attempt", _when(one.last_attempt_at, now)])
        retry = _when(one.next_retry_at, now) if one.next_retry_at else "none, it is skipped"
        rows.append(["next retry", retry])
    rows += [[each.operation, _outcome(each, now)] for each in one.operations]
    if one.parse:
        rows.append(["file parsed", one.parse])
    rows.append(["edges from it", by_kind(one.edges_out) or "none"])
    rows.append(["edges to it", by_kind(one.edges_in) or "none"])
    rows += [["can't know", limit] for limit in one.cannot_know]
    return f"{symbol.kind} {symbol.qualified_name}  {symbol.place}{end}\n{table(rows)}"


def _outcome(operation: OperationView, now: float) -> str:
    parts = [operation.outcome]
    if operation.edges:
        parts[0] += f" ({by_kind(operation.edges)})"
    if operation.reason:
        parts.append(operation.reason)
    if operation.at is not None:
        parts.append(f"{operation.server} {operation.version}".strip())
        parts.append(_when(operation.at, now))
    return ", ".join(parts)


def _when(at: datetime | None, now: float) -> str:
    from enrichd.query.answers import duration  # noqa: PLC0415

    if at is None:
        return "never"
    left = at.timestamp() - now
    return f"in {duration(left)}" if left > 0 else f"{duration(-left)} ago"
