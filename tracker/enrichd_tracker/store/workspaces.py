"""Workspaces as wholes: the end of a run over one, and forgetting one."""

from __future__ import annotations

import sqlite3

from enrichd_tracker.store import edges


def finish_run(connection: sqlite3.Connection, workspace_id: int, at: float) -> None:
    """The run went through: from now on changes are changes of something known."""
    edges.drop_unused_externals(connection, workspace_id)
    connection.execute("UPDATE workspace SET indexed_at = ? WHERE id = ?", (at, workspace_id))


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
        "DELETE FROM tally WHERE workspace_id = ?",
        "DELETE FROM requirement WHERE workspace_id = ?",
        "DELETE FROM job WHERE workspace_id = ?",
        "DELETE FROM indexing_error WHERE workspace_id = ?",
        "DELETE FROM workspace WHERE id = ?",
    ):
        connection.execute(statement, (workspace_id,))
    return [row[0] for row in failed]
