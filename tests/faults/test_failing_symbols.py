"""Symbols that fail: what kills its server, and what no server can be asked about.

ENRICHD_FAULT_PAIRS   how often speed is compared with and without what can't be served (25)
"""

from __future__ import annotations

import functools
import gc
import os
import re
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from tests.figures import Reached
from tests.running import DATABASE_SUFFIXES, Place, pygls_server, running, write_tree
from tests.servers.fake_process import SILENCE, FakeServer, Request

from enrichd.app import App, Servers
from enrichd.clock import Clock, SystemClock, within
from enrichd.config import Config
from enrichd.lsp.positions import path_to_uri
from enrichd.lsp.supervisor import Supervisor
from enrichd.settings import (
    DaemonSettings,
    EnrichSettings,
    IndexSettings,
    ServerSettings,
    WorkspaceSettings,
)

PAIRS = int(os.environ.get("ENRICHD_FAULT_PAIRS", "25"))
MOST_DEATHS = 3
BASE = "class Base: ...\n\n\ndef helper():\n    return Base()\n"


def functions(count: int) -> str:
    return "from base import helper\n" + "".join(
        f"\n\ndef f{number}():\n    helper()\n" for number in range(count)
    )


# A poison file, with real processes.

POISON = 60


def failures(place: Place) -> list[Any]:
    if not place.database.exists():
        return []
    found: list[Any] = place.ask("failures", "--limit", "1000")["failures"]
    return found


def deaths_of(place: Place) -> int:
    """How often the log says that a server died by itself."""
    lines = place.log.read_text().splitlines()
    return sum('"event_name": "died"' in line for line in lines)


@pytest.mark.fault(3, "a real server that dies of a file; the daemon is killed meanwhile")
def test_a_poison_file_is_skipped_whole_whatever_becomes_of_the_daemon(
    place: Place, reached: Reached
) -> None:
    good = {f"good{number}.py": functions(10) for number in range(10)}
    files = {"base.py": BASE, "odd.py": functions(POISON), **good}
    root = write_tree(place.folder / "root", files)
    place.configure(root, more=pygls_server(die_on="odd.py"))
    with running(place) as daemon:
        daemon.wait_until_up()
        daemon.wait_until("a death is attributed", lambda: failures(place))
        os.kill(daemon.pid, signal.SIGKILL)
        daemon.process.wait(10)
    with running(place) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until("nobody backs off", lambda: len(failures(place)) == POISON + 1)
        assert {each["state"] for each in failures(place)} == {"skipped"}
        assert {each["file"] for each in failures(place)} == {"odd.py"}
        daemon.wait_until(
            "the server is up again",
            lambda: daemon.status()["servers"][0]["state"] == "ready",
            20.0,
        )
        reason = failures(place)[0]["reason"]
        explained = place.run("explain", "odd.py/f7().").out
        assert reason in explained
        assert daemon.terminate()[0] == 0
    found = re.fullmatch(
        r"poison file odd\.py: its symbols were alone in flight at (\d) deaths of the server, "
        r"which last died \(it exited with status 3\); what is left of it is skipped",
        reason,
    )
    assert found is not None, reason
    reached("deaths attributed to the file", int(found[1]), MOST_DEATHS, times=deaths_of(place))
    assert place.ask("callers", "helper")["count"] == 10 * 10
    place.verify()


# Nine tenths that can't be served.

SERVED = 2_400
FILES = 20
MOST_RATIO = 1.1


