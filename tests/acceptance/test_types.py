"""Supertypes, subtypes and implementations, from real answers of ty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import Place, indexed, write_tree

TREE = {
    "base.py": "import abc\n\n\n"
    "class Base(abc.ABC):\n    def run(self): ...\n    def stop(self): ...\n",
    "mid.py": "from base import Base\n\n\nclass Mid(Base):\n    def run(self): ...\n",
    "leaf.py": "import mid\nimport base\n\n\n"
    "class Leaf(mid.Mid):\n    def run(self): ...\n\n\n"
    "class Other(base.Base):\n    def stop(self): ...\n\n\n"
    "class Both(Leaf, Other): ...\n",
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with indexed(tmp_path_factory.mktemp("types"), TREE) as place:
        yield place


def names(place: Place, *question: str) -> list[str]:
    answer = place.ask(*question)
    assert answer["question"] == question[0]
    assert answer["completeness"]["level"] == "complete", answer["completeness"]
    assert answer["count"] == len(answer["edges"])
    return sorted(each["symbol"]["qualified_name"] for each in answer["edges"])


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        (("supertypes", "Both"), ["Leaf", "Other"]),
        (("supertypes", "Both", "--all"), ["Base", "Base", "Leaf", "Mid", "Other", "abc.ABC"]),
        (("supertypes", "Mid"), ["Base"]),
        (("subtypes", "Base"), ["Mid", "Other"]),
        (("subtypes", "Base", "--all"), ["Both", "Both", "Leaf", "Mid", "Other"]),
        (("subtypes", "Both"), []),
        (("implementations", "Mid"), ["Both", "Leaf"]),
        (("supertypes", "Leaf.run"), ["Mid.run"]),
        (("supertypes", "Leaf.run", "--all"), ["Base.run", "Mid.run"]),
        (("subtypes", "Base.run"), ["Mid.run"]),
        (("implementations", "Base.run"), ["Leaf.run", "Mid.run"]),
        (("implementations", "Base.stop"), ["Other.stop"]),
    ],
    ids=str,
)
def test_what_stands_above_and_below(
    place: Place, question: tuple[str, ...], expected: list[str]
) -> None:
    assert names(place, *question) == expected


def test_a_new_subclass_that_is_not_asked_about_yet_leaves_the_answer_incomplete(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path)
    place.configure()
    root = write_tree(tmp_path / "root", TREE)
    assert place.run("index", root, "-q").code == 0
    write_tree(root, {"late.py": "from mid import Mid\n\n\nclass Late(Mid): ...\n"})
    assert place.run("index", root, "-q", "--no-enrich").code == 1
    for question in (("subtypes", "Mid"), ("implementations", "Base")):
        found = place.ask(*question)["completeness"]
        assert found["level"] == "partial"
        assert any("Late" in reason or "late" in reason for reason in found["reasons"]), found
    assert place.ask("supertypes", "Mid")["completeness"]["level"] == "complete"
