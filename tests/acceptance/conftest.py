"""A place for each test, and each real repository indexed once for all of them."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.repositories import FLASK, REQUESTS, CannotFetch, Sdist
from tests.running import CACHE, Place, Said


@dataclass(frozen=True)
class Indexed:
    """A repository, the place that holds its graph, and what `enrichd index` said of it."""

    root: Path
    place: Place
    said: Said
    export: bytes

    @property
    def report(self) -> Any:
        return self.said.json


def _indexed(sdist: Sdist, factory: pytest.TempPathFactory) -> Indexed:
    folder = factory.mktemp(sdist.name)
    try:
        root = sdist.unpack(folder)
    except CannotFetch as reason:
        pytest.skip(str(reason))
    _warm(root, folder / "warm")
    place = Place(folder)
    place.configure()
    said = place.run("index", root, "--json")
    return Indexed(root, place, said, place.export())


def _warm(root: Path, folder: Path) -> None:
    """Have ty lay out all stubs of the standard library that this repository uses.

    It does so when they are first asked for, and two questions at once about the same one get in
    each other's way: one of them is answered with nothing.
    """
    done = CACHE / f"{root.name}-{version('ty')}"
    if done.exists():
        return
    folder.mkdir()
    place = Place(folder)
    place.configure(more='[[server]]\nname = "ty"\nwindow = 1')
    assert place.run("index", root, "-q").code == 0
    done.touch()


@pytest.fixture(scope="session")
def flask(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """flask and its graph; for reading only."""
    return _indexed(FLASK, tmp_path_factory)


@pytest.fixture(scope="session")
def requests(tmp_path_factory: pytest.TempPathFactory) -> Indexed:
    """requests and its graph; for reading only."""
    return _indexed(REQUESTS, tmp_path_factory)
