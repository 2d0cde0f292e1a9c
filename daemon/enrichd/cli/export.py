"""`export`: the whole graph as a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import click

from enrichd.cli.invocation import Invocation, database_options, workspace_option
from enrichd.errors import StorageError, UsageError


@click.command
@click.option("--format", "form", type=click.Choice(["jsonl"]), default="jsonl", show_default=True)
@click.option(
    "-o", "--output", metavar="F", default="-", show_default=True, help="The file; - for stdout."
)
@workspace_option
@database_options
@click.pass_obj
def export(invocation: Invocation, form: str, output: str) -> None:
    """Write the whole graph to a file.

    jsonl: one edge a line, with its source, target, site and origin, sorted so that equal graphs
    give equal bytes. A file is replaced whole, once all is written.

    \b
    Examples:
      enrichd export --format jsonl -o graph.jsonl
      enrichd export -w flask -o - | jq -r .relation | sort | uniq -c
    """
    del form
    from enrichd.query.export import jsonl  # noqa: PLC0415
    from enrichd.query.select import chosen  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        workspaces = chosen(reader, invocation.workspace)
        if len(workspaces) > 1:
            names = ", ".join(each.name for each in workspaces)
            raise UsageError("there are several workspaces", hint=f"choose one with -w: {names}")
        lines = jsonl(reader, workspaces[0])
        if output == "-":
            written = _write(lines, sys.stdout.buffer)
        else:
            written = _replace(lines, Path(output))
    invocation.tell(f"{written:,} edges of {workspaces[0].name}")


def _write(lines: Iterable[bytes], file: BinaryIO) -> int:
    number = 0
    for line in lines:
        file.write(line)
        number += 1
    file.flush()
    return number


def _replace(lines: Iterable[bytes], path: Path) -> int:
    """Write beside the file, then rename: who reads it sees the old or the new, never a part."""
    if path.is_dir():
        raise StorageError(f"{path} is a folder", hint="name a file with -o")
    if path.exists() and not path.is_file():  # /dev/stdout, a pipe: nothing to replace
        with path.open("wb") as file:
            return _write(lines, file)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with draft.open("xb") as file:
            written = _write(lines, file)
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)
    return written
