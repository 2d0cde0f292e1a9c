"""SECURITY.md claims nothing that no test holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAPER = (TESTS.parent / "SECURITY.md").read_text()
NAMED = sorted(set(re.findall(r"`([\w/]+\.py)::(test_\w+)`", PAPER)))
MOST_LINES = 80


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_a_test_that_it_names_is_there(file: str, test: str) -> None:
    path = TESTS / (file if "/" in file else f"faults/{file}")
    assert re.search(rf"^(async )?def {test}\(", path.read_text(), re.MULTILINE)


def test_it_names_tests_and_is_short() -> None:
    assert len(NAMED) > 20
    assert len(PAPER.splitlines()) <= MOST_LINES
