"""Names in texts that are read as code: annotations in quotes, and what else a language says."""

from __future__ import annotations

from tree_sitter import QueryCursor, Range

from enrichd.index.languages import Language
from enrichd.index.regions import Captures


def read_quoted(language: Language, source: bytes, captures: Captures) -> set[int]:
    """Add the sites in these texts to the captures; returns their byte offsets."""
    others = {node.start_byte for node in captures.get("unquoted", ())}
    offsets = set[int]()
    for node in captures.get("quoted", ()):
        if node.start_byte in others:
            continue
        part = Range(node.start_point, node.end_point, *node.byte_range)
        language.part_parser.included_ranges = [part]
        tree = language.part_parser.parse(source)
        if tree.root_node.has_error:
            continue
        for name, nodes in QueryCursor(language.query).captures(tree.root_node).items():
            if name.partition(".")[0] == "site":
                captures.setdefault(name, []).extend(nodes)
                offsets.update(each.start_byte for each in nodes)
    return offsets
