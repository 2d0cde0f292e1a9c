"""Whole repositories, as people have them: indexed to the end, and then left in peace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.acceptance.conftest import Indexed
from tests.running import Place

from enrichd.index.languages import other_suffixes

# What the real figures are at least, with room for a server that gets better or worse at a few.
FEWEST_EDGES = {
    "requests": {
        "calls": 1200,
        "imports": 650,
        "inherits": 45,
        "instantiates": 350,
        "overrides": 10,
        "references": 2700,
        "contains": 950,
    },
    "flask": {
        "calls": 1400,
        "imports": 850,
        "inherits": 70,
        "instantiates": 370,
        "overrides": 50,
        "references": 3700,
        "contains": 1700,
    },
}


@pytest.fixture(params=["requests", "flask"])
def repository(request: pytest.FixtureRequest) -> Indexed:
    indexed: Indexed = request.getfixturevalue(request.param)
    return indexed


def test_a_repository_is_indexed_until_no_symbol_is_left_an_orphan(repository: Indexed) -> None:
    assert repository.said.code == 0, repository.said
    report = repository.report
    assert report["complete"] is True
    assert report["problems"] == []
    assert (report["orphans"], report["backing_off"], report["skipped"]) == (0, 0, 0)
    assert report["outcomes"]["error"] == 0
    assert report["requests"] > 1000
    assert report["server"].startswith("ty ")


def test_every_file_has_a_parse_result(repository: Indexed) -> None:
    files = list(repository.root.rglob("*.py"))
    report = repository.report
    assert report["files"] == len(files)
    others = report["parse"].pop("unsupported")
    assert report["parse"] == {"ok": len(files), "partial": 0, "error": 0}
    assert others == sum(
        path.suffix in other_suffixes() for path in repository.root.rglob("*") if path.is_file()
    )


def test_every_relation_is_found_in_plenty(repository: Indexed) -> None:
    fewest = FEWEST_EDGES[repository.root.name.partition("-")[0]]
    edges = repository.report["edges"]
    assert {kind: n for kind, n in fewest.items() if edges[kind] < n} == {}, edges


def test_the_database_is_what_it_promises_to_be(repository: Indexed) -> None:
    repository.place.verify()


def test_the_export_holds_every_edge_that_is_counted_and_no_edge_twice(repository: Indexed) -> None:
    lines = repository.export.splitlines()
    assert len(lines) == sum(repository.report["edges"].values())
    assert len(set(lines)) == len(lines)
    found: dict[str, int] = {}
    for line in lines:
        relation = json.loads(line)["relation"]
        found[relation] = found.get(relation, 0) + 1
    assert found == {kind: n for kind, n in repository.report["edges"].items() if n}


def test_no_edge_ends_in_a_file_or_a_line_that_is_not_there(repository: Indexed) -> None:
    lengths = {
        str(path.relative_to(repository.root)): len(path.read_bytes().splitlines()) + 1
        for path in repository.root.rglob("*.py")
    }
    for text in repository.export.splitlines():
        edge = json.loads(text)
        for end in (edge["source"], edge["target"], edge["site"]):
            if not end.get("external"):
                assert 1 <= end["line"] <= lengths[end["file"]], text


def test_a_second_run_does_nothing_and_says_so(repository: Indexed, place: Place) -> None:
    place.configure()
    place.take_database(repository.place)
    again = place.run("index", repository.root)
    files = repository.report["files"]
    assert (again.code, again.out) == (
        0,
        f"nothing to do: {files} files unchanged, the graph is complete\n",
    )
    report = place.run("index", repository.root, "--json").json
    assert (report["requests"], report["server"], report["job"]) == (0, None, None)
    assert (report["files_changed"], report["files_removed"]) == (0, 0)
    assert report["nothing_to_do"] is True
    assert place.export() == repository.export


def test_no_server_is_started_where_there_is_nothing_to_ask(
    repository: Indexed, place: Place, tmp_path: Path
) -> None:
    program, started = tmp_path / "ty", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntouch {started}\nexit 1\n")
    program.chmod(0o755)
    place.configure(more=f'[[server]]\nname = "ty"\ncommand = ["{program}", "server"]')
    place.take_database(repository.place)
    assert place.run("index", repository.root).code == 0
    assert not started.exists()


def test_a_repository_indexed_twice_from_nothing_gives_the_same_bytes(
    repository: Indexed, place: Place
) -> None:
    place.configure()
    assert place.run("index", repository.root, "-q").code == 0
    assert place.export() == repository.export


def test_a_server_whose_own_cache_is_empty_gives_the_same_graph(
    flask: Indexed, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.running.CACHE", place.folder / "cache")
    place.configure()
    assert place.run("index", flask.root, "-q").code == 0
    assert place.export() == flask.export
