"""The law on real repositories: 200 random edits in all, and what each kind of edit costs.

`make edits` runs it. ENRICHD_EDITS is how many edits, ENRICHD_EDIT_SEED where they begin, and
ENRICHD_EDIT_BUDGET_S how long it may take: what does not fit is left out, and said.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from tests.edits.law import Law
from tests.edits.session import costs, each_kind, edited, summary
from tests.repositories import FLASK, REQUESTS, CannotFetch, Sdist
from tests.running import CACHE

EDITS = int(os.environ.get("ENRICHD_EDITS", "200"))
SEED = int(os.environ.get("ENRICHD_EDIT_SEED", "1"))
BUDGET_S = float(os.environ.get("ENRICHD_EDIT_BUDGET_S", "1500"))
_IN_A_ROW = 25
"""After so many edits the tree is put back, or little that fits together would be left of it."""

_began = time.monotonic()


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ty find its stubs of the standard library laid out."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(CACHE))


def unpacked(sdist: Sdist, folder: Path) -> Path:
    try:
        return sdist.unpack(folder)
    except CannotFetch as reason:
        pytest.skip(str(reason))


def say(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{text}", flush=True)


@pytest.mark.parametrize(
    ("sdist", "share"), [(FLASK, 0.5), (REQUESTS, 1.0)], ids=["flask", "requests"]
)
async def test_after_many_edits_the_graph_is_that_of_a_fresh_index(
    sdist: Sdist, share: float, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    laws: list[Law] = []
    left = EDITS // 2
    while left and time.monotonic() - _began < BUDGET_S * share * 0.8:
        number = len(laws)
        edits = min(left, _IN_A_ROW)
        folder = tmp_path / f"row-{number}"
        laws.append(
            await edited(
                unpacked(sdist, folder),
                folder / "graphs",
                seed=SEED + number,
                edits=edits,
                lasting=number % 2 == 0,
                name=sdist.name,
            )
        )
        left -= edits
    said = summary(sdist.name, laws)
    say(f"{said}; {left} edits did not fit into the time" if left else said, capsys)
    verdict = "\n\n".join(law.verdict() for law in laws if law.wrong)
    assert not verdict, verdict


async def test_what_each_kind_of_edit_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_s = max(BUDGET_S - (time.monotonic() - _began), 0.0)
    law = await each_kind(
        unpacked(FLASK, tmp_path), tmp_path / "graphs", seed=SEED, within_s=left_s, name="flask"
    )
    say(f"{summary('flask, each kind', [law])}\n\n{costs(law.steps)}", capsys)
    assert not law.wrong, law.verdict()
