"""`symbols`, `callers`, `supertypes` and their like: asking the graph, always read-only."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, reading_options
from enrichd.cli.text import headline, print_json, symbol_rows, table

if TYPE_CHECKING:
    from enrichd.query.answers import EdgeView
    from enrichd.query.edges import EdgeAnswer


@click.command
@click.argument("pattern")
@click.option("--kind", metavar="K", help="Only this kind: function, method, class, ...")
@click.option("--path", metavar="P", help="Only files under this folder or matching this glob.")
@click.option("--limit", metavar="N", default=100, show_default=True, type=click.IntRange(1))
@reading_options
@click.pass_obj
def symbols(
    invocation: Invocation, pattern: str, kind: str | None, path: str | None, limit: int
) -> int:
    """Find symbols by name.

    PATTERN is a name or, in any case, a part of one; with * ? or [ it is a glob over the whole
    name or qualified name. Exit 1: there is none.

    \b
    Examples:
      enrichd symbols session
      enrichd symbols 'Flask.*_url_*' --kind method
      enrichd symbols '*' --path src/flask/json --json
    """
    from enrichd.query import symbols as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    with reading(invocation.database) as reader:
        answer = query.symbols(
            reader,
            pattern,
            invocation.circumstances(reader),
            kind=kind,
            path=path,
            workspace=invocation.workspace,
            limit=limit,
        )
    if invocation.as_json:
        print_json(answer)
        return 0 if answer.count else 1
    click.echo(headline(answer.count, "symbol", answer.completeness, now))
    if answer.symbols:
        click.echo(table(symbol_rows(answer.symbols)))
    if answer.more:
        invocation.tell(f"there are more than {limit}: --limit N shows them")
    return 0 if answer.count else 1


@click.command
@click.argument("symbol", metavar="S")
@reading_options
@click.pass_obj
def callers(invocation: Invocation, symbol: str) -> None:
    """Who calls S.

    For a class: who makes instances of it.

    \b
    Examples:
      enrichd callers Flask.run
      enrichd callers src/flask/app.py:546
      enrichd callers flask.helpers.get_root_path --json
    """
    _ask(invocation, symbol, "callers", "caller")


@click.command
@click.argument("symbol", metavar="S")
@reading_options
@click.pass_obj
def callees(invocation: Invocation, symbol: str) -> None:
    """What S calls, also outside the workspace.

    \b
    Examples:
      enrichd callees Flask.wsgi_app
      enrichd callees src/flask/cli.py:941:5 --json
    """
    _ask(invocation, symbol, "callees", "callee")


@click.command
@click.argument("symbol", metavar="S")
@reading_options
@click.pass_obj
def references(invocation: Invocation, symbol: str) -> None:
    """Everything that points at S.

    Calls, imports, bases, overrides, and all other uses, by relation.

    \b
    Examples:
      enrichd references Flask.config
      enrichd references 'src/flask/app.py/Flask#run().' --json
    """
    _ask(invocation, symbol, "references", "reference")


@click.command
@click.argument("symbol", metavar="S")
@click.option("--all", "indirect", is_flag=True, help="Theirs as well, up to the last.")
@reading_options
@click.pass_obj
def supertypes(invocation: Invocation, symbol: str, indirect: bool) -> None:
    """The bases of a type, or what a member overrides.

    \b
    Examples:
      enrichd supertypes Flask
      enrichd supertypes Flask --all
      enrichd supertypes JSONProvider.dumps --json
    """
    _ask(invocation, symbol, "supertypes", "supertype", indirect=indirect)


@click.command
@click.argument("symbol", metavar="S")
@click.option("--all", "indirect", is_flag=True, help="Theirs as well, down to the last.")
@reading_options
@click.pass_obj
def subtypes(invocation: Invocation, symbol: str, indirect: bool) -> None:
    """What inherits from S, or overrides it.

    \b
    Examples:
      enrichd subtypes Scaffold
      enrichd subtypes Scaffold --all --json
    """
    _ask(invocation, symbol, "subtypes", "subtype", indirect=indirect)


@click.command
@click.argument("symbol", metavar="S")
@reading_options
@click.pass_obj
def implementations(invocation: Invocation, symbol: str) -> None:
    """Everything that can stand in the place of S.

    All types below a type, directly or not; all members that override a member.

    \b
    Examples:
      enrichd implementations SessionInterface
      enrichd implementations SessionInterface.open_session
    """
    _ask(invocation, symbol, "implementations", "implementation")


@click.command
@click.option("--kind", metavar="K", help="Only this kind: function, method, class, ...")
@click.option("--path", metavar="P", help="Only files under this folder or matching this glob.")
@click.option("--sure", is_flag=True, help="Only where no use is left open that may mean it.")
@click.option("--limit", metavar="N", default=100, show_default=True, type=click.IntRange(1))
@reading_options
@click.pass_obj
def unused(
    invocation: Invocation, kind: str | None, path: str | None, sure: bool, limit: int
) -> None:
    """Definitions that nothing points at.

    Left out is what is used without being named: operators, tests, main, what a decorator may hand
    to somebody, members of classes with a base outside the workspace. What other repositories use
    can't be known. An "open" use is one of a name like it that led nowhere.

    \b
    Examples:
      enrichd unused
      enrichd unused --kind function --path src --sure
      enrichd unused --json
    """
    from enrichd.query import unused as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    with reading(invocation.database) as reader:
        answer = query.unused(
            reader,
            invocation.circumstances(reader),
            workspace=invocation.workspace,
            kind=kind,
            path=path,
            sure=sure,
            limit=limit,
        )
    if invocation.as_json:
        print_json(answer)
        return
    click.echo(headline(answer.count, "unused symbol", answer.completeness, now))
    rows = [
        [*symbol_rows([each.symbol])[0], f"{each.unresolved:,} open" if each.unresolved else ""]
        for each in answer.symbols
    ]
    if rows:
        click.echo(table(rows))
    if answer.more:
        invocation.tell(f"there are more than {limit}: --limit N shows them")


def _ask(invocation: Invocation, text: str, question: str, noun: str, **how: bool) -> None:
    from enrichd.query import edges, types  # noqa: PLC0415
    from enrichd.query.completeness import Trust  # noqa: PLC0415
    from enrichd.query.select import select  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    now = invocation.now
    ask: Callable[..., EdgeAnswer] = getattr(edges, question, None) or getattr(types, question)
    with reading(invocation.database) as reader:
        selected = select(reader, text, workspace=invocation.workspace, folder=Path.cwd())
        answer = ask(reader, selected, invocation.circumstances(reader), **how)
    if invocation.as_json:
        print_json(answer)
    else:
        _show_edges(answer, noun, now)
    if answer.completeness.level is not Trust.COMPLETE:
        invocation.ask_daemon_too(question, selected.first, selected.workspace.name)


def _show_edges(answer: EdgeAnswer, noun: str, now: float) -> None:
    click.echo(table(symbol_rows(answer.symbols), indent=""))
    click.echo(headline(answer.count, noun, answer.completeness, now))
    if answer.question == "references":
        for relation, found in groupby(
            sorted(answer.edges, key=lambda edge: edge.relation), key=lambda edge: edge.relation
        ):
            edges_of = list(found)
            click.echo(f"{relation} ({len(edges_of):,})")
            click.echo(table(map(_row, edges_of)))
    elif answer.edges:
        click.echo(table(map(_row, answer.edges)))
    for note in answer.notes:
        click.echo(f"note: {note}")


def _row(edge: EdgeView) -> list[str]:
    other = edge.symbol.qualified_name
    if edge.symbol.external:
        other += f" ({edge.symbol.package})"
    more = [edge.relation] if edge.relation in {"instantiates", "overrides"} else []
    more += ["in a part that did not parse"] if edge.unparsed else []
    return [f"{edge.file}:{edge.line}:{edge.column}", edge.symbol.kind, other, ", ".join(more)]
