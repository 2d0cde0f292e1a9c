"""A house with a real index, a real store and a real worker process, but for the model."""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.integration.embed.wordy_worker import DIMENSIONS, GIVEN
from tests.running import Place

from enrichd.app import App, Servers
from enrichd.clock import SystemClock
from enrichd.config import Config
from enrichd.embed.model import FoundModel
from enrichd.embed.service import Embedding, EmbeddingResult
from enrichd.metrics import EmbeddingMetrics
from enrichd.settings import DaemonSettings
from enrichd_tracker.store.sqlite import SqliteStore

WORKER = Path(__file__).with_name("wordy_worker.py")


class House:
    """One workspace: written, indexed, embedded."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.root = place.folder / "shop"
        self.root.mkdir()
        self.weights = "one"
        self.reports: list[tuple[int, int, str]] = []
        self.breaks_off: BaseException | None = None
        """What comes in between when something was embedded."""
        self.registry = CollectorRegistry()
        self._metrics = EmbeddingMetrics(self.registry)
        place.configure()

    def write(self, name: str, text: str) -> None:
        file = self.root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    async def index(self) -> None:
        config = Config(daemon=DaemonSettings(database=self.place.database))
        app = await App.open(config, SystemClock(), Servers.NEVER)
        try:
            workspace = await app.workspaces.register(self.root, "shop")
            app.indexing.adopt(workspace)
            await app.indexing.index(workspace)
        finally:
            await app.close()

    def write_model(self) -> Path:
        """What a model's folder has to hold, as far as anybody but the worker looks at it."""
        model = self.place.folder / "model"
        model.mkdir(exist_ok=True)
        shape = {
            "model_type": "bert",
            "hidden_size": DIMENSIONS,
            "num_attention_heads": 1,
            "num_hidden_layers": 1,
            "max_position_embeddings": 1,
        }
        (model / "config.json").write_text(json.dumps(shape))
        (model / "tokenizer.json").write_text("{}")
        (model / "model.safetensors").write_text(self.weights)
        return model

    def stage(
        self, store: SqliteStore, *, command: Sequence[str] | None = None, write_model: bool = True
    ) -> Embedding:
        """The stage over a store, with the worker that needs no model."""
        model = self.write_model() if write_model else self.place.folder / "model"
        return Embedding(
            store=store,
            clock=SystemClock(),
            metrics=self._metrics,
            found=FoundModel(str(model), model),
            command=command or (sys.executable, str(WORKER), str(self.place.folder)),
        )

    async def embed(
        self, *, command: Sequence[str] | None = None, write_model: bool = True
    ) -> EmbeddingResult:
        """One run of the stage."""
        store = await SqliteStore.open(self.place.database, SystemClock())
        embedding = self.stage(store, command=command, write_model=write_model)
        try:
            (workspace,) = await store.read(lambda reader: reader.workspaces())
            return await embedding.run(workspace, self._report)
        finally:
            await embedding.close()
            await store.close()

    async def _report(self, done: int, total: int, file: str) -> None:
        self.reports.append((done, total, file))
        if done and self.breaks_off is not None:
            raise self.breaks_off

    def given(self) -> list[str]:
        """The names of what the worker embedded since the last look; the first line of each."""
        file = self.place.folder / GIVEN
        texts = file.read_text().split("\0")[:-1] if file.exists() else []
        file.unlink(missing_ok=True)
        return sorted(text.splitlines()[0] for text in texts)

    def workers(self) -> list[str]:
        """Command lines of the house's workers that live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with suppress(OSError):
                found.append(path.read_bytes().replace(b"\0", b" ").decode())
        mine = f"{WORKER} {self.place.folder}"
        return [each for each in found if mine in each]

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """A look at the database itself, nobody having it open."""
        with closing(sqlite3.connect(self.place.database)) as connection:
            return connection.execute(query).fetchall()

    def errors(self) -> list[tuple[str, str]]:
        """Path and message of what is open."""
        errors = self.place.ask("errors")["errors"]
        return [
            (each["file"], each["message"])
            for each in errors
            if each["error_type"] == "embedding_error"
        ]


@pytest.fixture
def house(place: Place) -> House:
    house = House(place)
    house.write("shop/__init__.py", "")
    house.write("shop/till.py", TILL)
    house.write("shop/stock.py", STOCK)
    return house


TILL = '''"""Where one pays."""


class Till:
    """Takes money."""

    def take(self, sum: int) -> None:
        """Take a sum of money."""
        self.sum += sum

    def count(self) -> int:
        """How much there is."""
        return self.sum


def open_till() -> Till:
    """Open it in the morning."""
    return Till()
'''
STOCK = '''"""What there is to sell."""

LIMIT = 3


def order(name: str) -> None:
    """Order more of it."""


def discard(name: str) -> None:
    """Throw away what is spoilt."""
'''
