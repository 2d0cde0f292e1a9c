"""`search`: symbols by what they are about."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from enrichd.cli.invocation import Invocation, reading_options
from enrichd.cli.text import headline, print_json, symbol_rows, table

if TYPE_CHECKING:
    from enrichd.embed.nearest import Meaning
    from enrichd.query.search import Hit


@click.command
@click.argument("words", nargs=-1, required=True)
@click.option("--kind", metavar="K", help="Only this kind: function, method, class, ...")
@click.option("--limit", metavar="N", default=10, show_default=True, type=click.IntRange(1, 100))
@reading_options
@click.pass_obj
def search(invocation: Invocation, words: tuple[str, ...], kind: str | None, limit: int) -> int:
    """Find symbols by what they are about.

    By meaning, where `[embeddings] model` names a model and its vectors are there, and by the
    words of names, documentation and bodies. What tests is listed after what is tested, unless
    the word test is among WORDS. Exit 1: nothing was found.

    \b
    Examples:
      enrichd search "open a session cookie"
      enrichd search follow redirects --kind method --json
    """
    from enrichd.query import search as query  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    text = " ".join(words)
    now = invocation.now
    with reading(invocation.database) as reader:
        answer = query.search(
            reader,
            text,
            _meaning(invocation, text),
            invocation.circumstances(reader),
            kind=kind,
            workspace=invocation.workspace,
            limit=limit,
        )
    if invocation.as_json:
        print_json(answer)
        return 0 if answer.count else 1
    click.echo(headline(answer.count, "symbol", answer.completeness, now))
    if answer.hits:
        click.echo(table(map(_row, answer.hits)))
    for note in answer.notes:
        click.echo(f"note: {note}")
    return 0 if answer.count else 1


def _meaning(invocation: Invocation, text: str) -> Meaning | None:
    """What the words mean to the configured model; None where none is. Raises ConfigError."""
    from enrichd.embed.model import configured, identify  # noqa: PLC0415

    found = configured(invocation.config)
    if found is None:
        return None
    from enrichd.embed.bert import Bert  # noqa: PLC0415
    from enrichd.embed.nearest import Meaning  # noqa: PLC0415

    model = identify(found)
    return Meaning(model, Bert(found.folder, model).embed([text])[0])


def _row(hit: Hit) -> list[str]:
    ranks = {"meaning": hit.by_meaning, "words": hit.by_words}
    why = ", ".join(f"{name} {rank}" for name, rank in ranks.items() if rank is not None)
    return [f"{hit.score:.4f}", *symbol_rows([hit.symbol])[0], why]
