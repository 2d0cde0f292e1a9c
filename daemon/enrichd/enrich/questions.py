"""Which sites of a symbol a server is asked about, and which need no question.

A question is left out only where the answer is already proved by the syntax, or where no answer
could become an edge that the configuration wants.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Literal

from enrichd_tracker.model import Binding, Origin, Site

ExternalPolicy = Literal["off", "imports", "all"]

BY_TEXT = Origin("syntax", "")
"""Of what is known without any server."""


def proved(site: Site) -> bool:
    """Whether the syntax alone says what the site stands for."""
    return site.target is not None


def worth_asking(site: Site, names: Container[str], external: ExternalPolicy) -> bool:
    """Whether an answer could name a symbol of the workspace, or an external one that is kept.

    A member or a free name can only be a symbol of the workspace if some symbol bears the name;
    what an import binds may have been renamed on the way, so it is always asked.
    """
    if external == "all" or site.binding is Binding.IMPORTED:
        return True
    if site.binding is Binding.BUILTIN:
        return False
    return site.name in names


def keeps_external(site: Site, external: ExternalPolicy) -> bool:
    """Whether a target outside the workspace becomes an edge."""
    match external:
        case "all":
            return True
        case "imports":
            return site.binding is Binding.IMPORTED
        case "off":
            return False
