"""The programs that enrichd is measured beside, each in a folder of its own, never beside enrichd.

They are installed when a bench first asks for them, with the registries' ordinary clients.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

from bench.figures import Say
from bench.reasons import reason

_FOLDER = Path(__file__).parents[1] / ".enrichd" / "peers"
_TIMEOUT_S = 600.0
SCIP_PYTHON = "0.6.6"
BLARIFY = "1.3.9"


class NotToBeHad(Exception):
    """It could not be installed here; the reason is the message."""


def scip_python(say: Say) -> Path:
    """The command of Sourcegraph's indexer, from npm."""
    folder = _FOLDER / f"scip-python-{SCIP_PYTHON}"
    command = folder / "node_modules" / ".bin" / "scip-python"
    if not command.exists():
        say(f"installing scip-python {SCIP_PYTHON}")
        package = f"@sourcegraph/scip-python@{SCIP_PYTHON}"
        _run("npm", "install", "--no-audit", "--no-fund", "--prefix", folder, package)
    return command


def blarify(say: Say) -> Path:
    """The Python that has blarify installed."""
    folder = _FOLDER / f"blarify-{BLARIFY}"
    python, done = folder / "bin" / "python", folder / ".made"
    if not done.exists():
        say(f"installing blarify {BLARIFY}")
        shutil.rmtree(folder, ignore_errors=True)
        _run(sys.executable, "-m", "venv", folder)
        _run(python, "-m", "pip", "install", "--quiet", f"blarify=={BLARIFY}")
        done.touch()
    return python


@functools.cache
def ctags(say: Say) -> Path:
    """Universal Ctags: the machine's own, else Debian's package, unpacked."""
    folder = _FOLDER / "universal-ctags"
    for place in (shutil.which("ctags"), folder / "usr" / "bin" / "ctags-universal"):
        if place is not None and _is_universal(Path(place)):
            return Path(place)
    say("unpacking universal-ctags")
    folder.mkdir(parents=True, exist_ok=True)
    _run("apt-get", "download", "universal-ctags", cwd=folder)
    for package in folder.glob("*.deb"):
        _run("dpkg", "-x", package, folder)
    command = folder / "usr" / "bin" / "ctags-universal"
    if not _is_universal(command):
        raise NotToBeHad("universal-ctags does not start: apt-get install universal-ctags")
    return command


def ctags_version(command: Path) -> str:
    """What it says of itself."""
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    return said.stdout.partition(",")[0].partition("(")[0].strip()


def _is_universal(command: Path) -> bool:
    try:
        return ctags_version(command).startswith("Universal Ctags")
    except OSError:
        return False


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    name = Path(command[0]).name
    try:
        subprocess.run(
            command,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
    except FileNotFoundError as error:
        raise NotToBeHad(f"{name} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise NotToBeHad(f"{name} did not end in time") from error
    except subprocess.CalledProcessError as error:
        raise NotToBeHad(f"{name}: {reason(error.stderr, error.stdout)}") from error
