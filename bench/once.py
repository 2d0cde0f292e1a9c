"""One `enrichd index` in this process, on an empty database, with the default configuration."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from enrichd.config import Config, load
from enrichd.once import run_index
from enrichd.report import IndexReport, NoProgress


def configuration(database: Path, **flags: object) -> Config:
    """The defaults of a machine without any configuration, but for ``flags``."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ENRICHD_")}
    kept["XDG_CONFIG_HOME"] = str(database.parent)
    flags = {key.replace("__", "."): value for key, value in flags.items()}
    return load(None, kept, {"daemon.database": database, **flags})


def index(root: Path, *, enrich: bool, **flags: object) -> IndexReport:
    """Index it, and enrich it, from nothing."""
    with tempfile.TemporaryDirectory() as scratch:
        config = configuration(Path(scratch) / "graph.db", **flags)
        return run_index(config, root, enrich=enrich, timeout_s=None, progress=NoProgress())
