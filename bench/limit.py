"""Enriching against a bare client that sends the same requests and throws the answers away.

Each pair is one run of enrichd, recorded, and its questions sent again in the same order, with as
many in flight, to a server of the same kind that was started the same way.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.repositories import DJANGO, FLASK, REQUESTS

from bench import once
from bench.bare import BareClient
from bench.figures import Figure, Task
from bench.pairs import in_turn
from bench.recording import Message, recorded
from bench.trees import unpacked
from enrichd.lsp.profiles import BUILT_IN

_ROWS = ((REQUESTS, 5, 1.5), (FLASK, 5, None), (DJANGO, 2, 1.3))
"""How many pairs, and what they may come to."""
PROFILE = BUILT_IN["ty"]


def measure(task: Task) -> list[Figure]:
    """Wall time of enriching, from symbols stored to settled, in bare clients."""
    figures = []
    for sdist, pairs, budget in _ROWS:
        root = unpacked(sdist)
        asked: list[Message] = []

        def ours(root: Path = root, asked: list[Message] = asked) -> float:
            with recorded() as heard:
                seconds = once.index(root, enrich=True).enrich_seconds
            asked[:] = heard
            return seconds

        def bare(root: Path = root, asked: list[Message] = asked) -> float:
            return asyncio.run(_bare(root, asked))

        task.say(f"limit: {sdist.name}")
        found = in_turn(task.rounds(pairs), ours, bare)
        figures.append(
            Figure(
                "limit",
                f"{sdist.name}: enriching / a bare client with the same requests",
                found.ratio,
                budget=budget,
                note=f"{found.our_s:.2f} s / {found.their_s:.2f} s, {len(asked):,} requests, "
                f"{found.spread}",
            )
        )
    return figures


async def _bare(root: Path, messages: list[Message]) -> float:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with BareClient(PROFILE, root) as client:
        await client.play(messages)
        return loop.time() - started
