"""What git says that a folder holds: tracked files, and untracked ones that it does not ignore."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

_GIT = ("git", "--literal-pathspecs", "-c", "core.fsmonitor=false")
"""The monitor would be a program of the repository's choice."""
_LIST = (
    *_GIT,
    "-c",
    "core.quotePath=false",
    "ls-files",
    "-z",
    "--cached",
    "--others",
    "--exclude-standard",
)
_TIMEOUT_S = 120


def git_listing(folder: str) -> list[str] | None:
    """Paths relative to the folder, each once; a nested repository is one path, of a folder.

    None where git can't or won't tell: there is no repository, no git, it belongs to another
    user, or the folder is itself ignored.
    """
    return _listed(folder, ()) or None if is_in_a_repository(folder) else None


def git_lists(folder: str, names: Sequence[str]) -> set[str] | None:
    """Which of these names of a folder would be in its listing; None where git won't tell."""
    found = _listed(folder, names)
    return None if found is None else set(found)


def commit_of(folder: str) -> str | None:
    """The commit that is checked out; None where git can't or won't tell."""
    if not is_in_a_repository(folder):
        return None
    found = _output(folder, [*_GIT, "rev-parse", "--verify", "--quiet", "HEAD"])
    return found.decode(errors="replace").strip() or None if found else None


def _listed(folder: str, names: Sequence[str]) -> list[str] | None:
    output = _output(folder, [*_LIST, *(("--", *names) if names else ())])
    if output is None:
        return None
    found = {name.rstrip(b"/") for name in output.split(b"\0")}
    found.discard(b"")
    return sorted(os.fsdecode(name) for name in found)


def _output(folder: str, command: Sequence[str]) -> bytes | None:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")  # a hook's: they would point at another repository
    }
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        answer = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout


def is_in_a_repository(folder: str) -> bool:
    """Whether git could be asked about the folder."""
    path = Path(folder)
    return any((place / ".git").exists() for place in (path, *path.parents))
