"""Real repositories to clone from, and how a test looks at what came of it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from enrichd.clock import Clock, SystemClock
from enrichd.errors import ExitCode
from enrichd.sources.clone import Fetched, fetch
from enrichd.sources.trouble import SourceError
from enrichd.sources.url import GitUrl

IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
}
LARGE = 10**9
Tell = Callable[[int, int, str], None]


def git(folder: Path, *arguments: str, given: bytes = b"") -> str:
    """What a git that works says."""
    done = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env=os.environ | IDENTITY,
        input=given,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


class Origin:
    """A bare repository, and a work tree to fill it from."""

    def __init__(self, place: Path, *options: str) -> None:
        self.bare = place / "origin.git"
        self.work = place / "work"
        git(place, "init", "-q", "--bare", "-b", "main", *options, str(self.bare))
        git(place, "init", "-q", "-b", "main", *options, str(self.work))

    @property
    def url(self) -> GitUrl:
        return GitUrl.parse(self.bare.as_uri())

    def commit(self, files: dict[str, str] | None = None, *, branch: str = "main") -> str:
        """Write files, commit all there is and push it; returns the commit."""
        for path, text in (files or {}).items():
            file = self.work / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        git(self.work, "add", "-A")
        git(self.work, "commit", "-q", "--allow-empty", "-m", "more")
        git(self.work, "push", "-q", "-f", str(self.bare), f"HEAD:refs/heads/{branch}")
        return git(self.work, "rev-parse", "HEAD")


def running(word: str) -> list[str]:
    """The processes of this machine whose command line holds a word."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return [each for each in found if word in each]


async def fetched(
    origin: Origin | GitUrl,
    folder: Path,
    *,
    branch: str | None = None,
    depth: int | None = None,
    max_bytes: int = LARGE,
    clock: Clock | None = None,
    tell: Tell = lambda done, total, what: None,
) -> Fetched:
    return await fetch(
        origin.url if isinstance(origin, Origin) else origin,
        folder,
        branch=branch,
        depth=depth,
        max_bytes=max_bytes,
        clock=clock or SystemClock(),
        tell=tell,
    )


def tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }


def names(folder: Path) -> list[str]:
    """What is in a folder; nothing where there is none."""
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


async def refused(origin: Origin | GitUrl, folder: Path, **options: object) -> SourceError:
    with pytest.raises(SourceError) as caught:
        await fetched(origin, folder, **options)  # type: ignore[arg-type]
    assert caught.value.exit_code == ExitCode.IO
    assert caught.value.hint
    assert str(folder.parent) not in caught.value.message
    assert caught.value.message.isprintable()
    return caught.value