class Answering(FakeServer):
    """Knows where ``helper`` is; says when it was first asked about anything but the canary.

    It is ready when ``begin`` is called.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(self.answer)
        self.asked_at: float | None = None
        self._greeting: Request | None = None
        self._base = path_to_uri(root / "base.py")

    def answer(self, request: Request) -> object:
        if request["method"] == "initialize":
            self._greeting = request
            return SILENCE
        if request["method"] != "textDocument/definition":
            return None
        uri = request["params"]["textDocument"]["uri"]
        line = 0 if uri == self._base else 3
        if uri != self._base and self.asked_at is None:
            self.asked_at = time.perf_counter()
        start = {"line": line, "character": 6 if line == 0 else 4}
        return {"uri": self._base, "range": {"start": start, "end": start}}

    @property
    def is_greeted(self) -> bool:
        return self._greeting is not None

    def begin(self) -> None:
        assert self._greeting is not None
        info = {"name": "fake", "version": "1"}
        result = {"capabilities": self.capabilities, "serverInfo": info}
        self.say({"id": self._greeting["id"], "result": result})


class Spawn:
    """Servers of this process, for one root; for no other one can be started."""

    def __init__(self, served: Path) -> None:
        self.served = served
        self.answering = Answering(served)
        self.refused = 0

    def __call__(
        self, command: list[str], *, cwd: Path, environment: Mapping[str, str], clock: Clock
    ) -> FakeServer:
        if cwd == self.served:
            return self.answering
        server = FakeServer(lambda request: None)
        server.cannot_start = True
        self.refused += 1
        return server


def config_of(database: Path, *roots: Path) -> Config:
    return Config(
        daemon=DaemonSettings(database=database),
        workspaces=tuple(WorkspaceSettings(name=root.name, root=root) for root in roots),
        enrich=EnrichSettings(servers={"python": "fake"}),
        index=IndexSettings(parse_processes=1),
        servers=(ServerSettings(name="fake", languages=("python",), command=(sys.executable,)),),
    )


async def until(app: App, condition: Callable[[], Awaitable[bool]]) -> None:
    """Look at every commit, every change of a server, and every run."""
    news = app.enrichment.progress

    async def look() -> None:
        while True:
            seen = news.count
            if await condition():
                return
            with suppress(TimeoutError):
                await within(SystemClock(), 0.1, news.after(seen))

    await within(SystemClock(), 60.0, look())


async def index_only(database: Path, *roots: Path) -> None:
    app = await App.open(config_of(database, *roots), SystemClock(), Servers.NEVER)
    await app.workspaces.take_up_all()

    async def indexed() -> bool:
        stamps = await app.store.read(
            lambda reader: [reader.indexed_at(each.id) for each in reader.workspaces()]
        )
        return len(stamps) == len(roots) and None not in stamps and not app.indexing.at_work

    await until(app, indexed)
    await app.close()


async def enrich(
    database: Path, monkeypatch: pytest.MonkeyPatch, served: Path, *others: Path
) -> float:
    """Seconds from the first question about the served workspace to its last outcome."""
    spawn = Spawn(served)
    monkeypatch.setattr(
        "enrichd.enrich.service.Supervisor", functools.partial(Supervisor, spawn=spawn)
    )
    app = await App.open(config_of(database, served, *others), SystemClock())
    await app.workspaces.take_up_all()
    found = await app.store.read(lambda reader: reader.workspaces())
    ids = {each.root: each.id for each in found}

    async def calm() -> bool:
        looked_at = not (app.indexing.at_work or app.indexing.requested)
        return looked_at and spawn.answering.is_greeted and spawn.refused >= len(others)

    async def enriched() -> bool:
        left = await app.store.read(lambda reader: reader.orphans_by_language(ids[str(served)]))
        return not left

    await until(app, calm)
    gc.collect()
    spawn.answering.begin()
    await until(app, enriched)
    ended = time.perf_counter()
    assert spawn.answering.asked_at is not None
    took_s = ended - spawn.answering.asked_at
    orphans = await app.store.read(
        lambda reader: [reader.counts(ids[str(root)]).orphans for root in others]
    )
    assert all(each >= 9 * SERVED for each in orphans)
    assert await app.store.read(lambda reader: reader.failures()) == []
    await app.close()
    return took_s


@pytest.mark.fault(7, "nine of ten symbols belong to a workspace whose server can't be started")
async def test_what_can_be_served_is_enriched_as_fast_as_if_it_were_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reached: Reached
) -> None:
    served, other = tmp_path / "served", tmp_path / "other"
    for root, times in ((served, 1), (other, 9)):
        count = SERVED // FILES
        texts = {f"m{number:03}.py": functions(count) for number in range(FILES * times)}
        write_tree(root, {"base.py": BASE, **texts})
    alone, both = tmp_path / "alone.db", tmp_path / "both.db"
    await index_only(alone, served)
    await index_only(both, served, other)
    walls: list[tuple[float, float]] = []
    for number in range(PAIRS):
        pair = {}
        for indexed, others in ((alone, ()), (both, (other,)))[:: 1 if number % 2 else -1]:
            database = tmp_path / "graph.db"
            for suffix in DATABASE_SUFFIXES:
                copy = database.with_name(database.name + suffix)
                copy.unlink(missing_ok=True)
                original = indexed.with_name(indexed.name + suffix)
                if original.exists():
                    shutil.copy(original, copy)
            pair[indexed] = await enrich(database, monkeypatch, served, *others)
        walls.append((pair[alone], pair[both]))
    ratio = statistics.median(with_others / by_itself for by_itself, with_others in walls)
    reached("wall of the tenth with the rest against alone", ratio, MOST_RATIO, times=PAIRS)
