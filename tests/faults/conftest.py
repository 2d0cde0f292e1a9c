"""A place for each test of a fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import Place, end_all


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A place that is the test's own."""
    own = Place(tmp_path)
    yield own
    end_all(own)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Place]:
    """Another one, to compare with."""
    folder = tmp_path / "other"
    folder.mkdir()
    own = Place(folder)
    yield own
    end_all(own)
