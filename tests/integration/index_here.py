"""`enrichd index --no-enrich` without its process, for tests of what comes after it."""

from __future__ import annotations

from pathlib import Path

from tests.running import Place

from enrichd.config import Config
from enrichd.once import run_index
from enrichd.report import NoProgress
from enrichd.settings import DaemonSettings, IndexSettings


def index_here(place: Place, root: Path, index: IndexSettings | None = None) -> None:
    """Index a folder into a place's database; no server is asked."""
    config = Config(daemon=DaemonSettings(database=place.database), index=index or IndexSettings())
    run_index(config, root, enrich=False, timeout_s=None, progress=NoProgress())
