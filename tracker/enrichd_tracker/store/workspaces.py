"""Workspaces as wholes: making one, the end of a run over one, and forgetting one."""

from __future__ import annotations

import sqlite3

from enrichd_tracker.errors import StorageError
from enrichd_tracker.model import Lane, Workspace
from enrichd_tracker.store import edges, orphans, parse_results


def add_workspace(connection: sqlite3.Connection, name: str, root: str, at: float) -> Workspace:
    """The workspace of this root, made where it is new."""
    row = connection.execute("SELECT id, name, root FROM workspace WHERE root = ?", (root,))
    if (known := row.fetchone()) is not None:
        return Workspace(*known)
    taken = connection.execute("SELECT root FROM workspace WHERE name = ?", (name,)).fetchone()
    if taken is not None:
        raise StorageError(
            f"a workspace named {name} is there already, for {taken[0]}",
            hint=f"give this one another name, or `enrichd workspaces remove {name}` first",
        )
    row = connection.execute(
        "INSERT INTO workspace (name, root, created_at) VALUES (?, ?, ?) RETURNING id, name, root",
        (name, root, at),
    )
    return Workspace(*row.fetchone())


def finish_run(
    connection: sqlite3.Connection,
    workspace_id: int,
    at: float,
    *,
    job_id: str | None,
    commit: str | None,
) -> None:
    """The run went through: from now on changes are changes of something known.

    How the files stand after a job, at a commit of the repository, is remembered.
    """
    if job_id is not None:
        parse_results.remember(connection, workspace_id, job_id, commit, at)
    edges.drop_unused_externals(connection, workspace_id)
    connection.execute("UPDATE workspace SET indexed_at = ? WHERE id = ?", (at, workspace_id))


def surround(
    connection: sqlite3.Connection, lane: Lane, digest: str, at: float
) -> list[int] | None:
    """Remember what is around a lane's files; where that has changed, ask about all of them again.

    Returns the symbols whose failures are forgotten, None where nothing has changed.
    """
    key = (lane.workspace_id, lane.language)
    old = connection.execute(
        "SELECT digest FROM surroundings WHERE workspace_id = ? AND language = ?", key
    ).fetchone()
    if old == (digest,):
        return None
    connection.execute("INSERT OR REPLACE INTO surroundings VALUES (?, ?, ?)", (*key, digest))
    if old is None:
        return None
    rows = connection.execute(
        "SELECT id FROM symbol WHERE workspace_id = ? AND language = ? AND file_id IS NOT NULL", key
    )
    return orphans.reopen(connection, [row[0] for row in rows], at)


def remove_workspace(connection: sqlite3.Connection, workspace_id: int) -> list[int]:
    """Forget a workspace and all that is known about it; returns symbols that had failed."""
    connection.execute("PRAGMA defer_foreign_keys = ON")
    failed = connection.execute(
        """SELECT symbol_id FROM failure JOIN symbol ON symbol.id = failure.symbol_id
           WHERE symbol.workspace_id = ?""",
        (workspace_id,),
    ).fetchall()
    mine = "(SELECT id FROM symbol WHERE workspace_id = ?)"
    for statement in (
        f"DELETE FROM edge WHERE source IN {mine}",
        f"DELETE FROM mention WHERE symbol_id IN {mine}",
        "DELETE FROM symbol WHERE workspace_id = ?",
        "DELETE FROM file WHERE workspace_id = ?",
        "DELETE FROM unsupported_file WHERE workspace_id = ?",
        "DELETE FROM tally WHERE workspace_id = ?",
        "DELETE FROM requirement WHERE workspace_id = ?",
        "DELETE FROM surroundings WHERE workspace_id = ?",
        "DELETE FROM job WHERE workspace_id = ?",
        "DELETE FROM indexing_error WHERE workspace_id = ?",
        "DELETE FROM workspace WHERE id = ?",
    ):
        connection.execute(statement, (workspace_id,))
    return [row[0] for row in failed]
