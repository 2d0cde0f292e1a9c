"""What git says that a folder holds: tracked files, and untracked ones that it does not ignore."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

_COMMAND = (
    "git",
    "-c",
    "core.fsmonitor=false",  # it would be a program of the repository's choice
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
    if not _in_a_repository(folder):
        return None
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_")  # a hook's: they would point at another repository
    }
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    try:
        answer = subprocess.run(
            _COMMAND,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    names = {name.rstrip(b"/") for name in answer.stdout.split(b"\0")}
    names.discard(b"")
    return sorted(os.fsdecode(name) for name in names) or None


def _in_a_repository(folder: str) -> bool:
    path = Path(folder)
    return any((place / ".git").exists() for place in (path, *path.parents))
