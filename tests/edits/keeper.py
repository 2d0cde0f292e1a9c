"""enrichd's own parts over one tree, in this process: brought up to date and read when asked."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from enrichd.app import App, Servers
from enrichd.clock import SystemClock, within
from enrichd.config import Config
from enrichd.query.export import jsonl
from enrichd.settings import DaemonSettings, EnrichSettings, IndexSettings, TrackerSettings
from enrichd_tracker.model import Workspace
from enrichd_tracker.store.port import Batch, Committed, Reader

_SETTLED_WITHIN_S = 90.0
_LOOK_AGAIN_S = 0.01


class Look(Struct, frozen=True):
    """A graph that nothing is left to find out about, and what it took to get there."""

    lines: list[bytes]
    """The export."""
    sums: dict[str, int]
    """Files by status, symbols, edges by relation, outcomes by kind: what the store counts."""
    problems: list[str]
    """What `enrichd verify` finds."""
    requests: int
    asked: int
    """Symbols whose answers were written."""
    seconds: float


class NotSettled(Exception):
    """A graph did not come to rest in time."""


class Keeper:
    """One database over one tree. Open it for one look, or keep it and its server for many.

    ``lasting`` is for many looks: the server is there whether something is to be asked or not.
    """

    def __init__(self, root: Path, database: Path, *, lasting: bool) -> None:
        self.root = root
        self.database = database
        self._servers = Servers.ALWAYS if lasting else Servers.WHEN_NEEDED
        self._clock = SystemClock()
        self._app: App | None = None
        self._workspace: Workspace | None = None
        self._asked: set[int] = set()

    async def open(self) -> None:
        """Take the database; a server is started with the first look."""
        config = Config(
            daemon=DaemonSettings(database=self.database),
            tracker=TrackerSettings(initial_s=0.05, max_s=0.05, max_attempts=3),
            enrich=EnrichSettings(external="imports"),
            index=IndexSettings(parse_processes=1),
        )
        self._app = app = await App.open(config, self._clock, self._servers)
        self._workspace = await app.workspaces.register(self.root, "tree")
        app.indexing.adopt(self._workspace)
        commit = app.store.commit

        async def noted(batch: Batch) -> Committed:
            self._asked.update(each.symbol_id for each in batch.outcomes)
            return await commit(batch)

        app.store.commit = noted  # type: ignore[method-assign]

    async def close(self) -> None:
        if self._app is not None:
            app, self._app = self._app, None
            await app.close()

    @property
    def is_open(self) -> bool:
        return self._app is not None

    @property
    def app(self) -> App:
        assert self._app is not None
        return self._app

    @property
    def workspace(self) -> Workspace:
        assert self._workspace is not None
        return self._workspace

    async def look(self) -> Look:
        """Index what changed, ask what is to be asked, and read the graph. Raises NotSettled."""
        began, before = self._begin()
        await self.app.indexing.index(self.workspace)
        return await self._settled_look(began, before)

    async def ask_all_again(self) -> Look:
        """The graph after every symbol was asked about once more."""
        began, before = self._begin()

        def every(reader: Reader) -> list[int]:
            return [
                symbol.id
                for path in reader.files(self.workspace.id)
                for symbol in reader.symbols_in(self.workspace.id, path)
            ]

        await self.app.retry(await self.app.store.read(every))
        await self.app.indexing.index(self.workspace)
        return await self._settled_look(began, before)

    def _begin(self) -> tuple[float, int]:
        self._asked.clear()
        return self._clock.monotonic(), self._requests()

    def _requests(self) -> int:
        return sum(each.requests for each in self.app.servers())

    async def _settled_look(self, began: float, requests: int) -> Look:
        try:
            await within(self._clock, _SETTLED_WITHIN_S, self._until_settled())
        except TimeoutError as error:
            servers = [f"{each.state} {each.last_error}" for each in self.app.servers()]
            raise NotSettled(
                f"{await self._orphans()} symbols are left, servers: {servers}"
            ) from error
        seconds = self._clock.monotonic() - began

        def ask(reader: Reader) -> tuple[list[bytes], dict[str, int], list[str]]:
            lines = list(jsonl(reader, self.workspace))
            counts = reader.counts(self.workspace.id)
            sums = {"files": counts.files, "symbols": counts.symbols, "skipped": counts.skipped}
            for name in ("edges", "outcomes", "parse"):
                found = getattr(counts, name)
                sums |= {f"{name} {key}": number for key, number in found.items() if number}
            return lines, sums, reader.verify()

        lines, sums, problems = await self.app.store.read(ask)
        asked = len(self._asked)
        return Look(lines, sums, problems, self._requests() - requests, asked, seconds)

    async def _orphans(self) -> int:
        counts = await self.app.store.read(lambda each: each.counts(self.workspace.id))
        return counts.orphans

    async def _until_settled(self) -> None:
        enrichment = self.app.enrichment
        while not await enrichment.settled(self.workspace.id) or await self._orphans():
            await self._clock.sleep(_LOOK_AGAIN_S)


async def one_look(root: Path, database: Path) -> Look:
    """With a server that is started for it."""
    keeper = Keeper(root, database, lasting=False)
    await keeper.open()
    try:
        return await keeper.look()
    finally:
        await keeper.close()


async def fresh_look(root: Path, folder: Path) -> Look:
    """A graph that was made of nothing."""
    forget(folder / "fresh.db")
    return await one_look(root, folder / "fresh.db")


def forget(database: Path) -> None:
    """Delete a database that nobody has open."""
    for file in database.parent.glob(f"{database.name}*"):
        file.unlink()
