"""What nothing points at: found, and not made up where somebody may use it unseen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.running import Place, indexed, write_tree

TREE = {
    "app.py": "import functools\nimport http.server\nimport missing\n"
    "from registry import register\nfrom tools import helper\n\n\n"
    "def used(): ...\n"
    "def alone():\n    used()\n    alone()\n\n\n"
    "@register\ndef handed(): ...\n\n\n"
    "@functools.cache\ndef cached(): ...\n\n\n"
    "def main():\n    helper(Used().run)\n\n\n"
    "def test_it(): ...\n\n\n"
    "class Used:\n"
    "    field = 1\n"
    "    def __len__(self): ...\n"
    "    def run(self): ...\n"
    "    def idle(self): ...\n\n\n"
    "class Handler(http.server.BaseHTTPRequestHandler):\n    def do_GET(self): ...\n\n\n"
    "class Unknown(missing.Base):\n    def hook(self): ...\n\n\n"
    "class Heir(Used):\n    field = 2\n    def run(self): ...\n\n\n"
    "def guess(thing):\n    thing.idle()\n",
    "registry.py": "def register(f):\n    return f\n",
    "tools.py": "def helper(f): ...\n\n\nLIMIT = 1\n_SIZE = 2\nsizes = [_SIZE]\n",
}
SURE = [
    "Handler",
    "Heir",
    "LIMIT",
    "Unknown",
    "Used.field",
    "alone",
    "cached",
    "guess",
    "sizes",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with indexed(tmp_path_factory.mktemp("unused"), TREE) as place:
        yield place


def names(place: Place, *options: str) -> list[str]:
    answer = place.ask("unused", *options)
    return sorted(each["symbol"]["qualified_name"] for each in answer["symbols"])


def test_what_nothing_points_at_is_found_and_nothing_else(place: Place) -> None:
    assert names(place) == sorted([*SURE, "Used.idle"])


def test_a_use_that_led_nowhere_leaves_it_open(place: Place) -> None:
    answer = place.ask("unused", "--kind", "method")
    [idle] = answer["symbols"]
    assert (idle["symbol"]["qualified_name"], idle["unresolved"]) == ("Used.idle", 1)
    assert names(place, "--sure") == SURE
    assert answer["completeness"]["level"] == "complete"


def test_what_is_wanted_can_be_narrowed(place: Place) -> None:
    assert names(place, "--path", "tools.py") == ["LIMIT", "sizes"]
    assert names(place, "--kind", "class") == ["Handler", "Heir", "Unknown"]
    page = place.ask("unused", "--limit", "3")
    assert (page["count"], page["more"]) == (3, True)


def test_while_anybody_is_not_enriched_nothing_is_sure(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.configure()
    root = write_tree(tmp_path / "root", TREE)
    assert place.run("index", root, "-q", "--no-enrich").code == 1
    found = place.ask("unused")["completeness"]
    assert found["level"] == "unknown"
    assert place.run("index", root, "-q").code == 0
    write_tree(root, {"late.py": "from app import alone\nalone()\n"})
    assert place.run("index", root, "-q", "--no-enrich").code == 1
    found = place.ask("unused")["completeness"]
    assert found["level"] == "partial"
    assert "not yet enriched" in found["reasons"][0]
