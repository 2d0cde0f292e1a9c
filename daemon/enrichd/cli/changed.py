"""`index --changed-only`: what changed since the last run, by whoever has the database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from enrichd.cli.invocation import Invocation
from enrichd.errors import AnswerIsNo, UsageError

if TYPE_CHECKING:
    from enrichd_tracker.model import Workspace


def waited_for_daemon(
    invocation: Invocation, folder: Path, *, no_enrich: bool, timeout_s: float | None
) -> int | None:
    """The exit code of a daemon's work; None where none runs and the caller is to index.

    Raises AnswerIsNo where the folder was never indexed, and where a daemon does not know it.
    """
    pid = invocation.owner
    if pid is None:
        _must_be_indexed(invocation, folder)
        return None
    if no_enrich:
        raise UsageError(
            f"process {pid} has the database, and enriches what it indexes",
            hint="leave out --no-enrich",
        )
    return _wait(invocation, pid, folder, timeout_s)


def _wait(invocation: Invocation, pid: int, folder: Path, timeout_s: float | None) -> int:
    from enrichd.cli.wait import DEFAULT_S, ask, show  # noqa: PLC0415

    name = invocation.client(pid).known_workspaces().get(str(folder))
    if name is None:
        raise AnswerIsNo(
            f"the daemon does not index {folder}",
            hint=f"have it do so: `enrichd workspaces add {folder}`",
        )
    return show(invocation, ask(invocation, pid, name, timeout_s or DEFAULT_S))


def _must_be_indexed(invocation: Invocation, folder: Path) -> None:
    from enrichd_tracker.store.reading import reading  # noqa: PLC0415

    found: Workspace | None = None
    if invocation.database.exists():
        with reading(invocation.database) as reader:
            roots = {each.root: each for each in reader.workspaces()}
            found = roots.get(str(folder))
            if found is not None and reader.indexed_at(found.id) is None:
                found = None
    if found is None:
        raise AnswerIsNo(
            f"{folder} was never indexed",
            hint=f"make its first index with `enrichd index {folder}`",
        )
