"""Run by the Python that has blarify: `run_blarify.py ROOT FILE` writes its calls as JSON."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from blarify.prebuilt.graph_builder import GraphBuilder  # type: ignore[import-not-found]

_SKIPPED = [".json", ".md", ".rst", ".txt", ".toml", ".yml", ".yaml", ".cfg"]
_CALLS = {"CALLS", "INSTANTIATES"}


def main(root: str, file: str) -> None:
    """The graph as `blarify` builds it by default, with the language server that it brings."""
    builder = GraphBuilder(root_path=root, db_manager=None, extensions_to_skip=_SKIPPED)
    graph = builder.build(save_to_db=False)
    places = {}
    for node in graph.get_nodes_as_objects():
        known = node["attributes"]
        path = known["path"].removeprefix("file://").removeprefix(f"{root}/")
        line = -1 if node["type"] == "FILE" else known.get("start_line", -1)
        places[known["hashed_id"]] = [path, line, known["name"]]
    calls = [
        [places[each["sourceId"]], places[each["targetId"]]]
        for each in graph.get_relationships_as_objects()
        if each["type"] in _CALLS
    ]
    Path(file).write_text(json.dumps(calls))


if __name__ == "__main__":
    main(*sys.argv[1:])
