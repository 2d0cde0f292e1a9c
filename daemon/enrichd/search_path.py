"""Where programs are looked for: never in a workspace, which is the code under study."""

from __future__ import annotations

import os
from pathlib import Path


def leave_out(root: Path) -> None:
    """Look for no program below a folder, in this process and in those that it starts from now on.

    Folders of ``PATH`` that are relative go too: what they mean is for others to say.
    """
    inside = {root, root.resolve()}
    before = os.environ.get("PATH", os.defpath)
    kept = [
        folder
        for folder in before.split(os.pathsep)
        if Path(folder).is_absolute()
        and not any(
            place.is_relative_to(one)
            for place in (Path(folder), Path(folder).resolve())
            for one in inside
        )
    ]
    os.environ["PATH"] = os.pathsep.join(kept) or os.defpath
