"""What a Python workspace says of itself and its servers do not always see: roots, environment.

A project whose sources lie in a folder of their own loses most of its edges, silently, with a
server that does not know that folder. Nothing of the workspace is run to find out.
"""

from __future__ import annotations

import configparser
import hashlib
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from msgspec import Struct, structs

from enrichd.lsp.documents import read_document
from enrichd.lsp.manners import section_of
from enrichd.lsp.profiles import Profile, deep_merge

Table = dict[str, Any]


class PythonEnvironment(Struct, frozen=True):
    """Absolute paths, all inside the workspace."""

    source_roots: list[str]
    """Folders that imports start from, besides the root itself."""
    virtual_environment: str | None
    site_packages: list[str]


def inspect(root: Path) -> PythonEnvironment:
    """Look at the folder's names and at its papers."""
    pyproject = _pyproject(root)
    found: dict[str, None] = {}
    for name in ("src", *_declared_roots(pyproject, root)):
        folder = root / name
        if _is_source_root(folder, root):
            found[str(folder)] = None
    environment = _virtual_environment(root)
    packages: list[str] = []
    if environment is not None:
        packages = sorted(
            str(folder)
            for folder in environment.glob("lib/python3*/site-packages")
            if folder.is_dir() and _inside(folder, root)
        )
    return PythonEnvironment(
        source_roots=list(found),
        virtual_environment=None if environment is None else str(environment),
        site_packages=packages,
    )


def adapt(profile: Profile, root: Path) -> Profile:
    """The profile with what ``inspect`` found told the server's way; what it says itself wins."""
    match profile.name:
        case "ty":
            settings = _for_ty(inspect(root), root)
        case "basedpyright":
            settings = _for_basedpyright(inspect(root))
        case _:
            return profile
    return structs.replace(profile, settings=deep_merge(settings, profile.settings))


def surroundings(profile: Profile, root: Path) -> str:
    """Equal as long as a server that is started now finds what one found earlier.

    It is the files that configure it, the folders that it takes for roots by itself, and what
    ``adapt`` tells it: a server looks for them when it starts, and every answer may hang on them.
    """
    digest = hashlib.blake2b(digest_size=8)
    digest.update(msgspec.json.encode(adapt(profile, root).settings, order="deterministic"))
    for name in profile.root_markers:
        digest.update(f"\0{name}\0{read_document(root / name) or ''}".encode())
    project = section_of(_pyproject(root), "project.name")
    for name in sorted({"src", "python", "tests", str(project).replace("-", "_")}):
        package = _holds(root / name / "__init__.py", Path.exists)
        digest.update(f"\0{name} {_holds(root / name, Path.is_dir)} {package}".encode())
    return digest.hexdigest()


def _for_ty(python: PythonEnvironment, root: Path) -> Table:
    """ty takes the root, ``src`` and ``tests`` by itself: only what it can't know is added."""
    environment: Table = {}
    unknown = [each for each in python.source_roots if each != str(root / "src")]
    if unknown:
        environment["extra-paths"] = unknown
    own = section_of(_pyproject(root), "tool.ty.environment.python")
    own = own or section_of(_toml(root / "ty.toml"), "environment.python")
    if own is None:
        # Without one of its own it is enrichd's, said outright: left to itself, ty takes what it
        # finds on PATH, and the graph would depend on who started the daemon.
        environment["python"] = python.virtual_environment or sys.prefix
    return {"ty": {"configuration": {"environment": environment}}} if environment else {}


def _for_basedpyright(python: PythonEnvironment) -> Table:
    """Its packages are given as paths: asked for an interpreter, it would run the workspace's."""
    paths = [*python.source_roots, *python.site_packages]
    return {
        "python": {"pythonPath": sys.executable},
        "basedpyright": {"analysis": {"extraPaths": paths}},
    }


def _virtual_environment(root: Path) -> Path | None:
    try:
        names = sorted(each.name for each in root.iterdir())
    except OSError:
        return None
    usual = [name for name in (".venv", "venv") if name in names]
    for name in [*usual, *names]:
        folder = root / name
        if _holds(folder / "pyvenv.cfg", Path.is_file) and _inside(folder, root):
            return folder
    return None


def _is_source_root(folder: Path, root: Path) -> bool:
    """A folder of packages or modules, no package itself, neither the root nor outside it."""
    if not _holds(folder, Path.is_dir) or not _inside(folder, root):
        return False
    if folder.resolve() == root.resolve() or _holds(folder / "__init__.py", Path.exists):
        return False
    try:
        return any(
            each.suffix in {".py", ".pyi"} or _holds_modules(each) for each in folder.iterdir()
        )
    except OSError:
        return False


def _holds_modules(folder: Path) -> bool:
    return _holds(folder, Path.is_dir) and next(folder.glob("*.py"), None) is not None


def _holds(path: Path, question: Callable[[Path], bool]) -> bool:
    """The answer of ``question``; what we may not look at is not there."""
    try:
        return question(path)
    except OSError:
        return False


def _inside(path: Path, root: Path) -> bool:
    try:
        return path.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):
        return False


def _declared_roots(pyproject: Table, root: Path) -> Iterator[str]:
    """The folders that a build backend is told to find packages in, where that is said simply."""

    def said(section: str) -> object:
        return section_of(pyproject, f"tool.{section}")

    # setuptools, pdm, uv: a folder, a list of folders, or {"": folder}
    yield from _strings(said("setuptools.packages.find.where"))
    yield from _strings(said("setuptools.package-dir"))
    yield from _strings(said("pdm.build.package-dir"))
    yield from _strings(said("uv.build-backend.module-root"))
    yield from _strings(_setup_cfg(root))
    for target in ("hatch.build", "hatch.build.targets.wheel"):
        yield from _strings(said(f"{target}.sources"))
        # the packages themselves are named: imports start one folder above
        for package in _strings(said(f"{target}.packages")):
            yield str(PurePosixPath(package).parent)
    packages = said("poetry.packages")
    for each in packages if isinstance(packages, list) else []:
        if isinstance(each, dict):
            yield from _strings(each.get("from"))


def _strings(said: object) -> list[str]:
    """Folders, however they are given: one, a list of them, or a table from or to the top."""
    match said:
        case str():
            return [said]
        case list():
            return [each for each in said if isinstance(each, str)]
        case {"": str() as folder}:
            return [folder]
        case dict():
            return [folder for folder, package in said.items() if package == ""]
        case _:
            return []


def _setup_cfg(root: Path) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(read_document(root / "setup.cfg") or "")
    except configparser.Error:
        return []
    where = parser.get("options.packages.find", "where", fallback="").split()
    package_dir = parser.get("options", "package_dir", fallback="").splitlines()
    top = [line.partition("=")[2].strip() for line in package_dir if line.strip().startswith("=")]
    return [*where, *top]


def _pyproject(root: Path) -> Table:
    return _toml(root / "pyproject.toml")


def _toml(path: Path) -> Table:
    text = read_document(path)
    if text is None:
        return {}
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return {}
