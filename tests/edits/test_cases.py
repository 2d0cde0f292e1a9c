"""The law in the small: every case, and those of the suite with a server for each look."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.edits.every_case import CASES, IN_THE_SUITE, UNSETTLED
from tests.edits.following import follow
from tests.running import CACHE


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ty find its stubs of the standard library laid out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))


@pytest.mark.parametrize("what", [each for each in CASES if each not in IN_THE_SUITE])
async def test_with_one_server_for_all_looks(
    what: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if reason := UNSETTLED.get(what):
        request.applymarker(pytest.mark.xfail(reason=reason))
    await follow(CASES[what], tmp_path, lasting=True)


@pytest.mark.parametrize("what", IN_THE_SUITE)
async def test_with_a_server_for_each_look(what: str, tmp_path: Path) -> None:
    await follow(CASES[what], tmp_path, lasting=False)
