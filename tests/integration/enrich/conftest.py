from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.integration.enrich.house import House, count_calls
from tests.integration.enrich.oracle import Oracle

from enrichd.lsp.supervisor import Supervisor


@pytest.fixture
async def build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[..., House]]:
    """Makes houses; what they began is over when the test is."""
    count_calls(monkeypatch.setattr)
    built: list[House] = []

    def make(files: dict[str, str] | None = None) -> House:
        folder = tmp_path / f"house{len(built)}"
        folder.mkdir()
        built.append(House(folder, files))
        return built[-1]

    yield make
    for house in built:
        await house.close()
    assert {task for task in asyncio.all_tasks() if task is not asyncio.current_task()} == set()


@pytest.fixture
def oracle(build: Callable[..., House], monkeypatch: pytest.MonkeyPatch) -> Oracle:
    """A house whose servers are the test's own."""
    house = build()
    house.serve_with(profile={"command": (sys.executable,)})
    oracle = Oracle(house)
    supervisor = functools.partial(Supervisor, spawn=oracle.spawn)
    monkeypatch.setattr("enrichd.enrich.service.Supervisor", supervisor)
    return oracle
