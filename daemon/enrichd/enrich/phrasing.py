"""From a symbol's sites to questions: in which file, and where in the server's own units."""

from __future__ import annotations

from collections.abc import Container, Iterator

from enrichd.enrich.attempt import Ask, Attempt
from enrichd.enrich.questions import ExternalPolicy, proved, worth_asking
from enrichd.enrich.sources import BOM, Sources
from enrichd.lsp.positions import path_to_uri_json, to_server


class Phrasing:
    """Puts the questions of one workspace."""

    def __init__(self, root: str, sources: Sources, external: ExternalPolicy) -> None:
        self._root = root
        self._sources = sources
        self._external = external
        self._uris: dict[str, bytes] = {}

    def asks(self, attempt: Attempt, names: Container[str], encoding: str) -> Iterator[Ask]:
        """A question for each site that is worth one; ``names``: those of the workspace."""
        file = attempt.work.file
        absolute = f"{self._root}/{file.path}"
        uri = self._uris.get(file.path)
        if uri is None:
            uri = self._uris[file.path] = path_to_uri_json(absolute)
        exact = file.ascii or encoding == "utf-8"
        marked: bool | None = None
        for site in attempt.work.sites:
            if proved(site) or not worth_asking(site, names, self._external):
                continue
            line, column = site.ask or (site.line, site.column)
            if line == 0 and marked is None:
                marked = self._sources.has_mark(absolute)
            if line == 0 and marked:
                text = BOM + self._sources.line(absolute, line)
                column = to_server(text, len(BOM) + column, encoding)
            elif not exact:
                column = to_server(self._sources.line(absolute, line), column, encoding)
            yield Ask(attempt, site, uri=uri, line=line, character=column)
