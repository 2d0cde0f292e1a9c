"""Faults that strike the processes that parse, and no other: a program that Python runs at start.

Each stands for something that can't be brought about from outside at the right moment: that a
file vanishes between the walk and its reading, and what a native library may do on a file.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

_PROGRAM = '''
import os
import signal
import sys
from pathlib import Path

if "enrichd.index.worker" in sys.orig_argv:
    # The workers are started after the walk and before the first file is read.
    for name in filter(None, os.environ.get("VANISHING", "").split(":")):
        Path(name).unlink(missing_ok=True)

    from enrichd.index import parse

    class Panic(BaseException):
        """What a panic of Rust code arrives as."""

    def explode(path):
        match path:
            case "panics.py":
                raise Panic("index out of bounds: " + "x" * 2_000)
            case "fails.py":
                return [explode(path) for _ in range(1)] if deeper(path) else None
            case "dies.py":
                os.kill(os.getpid(), signal.SIGSEGV)

    def deeper(path, depth=300):
        if depth:
            return (deeper if depth % 2 else again)(path, depth - 1)
        raise RecursionError("y" * 2_000)

    def again(path, depth):
        return deeper(path, depth)

    def extract(language, source, *, path, module, real=parse.extract):
        explode(path)
        return real(language, source, path=path, module=module)

    parse.extract = extract
'''


def environment(folder: Path, *vanishing: Path) -> Mapping[str, str]:
    """For a command whose parsers are to be struck: these files vanish before they are read."""
    folder.mkdir(exist_ok=True)
    shutil.rmtree(folder / "__pycache__", ignore_errors=True)
    (folder / "sitecustomize.py").write_text(_PROGRAM)
    return {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "VANISHING": ":".join(map(str, vanishing)),
    }
