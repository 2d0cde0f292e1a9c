"""`verify`: is the database what it promises to be?"""

from __future__ import annotations

import click
from msgspec import Struct

from enrichd.cli.invocation import Invocation, database_options, json_option
from enrichd.cli.text import print_json


class Verification(Struct, frozen=True):
    """What `verify` found."""

    schema_version: int
    clean: bool
    problems: list[str]


@click.command
@json_option
@database_options
@click.pass_obj
def verify(invocation: Invocation) -> int:
    """Is the database what it promises to be?

    Everything derived is derived again and compared. Works on a database that is in use.

    Exit 0: clean. Exit 1: something is not as it must be, one line each.

    \b
    Examples:
      enrichd verify
      enrichd verify --db graph.db --json
    """
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        problems = reader.verify()
    if invocation.as_json:
        print_json(Verification(1, not problems, problems))
    else:
        click.echo("\n".join(problems) or "clean")
    return 1 if problems else 0
