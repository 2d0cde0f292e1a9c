"""A daemon holds what it needs, not the most that it ever needed."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from pathlib import Path

import pytest
from tests import proc
from tests.component.store.driving import Driver
from tests.component.store.worlds import Def, Use
from tests.servers.fake_process import settle

from enrichd import heap
from enrichd.clock import FakeClock
from enrichd_tracker.store.sqlite import SqliteStore

glibc = pytest.mark.skipif(
    sys.platform != "linux", reason="what a process holds is read from /proc here"
)


@glibc
def test_memory_between_pieces_that_are_still_in_use_is_given_back() -> None:
    pieces = [bytearray(4_000) for _ in range(20_000)]
    before = proc.memory_mib("self", "RssAnon")
    pieces = pieces[::100]  # the rest lies between them, so the heap can't just end earlier
    heap.give_back()
    assert before - proc.memory_mib("self", "RssAnon") > 40
    assert len(pieces) == 200


def test_what_is_in_a_cycle_is_given_back_too() -> None:
    class Knot:
        def __init__(self) -> None:
            self.me = self

    gc.disable()
    try:
        knot = weakref.ref(Knot())
        assert knot() is not None
        heap.give_back()
        assert knot() is None
    finally:
        gc.enable()


@glibc
async def test_a_store_lets_go_of_its_pages_and_goes_on(tmp_path: Path) -> None:
    store = await SqliteStore.open(tmp_path / "graph.db", FakeClock())
    try:
        driver = Driver(store, await store.add_workspace("tree", "/tree"))
        world = {f"m{n}": tuple(Def(f"f{k}", (Use("g"),)) for k in range(40)) for n in range(600)}
        await driver.index(world)
        heap.give_back()  # so that what goes now are pages, nothing else
        before = proc.memory_mib("self", "RssAnon")
        await store.shrink()
        heap.give_back()
        assert before - proc.memory_mib("self", "RssAnon") > 3  # the writer's cache has 4 MiB
        assert len(await driver.ids()) == 600 * 41
        await driver.change(m0=(Def("changed"),))
        assert "m0.py/changed()." in await driver.ids()
    finally:
        await store.close()


async def test_after_work_memory_is_given_back_and_pages_when_the_work_has_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[str] = []
    done = 0

    async def shrink() -> None:
        given.append("pages")

    monkeypatch.setattr(heap, "give_back", lambda: given.append("heap"))
    clock = FakeClock()

    async def minutes(number: int) -> list[str]:
        before = len(given)
        for _ in range(number):
            clock.advance(heap.GIVE_BACK_EVERY_S)
            await settle()
        return given[before:]

    service = asyncio.create_task(heap.give_back_after_work(clock, lambda: done, shrink))
    try:
        await settle()
        assert await minutes(1) == ["heap"]
        done += 1
        assert await minutes(1) == ["heap"]
        assert await minutes(1) == ["pages", "heap"]
        assert await minutes(60) == []
        done += 1
        assert await minutes(3) == ["heap", "pages", "heap"]
    finally:
        service.cancel()
