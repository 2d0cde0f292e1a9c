"""The headings of definitions: where they begin and end, and what of them decides a result.

What a call of a function gives is what stands after its parameters, or not known where nothing
does. Whether the arguments fit, or the parameters have changed, makes no difference to that, unless
the parameters have a say in it.

More captures, beside those of faces.py:

``@decorated``     a definition with its decorators
``@parameters``    those of a function
"""

from __future__ import annotations

from enrichd.index.digests import Words
from enrichd.index.languages import Language
from enrichd.index.regions import Captures
from enrichd.index.scopes import Draft
from enrichd.index.sites import SiteCollector
from enrichd.index.spans import Span, Spans

_INDIRECT = (b".", b'"', b"'")
"""Names behind these don't show by themselves what they are."""


class Headings:
    """Finds the headings in one file."""

    def __init__(
        self, language: Language, captures: Captures, sites: SiteCollector, words: Words
    ) -> None:
        self._language = language
        self._sites = sites
        self._words = words
        self._decorated = Spans(captures.get("decorated", ()))
        self._parameters = Spans(captures.get("parameters", ()))
        self._bodies: dict[int, list[int]] = {}
        for node in captures.get("enter", ()):
            self._bodies.setdefault(node.end_byte, []).append(node.start_byte)
        self._known: dict[int, Span] = {}

    def of(self, draft: Draft) -> Span:
        """From the first decorator to the body."""
        found = self._known.get(id(draft))
        if found is None:
            start, end = draft.start, draft.end
            outer = draft.parent.start if draft.parent is not None else 0
            for decorated_start, decorated_end in self._decorated.around(draft.start):
                if decorated_end == draft.end and decorated_start >= outer:
                    start = decorated_start
                break
            after = [each for each in self._bodies.get(draft.end, ()) if each > draft.name_start]
            if after:
                end = min(after)
            found = self._known[id(draft)] = (start, end)
        return found

    def idle_parameters(self, draft: Draft) -> Span | None:
        """The parameters of a function, unless they may have a say in what a call of it gives.

        They may where there are decorators (overloads, too), where the name is an operator's (on
        those a class rests), and where a type variable may stand behind them: any name may be one,
        but for those of builtins and of classes of this file.
        """
        start, end = self.of(draft)
        found = self._parameters.within(start, end)
        if not found or start < draft.start or self._language.is_implicit(draft.name):
            return None
        after = found[0][1]
        said = self._words.between(after, end)
        if any(mark in said for mark in _INDIRECT) or not self._sites.are_types(after, end):
            return None
        return found[0]
