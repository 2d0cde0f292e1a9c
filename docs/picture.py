"""Draws docs/terminal.svg: what README shows, made from what the commands really print.

    python docs/picture.py FLASK_CHECKOUT

The folder is indexed into a database that is thrown away afterwards.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

COMMANDS = (
    ("index", "."),
    ("callees", "Flask.full_dispatch_request"),
    ("callers", "Flask.make_response"),
    ("callers", "run"),
    ("explain", "Flask.dispatch_request"),
)
WIDTH = 124


def shown(command: tuple[str, ...], database: Path, folder: Path) -> str:
    """What the command prints on stdout, whatever it answers."""
    enrichd = Path(sys.executable).parent / "enrichd"
    result = subprocess.run(
        [enrichd, "-q", *command, "--db", database],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    text = result.stdout if result.stdout.strip() else result.stderr
    return text.rstrip().replace(str(folder), "~/flask")


def main() -> None:
    folder = Path(sys.argv[1]).resolve()
    console = Console(record=True, width=WIDTH, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    with tempfile.TemporaryDirectory() as scratch:
        for command in COMMANDS:
            console.print(Text("$ ", "bold green") + Text(f"enrichd {' '.join(command)}", "bold"))
            console.print(Text(shown(command, Path(scratch) / "graph.db", folder)))
            console.print()
    svg = console.export_svg(title="enrichd on flask 3.1.3", theme=MONOKAI)
    # rich names a font on a server: the reader's own monospace does as well
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    svg = svg.replace("Fira Code", "ui-monospace")
    (Path(__file__).parent / "terminal.svg").write_text(svg, encoding="utf-8")


if __name__ == "__main__":
    main()
