"""`workspaces`: which folders are indexed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from enrichd.cli.invocation import Invocation, database_options, json_option
from enrichd.cli.text import print_json, table
from enrichd.cli.writing import write
from enrichd.errors import AnswerIsNo, UsageError

if TYPE_CHECKING:
    from enrichd_tracker.model import Workspace
    from enrichd_tracker.store.port import Store


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
        document = {"root": str(root)} | ({"name": name} if name else {})
        made = invocation.client(pid).post("/api/v1/workspaces", document)["name"]
    else:
        made = write(invocation.database, lambda store: _add_here(store, root, name)).name
    if name is not None and made != name:
        invocation.tell(f"{root} is a workspace already, named {made}")
    else:
        invocation.tell(f"{made}: {root}")


@workspaces.command
@click.argument("name")
@database_options
@click.pass_obj
def remove(invocation: Invocation, name: str) -> None:
    """Forget the workspace NAME and all that is known about it.

    Its files stay where they are; the clone of a Git URL is deleted.

    \b
    Examples:
      enrichd workspaces remove flask
    """
    from enrichd.query.select import chosen  # noqa: PLC0415
    from enrichd.settings import SOURCES  # noqa: PLC0415
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    with reading(invocation.database) as reader:
        workspace = chosen(reader, name)[0]
    is_clone = Path(workspace.root).parent == invocation.database.parent / SOURCES
    pid = invocation.owner
    if pid is not None:
        invocation.client(pid).delete("/api/v1/workspaces", name)
    else:
        clone = Path(workspace.root) if is_clone else None
        write(invocation.database, lambda store: _remove_here(store, workspace, clone))
    if any(each.name == name for each in invocation.config.workspaces):
        invocation.tell(
            f"{name} is named in {invocation.config.path} and will come back from there"
        )
    files = "its clone is deleted" if is_clone else "its files are where they were"
    invocation.tell(f"{name} is forgotten; {files}")


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


async def _add_here(store: Store, root: Path, name: str | None) -> Workspace:
    from enrichd.settings import free_name  # noqa: PLC0415

    known = {each.name: each.root for each in await store.read(lambda reader: reader.workspaces())}
    if name is not None and known.get(name, str(root)) != str(root):
        raise AnswerIsNo(
            f"there is a workspace named {name} already, for {known[name]}",
            hint="choose another name with --name",
        )
    return await store.add_workspace(name or free_name(root.name, root, known), str(root))


async def _remove_here(store: Store, workspace: Workspace, clone: Path | None) -> None:
    await store.remove_workspace(workspace.id)
    if clone is not None:
        from enrichd.sources.folders import remove  # noqa: PLC0415

        await remove(clone, clone.parent)
