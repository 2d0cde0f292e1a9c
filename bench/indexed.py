"""`enrichd index` as a process: from nothing to the complete graph, and what that cost."""

from __future__ import annotations

import functools
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.repositories import Sdist
from tests.running import CACHE, ENRICHD, Place

from bench import processes
from bench.processes import Cost
from bench.trees import scratch, unpacked

_TIMEOUT_S = 900.0
_DEGRADED = 1


@dataclass(frozen=True)
class Indexed:
    """A complete graph."""

    place: Place
    root: Path
    cost: Cost
    report: Any
    """What `enrichd index --json` said."""

    def export(self) -> list[bytes]:
        """Its edges as lines of JSON."""
        return self.place.export().splitlines()


def place_for(root: Path, *, served: bool = False) -> Place:
    """A new one with the default configuration; ``served``: its daemon keeps ``root`` current."""
    CACHE.mkdir(parents=True, exist_ok=True)
    place = Place(Path(tempfile.mkdtemp(dir=scratch())))
    place.configure(*([root] if served else []))
    return place


def index(root: Path) -> Indexed:
    """Do it now."""
    place = place_for(root)
    cost = processes.run(
        [ENRICHD, "index", root, "--json"],
        cwd=place.folder,
        environment=place.environment() | {"ENRICHD_CONFIG": str(place.config)},
        timeout_s=_TIMEOUT_S,
        may_end_with=(0, _DEGRADED),
    )
    return Indexed(place, root, cost, json.loads(cost.out))


@functools.cache
def indexed(sdist: Sdist) -> Indexed:
    """The same, once in a run of the benches for all that want a graph to begin with."""
    return index(unpacked(sdist))
