"""From one syntax tree to symbols and sites, in one pass over what the language's query captures.

Besides the captures that cut a file into regions (regions.py), that bind names (bindings.py) and
that say how a file is laid out (layout.py), a language says

``@site``                every identifier
``@site.R``              one that is there for a reason R: ``call``, ``inherit``, ``import``
``@site.member[.R]``     one that is a member of what stands before it
``@skip``                one that uses nothing (the name of a keyword argument)
``@mark.X``              a definition's name to which the mark X applies
``@import.all``          an import of names that the file does not show
``@sets``                an attribute that is given a value
``@export``              a text that names something which the module hands out
``@statement``           a statement that binds variables or sets attributes
``@quoted``              a text that is read as code, unless it is ``@unquoted`` too
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from tree_sitter import QueryCursor, Tree

from enrichd.index.bindings import Binder
from enrichd.index.digests import Words
from enrichd.index.faces import Faces
from enrichd.index.languages import Language
from enrichd.index.layout import misplaced
from enrichd.index.lines import by_bytes, from_bytes, line_starts, position
from enrichd.index.quoted import read_quoted
from enrichd.index.regions import Captures, divide
from enrichd.index.scopes import Draft, Resolver
from enrichd.index.sites import SiteCollector
from enrichd.index.symbols import describe, found_symbols
from enrichd_tracker.model import Canary, Face, Flow, FoundSymbol, SymbolKind


class CannotParse(Exception):
    """The parser gave no tree at all; what it raised is the cause."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What one file's text says."""

    symbols: list[FoundSymbol]
    import_sites: list[tuple[int, int]]
    aliases: list[tuple[str, str]]
    faces: dict[str, Face]
    flows: list[Flow]
    canary: Canary | None
    error_lines: list[int]
    """1-based, of each place that did not parse."""
    lost_bytes: int


def extract(language: Language, source: bytes, *, path: str, module: str) -> Extract:
    """Parse a text and tell its symbols and sites.

    ``source`` is UTF-8 without a byte order mark; ``path`` goes into the canary, and ``module``
    is the file's own dotted name. Raises CannotParse.
    """
    try:
        tree = language.parser.parse(source)
    except Exception as problem:
        raise CannotParse(f"{type(problem).__name__}: {problem}") from problem
    captures = QueryCursor(language.query).captures(tree.root_node)
    errors = _errors(language, tree, captures)
    quoted = read_quoted(language, source, captures)
    text = by_bytes(source)
    starts = line_starts(source)

    root = Draft(None, SymbolKind.MODULE, 0, len(source), has_body=True)
    root.name = module
    regions = divide(language, captures, text, root)
    binder = Binder(language, captures, regions, text)
    variables = binder.bind_all()
    definitions = [draft for draft, _ in regions.definitions if draft.name]
    _apply_marks(language, captures, definitions)
    drafts = [root, *sorted([*definitions, *variables], key=lambda draft: draft.start)]
    for draft in drafts[1:]:
        draft.name = from_bytes(draft.name)
    describe(drafts)

    is_open = "import.all" in captures
    doubtful = _names_within(captures, errors, text)
    resolver = Resolver(language, open_module=is_open, doubtful=doubtful)
    sites = SiteCollector(captures, regions, resolver, text, starts)
    sites.collect(quoted)
    sites.collect_exports()
    words = Words(source, captures)
    faces = Faces(language, captures, regions, sites, words, path)
    faces_of_names, flows = faces.collect(root)
    return Extract(
        symbols=found_symbols(drafts, module, starts, words, faces),
        import_sites=sites.import_sites,
        aliases=binder.renamings(),
        faces=faces_of_names,
        flows=flows,
        canary=sites.canary(path),
        error_lines=[position(starts, start)[0] + 1 for start, _ in errors],
        lost_bytes=sum(end - start for start, end in errors),
    )


def _errors(language: Language, tree: Tree, captures: Captures) -> list[tuple[int, int]]:
    """The outermost stretches that did not parse, and add them to the captures."""
    if not tree.root_node.has_error:
        return misplaced(captures)
    found = QueryCursor(language.error_query).captures(tree.root_node)
    captures["error"] = found.get("error", [])
    nodes = [*captures["error"], *found.get("missing", [])]
    outermost: list[tuple[int, int]] = []
    for start, minus_end in sorted((node.start_byte, -node.end_byte) for node in nodes):
        if not outermost or start >= outermost[-1][1]:
            outermost.append((start, -minus_end))
    return outermost


def _apply_marks(language: Language, captures: Captures, definitions: list[Draft]) -> None:
    for name, rule in language.data.marks.items():
        marked = {node.start_byte for node in captures.get(f"mark.{name}", ())}
        for draft in definitions:
            if draft.name_start in marked:
                draft.kind = rule.becomes.get(draft.kind, draft.kind)
                draft.overload = draft.overload or rule.overload


def _names_within(captures: Captures, spans: list[tuple[int, int]], text: str) -> set[str]:
    """The names that stand in one of the spans, which are sorted and don't overlap."""
    if not spans:
        return set()
    names = set()
    for node in captures.get("site", ()):
        start, end = node.byte_range
        place = bisect_right(spans, (start, len(text)))
        if place and start < spans[place - 1][1]:
            names.add(text[start:end])
    return names
