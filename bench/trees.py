"""The repositories that are measured on: released sources, fetched once and known by their hash."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.repositories import Sdist

KEPT = Path(__file__).parents[1] / ".enrichd" / "bench"
"""What is made once and used by later runs too."""
_LEFT_OUT_BY_PYRIGHT = ("**/node_modules", "**/__pycache__", "**/.*")
"""By itself, where nothing else is named."""


@functools.cache
def scratch() -> Path:
    """A folder for this run. Not inside this repository, whose git says what is ignored."""
    folder = Path(tempfile.mkdtemp(prefix="enrichd-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@functools.cache
def unpacked(sdist: Sdist) -> Path:
    """Its files, for reading only; raises CannotFetch."""
    return sdist.unpack(scratch())


def copied(sdist: Sdist, into: Path) -> Path:
    """Its files, to be changed; raises CannotFetch."""
    return sdist.unpack(into)


def for_pyright(sdist: Sdist, into: Path, left_out: Sequence[str] = ()) -> Path:
    """Its files, for what is made of pyright; raises CannotFetch.

    Its `src` is told, since without it most edges of such a project are lost silently.
    """
    tree = copied(sdist, into)
    told: dict[str, list[str]] = {}
    if (tree / "src").is_dir():
        told["extraPaths"] = ["src"]
    if left_out:
        told["exclude"] = [*left_out, *_LEFT_OUT_BY_PYRIGHT]
    if told:
        (tree / "pyrightconfig.json").write_text(json.dumps(told))
    return tree


def python_files(root: Path) -> list[Path]:
    """All of its Python sources."""
    return sorted(path for path in root.rglob("*.py") if path.is_file())


def lines_of(root: Path) -> int:
    """Lines in all of its Python sources."""
    return sum(path.read_bytes().count(b"\n") for path in python_files(root))
