"""What all of the suite has in common: in this process is parsed in this process."""

from __future__ import annotations

import pytest
from tests.parser import Parser


@pytest.fixture(autouse=True)
def parses_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each index run would start a process; those have tests of their own."""
    monkeypatch.setattr("enrichd.index.run.ParserPool", Parser)
