"""`workspaces`: which folders are indexed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from enrichd.cli.invocation import Invocation, database_options, json_option
from enrichd.cli.text import print_json, table
from enrichd.errors import AnswerIsNo, UsageError

if TYPE_CHECKING:
    from enrichd_tracker.model import Workspace
    from enrichd_tracker.store.port import Reader


class WorkspaceRow(Struct, frozen=True):
    """One workspace in the list."""

    name: str
    root: str
    files: int
    indexed_at: str | None


class WorkspaceList(Struct, frozen=True):
    """All workspaces of a database."""

    schema_version: int
    workspaces: list[WorkspaceRow]


@click.group
def workspaces() -> None:
    """List, add and remove the folders that are indexed.

    \b
    Examples:
      enrichd workspaces list
      enrichd workspaces add ~/src/flask --name flask
      enrichd workspaces remove flask
    """


@workspaces.command("list")
@json_option
@database_options
@click.pass_obj
def list_(invocation: Invocation) -> None:
    """The workspaces of the database.

    \b
    Examples:
      enrichd workspaces list
      enrichd workspaces list --json
    """
    from enrichd.query.answers import moment  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        rows = [
            WorkspaceRow(
                name=each.name,
                root=each.root,
                files=sum(reader.languages(each.id).values()),
                indexed_at=moment(at).isoformat().replace("+00:00", "Z")
                if (at := reader.indexed_at(each.id)) is not None
                else None,
            )
            for each in reader.workspaces()
        ]
    if invocation.as_json:
        print_json(WorkspaceList(1, rows))
    elif rows:
        cells = ([row.name, f"{row.files:,} files", row.root] for row in rows)
        click.echo(table(cells, indent=""))
    else:
        invocation.tell("there are none yet: `enrichd workspaces add PATH`")


@workspaces.command
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", metavar="N", help="What to call it; else its folder's name.")
@database_options
@click.pass_obj
def add(invocation: Invocation, path: Path, name: str | None) -> None:
    """Index PATH from now on.

    A running daemon begins at once; without one, the next `enrichd run` does.

    \b
    Examples:
      enrichd workspaces add ~/src/flask
      enrichd workspaces add . --name mine
    """

    root = existing_folder(path)
    _check_name(name)
    pid = invocation.owner
    if pid is not None:
        from enrichd.cli.client import DaemonClient  # noqa: PLC0415

        client = DaemonClient(invocation.config.daemon.socket, pid)
        document = {"root": str(root)} | ({"name": name} if name else {})
        made = client.post("/api/v1/workspaces", document)["name"]
    else:
        made = asyncio.run(_add_here(invocation.database, root, name)).name
    if name is not None and made != name:
        invocation.tell(f"{root} is a workspace already, named {made}")
    else:
        invocation.tell(f"{made}: {root}")


@workspaces.command
@click.argument("name")
@database_options
@click.pass_obj
def remove(invocation: Invocation, name: str) -> None:
    """Forget the workspace NAME and all that is known about it; its files stay.

    \b
    Examples:
      enrichd workspaces remove flask
    """
    from enrichd.query.select import chosen  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        workspace = chosen(reader, name)[0]
    pid = invocation.owner
    if pid is not None:
        from enrichd.cli.client import DaemonClient  # noqa: PLC0415

        DaemonClient(invocation.config.daemon.socket, pid).delete("/api/v1/workspaces", name)
    else:
        asyncio.run(_remove_here(invocation.database, workspace.id))
    if any(each.name == name for each in invocation.config.workspaces):
        invocation.tell(
            f"{name} is named in {invocation.config.path} and will come back from there"
        )
    invocation.tell(f"{name} is forgotten; its files are where they were")


def existing_folder(path: Path) -> Path:
    """The folder, absolute and without links; raises UsageError naming what is wrong."""
    try:
        folder = path.resolve(strict=True)
    except (OSError, ValueError, RuntimeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path}: {reason}", hint="give a folder that exists") from error
    if not folder.is_dir():
        raise UsageError(f"{path} is a file, not a folder", hint=f"give {path.parent} instead")
    return folder


def _check_name(name: str | None) -> None:
    from enrichd.settings import WORKSPACE_NAME  # noqa: PLC0415

    if name is not None and WORKSPACE_NAME.fullmatch(name) is None:
        raise UsageError(f"{name!r} can't name a workspace: only letters, digits, '.', '_' and '-'")


async def _add_here(database: Path, root: Path, name: str | None) -> Workspace:
    from enrichd.clock import SystemClock  # noqa: PLC0415
    from enrichd.settings import free_name  # noqa: PLC0415
    from enrichd_tracker.store.sqlite import SqliteStore  # noqa: PLC0415

    store = await SqliteStore.open(database, SystemClock())
    try:
        known = {
            each.name: each.root for each in await store.read(lambda reader: reader.workspaces())
        }
        if name is not None and known.get(name, str(root)) != str(root):
            raise AnswerIsNo(
                f"there is a workspace named {name} already, for {known[name]}",
                hint="choose another name with --name",
            )
        return await store.add_workspace(name or free_name(root.name, root, known), str(root))
    finally:
        await store.close()


async def _remove_here(database: Path, workspace_id: int) -> None:
    from enrichd.clock import SystemClock  # noqa: PLC0415
    from enrichd.settings import SOURCES  # noqa: PLC0415
    from enrichd_tracker.store.sqlite import SqliteStore  # noqa: PLC0415

    store = await SqliteStore.open(database, SystemClock())
    try:
        root = await store.read(lambda reader: _root(reader, workspace_id))
        await store.remove_workspace(workspace_id)
    finally:
        await store.close()
    sources = database.parent / SOURCES
    if root.parent == sources:
        from enrichd.sources.folders import remove  # noqa: PLC0415

        await remove(root, sources)


def _root(reader: Reader, workspace_id: int) -> Path:
    return next(Path(each.root) for each in reader.workspaces() if each.id == workspace_id)
