"""What is read of a workspace's files for servers, and what that takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from enrichd.enrich.sources import Sources
from enrichd.lsp.documents import read_document


@pytest.mark.parametrize(
    "read",
    [read_document, lambda path: Sources().lines(str(path))],
    ids=["a document", "lines"],
)
def test_a_small_file_takes_little_memory_to_read(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "m.py"
    path.write_text("x = 1\n")
    read(path)
    tracemalloc.start()
    try:
        assert read(path)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
