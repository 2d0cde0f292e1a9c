"""A whole App on a fake clock: a real folder, a real database, real or in-process servers.

The clock moves only when nothing is in flight and all that is real (processes, threads, files)
has come to rest; so what is seen at one time of the clock is all that can happen at that time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from enrichd.app import App
from enrichd.clock import FakeClock
from enrichd.config import Config
from enrichd.enrich.lane import LaneWorker
from enrichd.lsp.positions import uri_to_path
from enrichd.lsp.states import ServerState
from enrichd.lsp.supervisor import Supervisor
from enrichd.settings import (
    DaemonSettings,
    EnrichSettings,
    IndexSettings,
    MonitorSettings,
    ServerSettings,
    WorkspaceSettings,
)
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Reader, StoredEdge, StoredSymbol
from enrichd_tracker.store.thread import Thread

SERVER = str(Path(__file__).parents[2] / "servers" / "pygls_server.py")
START = 1_700_000_000.0
_REST_S = 0.001
_LONGEST_S = 30.0

SHOP = {
    "base.py": "class Base:\n    def run(self): ...\n\ndef helper():\n    return Base()\n",
    "shop.py": (
        "from base import Base, helper\n"
        "\n"
        "class Shop(Base):\n"
        "    def run(self):\n"
        "        return helper()\n"
        "\n"
        "def main():\n"
        "    helper()\n"
        "    return Base()\n"
    ),
}
"""``base.helper`` uses ``Base`` of its own file: that is the canary, and needs no server."""
ASKED = ["shop.py/", "shop.py/Shop#", "shop.py/Shop#run().", "shop.py/main()."]
"""The symbols of SHOP that a server is asked about."""
ALL = ["base.py/helper().", *ASKED]
"""Those that wait for a server: of ``helper`` the text says all, but only once there is one."""


class Question(NamedTuple):
    """One definition request that a server process got."""

    at: float
    """Wall time of the fake clock."""
    path: str
    line: int
    character: int


class Calls:
    """How many calls of stores are under way."""

    under_way = 0


def count_calls(patch: Callable[[object, str, object], None]) -> None:
    """Know of every call of a store while it is under way."""
    run = Thread.run

    async def counted(self: Thread, function: Any, *args: Any, **kwargs: Any) -> Any:
        Calls.under_way += 1
        try:
            return await run(self, function, *args, **kwargs)
        finally:
            Calls.under_way -= 1

    Calls.under_way = 0
    patch(Thread, "run", counted)


class House:
    """One daemon with one or more workspaces."""

    def __init__(self, folder: Path, files: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.root = folder / "tree"
        self.database = folder / "graph.db"
        self.trace = folder / "trace"
        self.live = folder / "live.json"
        self.live.write_text("{}")
        self.clock = FakeClock(START)
        self.questions: list[Question] = []
        self.starts = 0
        self.ticks = 0
        self.rounds = 0
        """Of the lanes' loops."""
        self._told = 0
        self._app: App | None = None
        self.roots = {"tree": self.root}
        self.patience_s = _LONGEST_S
        """Real seconds that requests in flight are waited for before the clock may move."""
        self.profiles: dict[str, ServerSettings] = {}
        self.languages = {"python": "fake"}
        self.external: Any = "imports"
        self.request_timeout_s = 25.0
        self.queue_size = 1000
        self.write(files if files is not None else SHOP)

    # What there is.

    def write(self, files: dict[str, str], root: Path | None = None) -> None:
        for path, text in files.items():
            place = (root or self.root) / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)

    def serve_with(self, name: str = "fake", /, profile: Any = None, **options: Any) -> None:
        """Configure a server: keys of the profile, options of the pygls server."""
        given = {"trace": str(self.trace), "live": str(self.live), **options}
        keys = {
            "languages": ("python",),
            "command": (sys.executable, SERVER, json.dumps(given)),
            **(profile or {}),
        }
        self.profiles[name] = ServerSettings(name=name, **keys)

    def change_server(self, **options: Any) -> None:
        """The living server behaves otherwise from the next request on."""
        self.live.write_text(json.dumps(options))

    @property
    def config(self) -> Config:
        return Config(
            daemon=DaemonSettings(database=self.database),
            workspaces=tuple(
                WorkspaceSettings(name=name, root=root) for name, root in self.roots.items()
            ),
            monitor=MonitorSettings(queue_size=self.queue_size),
            enrich=EnrichSettings(
                external=self.external,
                request_timeout_s=self.request_timeout_s,
                servers=self.languages,
            ),
            index=IndexSettings(parse_processes=1),
            servers=tuple(self.profiles.values()),
        )

    # Its life.

    @property
    def app(self) -> App:
        assert self._app is not None
        return self._app

    async def open(self) -> App:
        """Begin, and index."""
        self._app = app = await App.open(self.config, self.clock)
        tick = app.enrichment.monitor.tick

        async def counted() -> int:
            self.ticks += 1
            return await tick()

        app.enrichment.monitor.tick = counted  # type: ignore[method-assign]
        await app.workspaces.take_up_all()
        await self.settle()
        return app

    async def close(self) -> None:
        """End within the real time that a daemon has for it."""
        if self._app is None:
            return
        app, self._app = self._app, None
        closing = asyncio.ensure_future(app.close())
        deadline = time.monotonic() + _LONGEST_S
        while not closing.done():
            await asyncio.sleep(0.005)
            assert time.monotonic() < deadline, "it does not close"
            self.clock.advance(0.005)
        closing.result()

    async def restart(self) -> App:
        """End, and begin again at the same wall time, on another machine's clock as it were."""
        await self.close()
        self.clock = FakeClock(self.clock.time())
        return await self.open()

    # Time.

    def _at_work(self) -> str:
        if Calls.under_way:
            return "the store"
        if self.app.indexing.at_work:
            return "indexing"
        for lane in self.app.servers():
            if lane.state == ServerState.STARTING or (
                lane.state == ServerState.BACKING_OFF and lane.pid
            ):
                return "a server starts or ends"
        return ""

    def _in_flight(self) -> int:
        return sum(lane.in_flight for lane in self.app.servers())

    async def settle(self) -> None:
        """Return when nothing can happen any more before the clock moves."""
        begun = patient = time.monotonic()
        quiet = 0
        before = (0, 0)
        while quiet < 3:
            for _ in range(20):
                await asyncio.sleep(0)
            self._watch()
            now = time.monotonic()
            doing = self._at_work()
            seen = (self._in_flight(), sum(each.requests for each in self.app.servers()))
            if seen != before or doing:
                before, patient = seen, now
            waits = seen[0] > 0 and now - patient < self.patience_s
            quiet = 0 if doing or waits else quiet + 1
            assert now - begun < 2 * _LONGEST_S, f"it never comes to rest: {doing or seen}"
            await asyncio.sleep(_REST_S if not quiet else _REST_S / 4)
        self._watch()

    def _watch(self) -> None:
        for worker in self.app.enrichment.lanes.values():
            if not hasattr(worker, "watched"):
                self._count_rounds(worker)
        if not self.trace.exists():
            return
        lines = self.trace.read_text().split("\n")[:-1]  # the last one may be half written
        for line in lines[self._told :]:
            words = line.split()
            if words[0] == "start":
                self.starts += 1
            if words[0] == "definition":
                path = (uri_to_path(words[1]) or "").removeprefix(f"{self.root}/")
                place = (int(words[2]), int(words[3]))
                self.questions.append(Question(self.clock.time(), path, *place))
        self._told = len(lines)

    def _count_rounds(self, worker: LaneWorker) -> None:
        feed = worker._feed

        async def counted() -> None:
            self.rounds += 1
            await feed()

        worker._feed = counted  # type: ignore[method-assign]
        worker.watched = True  # type: ignore[attr-defined]

    async def pass_time(self, seconds: float) -> None:
        """Let that much time pass, with everything done when its time comes."""
        end = self.clock.monotonic() + seconds
        await self.settle()
        while (deadline := self.clock.next_deadline()) is not None and deadline <= end:
            self.clock.jump()
            await self.settle()
        self.clock.advance(max(0.0, end - self.clock.monotonic()))
        await self.settle()

    async def until(self, condition: Callable[[], bool], within_s: float = 3600.0) -> None:
        """Let time pass until the condition holds."""
        end = self.clock.monotonic() + within_s
        await self.settle()
        while not condition():
            assert self.clock.next_deadline() is not None, "nothing will ever happen again"
            self.clock.jump()
            assert self.clock.monotonic() <= end, f"it did not come true: {self.app.servers()}"
            await self.settle()

    async def until_state(self, *states: ServerState, within_s: float = 3600.0) -> None:
        """Let time pass until every server is in one of the states."""
        await self.until(
            lambda: (
                bool(self.app.servers())
                and all(each.state in states for each in self.app.servers())
            ),
            within_s,
        )

    async def until_settled(self, within_s: float = 86400.0) -> None:
        """Let time pass until there is nothing left to find out."""
        end = self.clock.monotonic() + within_s
        await self.settle()
        while not (await self.indexed() and await self.all_settled()):
            assert self.clock.next_deadline() is not None, "nothing will ever happen again"
            self.clock.jump()
            assert self.clock.monotonic() <= end, f"it never settled: {self.app.servers()}"
            await self.settle()

    async def indexed(self) -> bool:
        workspaces = await self.workspaces()
        return bool(workspaces) and not self.app.indexing.requested

    async def all_settled(self) -> bool:
        for workspace in await self.workspaces():
            if not await self.app.enrichment.settled(workspace.id):
                return False
        return not await self.orphans()

    # What is known.

    async def workspaces(self) -> list[Workspace]:
        return await self.app.store.read(lambda reader: reader.workspaces())

    async def workspace(self, name: str = "tree") -> Workspace:
        return next(each for each in await self.workspaces() if each.name == name)

    async def index(self, name: str = "tree") -> None:
        """Index what changed, and wait for it."""
        self.app.indexing.request((await self.workspace(name)).id)
        await self.pass_time(1.5)

    async def failures(self) -> dict[str, FailureRecord]:
        found = await self.app.store.read(lambda reader: reader.failures())
        return {each.uid: each for each in found}

    async def symbol(self, uid: str) -> StoredSymbol | None:
        found = await self.app.store.read(lambda reader: reader.symbol_by_uid(uid))
        return found[0] if found else None

    async def outcomes(self) -> dict[str, list[StoredEdge]]:
        """The edges to the sentinels, by source."""

        def ask(reader: Reader) -> dict[str, list[StoredEdge]]:
            found: dict[str, list[StoredEdge]] = {}
            for workspace in reader.workspaces():
                for path in reader.files(workspace.id):
                    for symbol in reader.symbols_in(workspace.id, path):
                        for edge in reader.outcomes_of(symbol.id):
                            if not edge.relation:
                                found.setdefault(symbol.uid, []).append(edge)
            return found

        return await self.app.store.read(ask)

    async def said(self, kind: str) -> dict[str, StoredEdge]:
        """The outcomes of one kind that a server is the origin of."""
        return {
            uid: edge
            for uid, edges in (await self.outcomes()).items()
            for edge in edges
            if edge.target.name == kind and edge.server != "syntax"
        }

    async def edges(self) -> set[tuple[str, str, str]]:
        """(source, relation, target) of all edges."""
        found = await self.app.store.read(lambda reader: list(reader.every_edge()))
        return {(each.source.uid, each.relation, each.target.uid) for each in found}

    async def orphans(self) -> list[str]:
        def ask(reader: Reader) -> list[str]:
            return [
                symbol.uid
                for workspace in reader.workspaces()
                for path in reader.files(workspace.id)
                for symbol in reader.symbols_in(workspace.id, path)
                if symbol.pending
            ]

        return await self.app.store.read(ask)

    async def is_sound(self) -> None:
        """The database is what it promises to be, and no service has ended."""
        assert await self.app.store.read(lambda reader: reader.verify()) == []
        assert not self.app.services.failed

    def asked_at(self, canary: Iterable[tuple[str, int]] = (("base.py", 4),)) -> dict[Any, Any]:
        """(path, line, character) to the times at which it was asked, without the canary."""
        places = set(canary)
        found: dict[tuple[str, int, int], list[float]] = {}
        for each in self.questions:
            if (each.path, each.line) not in places:
                found.setdefault(each[1:], []).append(each.at - START)
        return found

    def attempts(self) -> Counter[str]:
        """Questions by path."""
        return Counter(each.path for each in self.questions)

    @property
    def supervisor(self) -> Supervisor:
        (worker,) = self.app.enrichment.lanes.values()
        return worker.supervisor
