"""A parser without processes, for tests that are not about them: each takes 0.1 s to start."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Self

from enrichd.index.parse import ParseRequest, parse_file
from enrichd_tracker.model import ParsedFile


class Parser:
    """Stands in for the worker processes: parses here and now."""

    def __init__(self, processes: int) -> None:
        del processes

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def parse(
        self, requests: Sequence[ParseRequest]
    ) -> AsyncGenerator[list[ParsedFile], None]:
        if requests:
            yield [parse_file(each) for each in requests]
