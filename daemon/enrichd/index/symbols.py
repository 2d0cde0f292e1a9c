"""From definitions and variables to a file's list of symbols: numbering, extents, digests."""

from __future__ import annotations

from collections import Counter

from enrichd.index.digests import Words, digest_of
from enrichd.index.faces import Faces
from enrichd.index.lines import position
from enrichd.index.naming import descriptor
from enrichd.index.scopes import Draft
from enrichd.index.spans import Span
from enrichd_tracker.model import FoundSymbol


def describe(drafts: list[Draft]) -> None:
    """Give each its descriptors; those of the file stand in order, parents before children."""
    seen: Counter[str] = Counter()
    for draft in drafts:
        if draft.parent is None:
            continue
        around = draft.parent.named().descriptors
        alone = around + descriptor(draft.kind, draft.name)
        ordinal = seen[alone]
        seen[alone] += 1
        draft.descriptors = (
            around + descriptor(draft.kind, draft.name, ordinal) if ordinal else alone
        )


def found_symbols(
    drafts: list[Draft], module: str, starts: list[int], words: Words, faces: Faces
) -> list[FoundSymbol]:
    """The symbols of a file; ``module`` is its dotted name, ``starts`` its lines' offsets."""
    places = {id(draft): place for place, draft in enumerate(drafts)}
    bodies: dict[int, list[Span]] = {}  # of the definitions directly inside each
    for draft in drafts:
        if draft.has_body and draft.parent is not None:
            bodies.setdefault(id(draft.parent), []).append((draft.start, draft.end))
    qualified_names: list[str] = []
    symbols = []
    for draft in drafts:
        if draft.parent is None:
            parent = -1
            name, qualified_name = module.rpartition(".")[2], module
        else:
            parent = places[id(draft.parent.named())]
            name = draft.name
            qualified_name = f"{qualified_names[parent]}.{name}" if parent else name
        qualified_names.append(qualified_name)
        if draft.has_body:  # without what is a symbol with a body inside it
            own_text = [words.between(draft.start, draft.end, bodies.get(id(draft), ()))]
        else:
            own_text = faces.variable_text(draft)
        symbols.append(
            FoundSymbol(
                draft.descriptors,
                name,
                qualified_name,
                draft.kind,
                parent,
                *position(starts, draft.name_start),
                *position(starts, draft.start),
                *position(starts, draft.end),
                digest_of(*own_text),
                draft.face,
                [position(starts, place) for place in draft.places],
                draft.overload,
                draft.sites,
                draft.parent is not None and faces.is_implied(draft),
            )
        )
    return symbols
