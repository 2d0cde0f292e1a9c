"""The database is damaged while nobody has it: what was committed before, or made anew from files.

ENRICHD_FAULT_ROUNDS   how many damages (200: 3 of each kind)
ENRICHD_FAULT_SEED     to see the same damage again; a failure tells it
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import pytest
from tests.faults.fork_server import Forked, ForkServer, fork_server
from tests.faults.soundness import assert_sound, difference, graph, is_whole
from tests.figures import Reached
from tests.running import Place, wait_until, write_tree

TIMES = max(int(os.environ.get("ENRICHD_FAULT_ROUNDS", "200")) // 60, 1)
SEED = int(os.environ.get("ENRICHD_FAULT_SEED", "0")) or random.SystemRandom().getrandbits(32)
PAGE = 4096
MOST_STARTS = 2
"""Damage that is met later ends the daemon once; the next start has looked at everything."""
TREE = {
    "base.py": "class Base:\n    def run(self): ...\n\ndef helper():\n    return Base()\n",
    **{
        f"m{number}.py": f"from base import Base, helper\n\nclass C{number}(Base):\n"
        f"    def run(self):\n        return helper()\n\ndef f{number}():\n"
        f"    C{number}().run()\n    return helper()\n"
        for number in range(20)
    },
}
Damage = Callable[[bytearray, random.Random], bytearray]


def torn(content: bytearray, chance: random.Random) -> bytearray:
    """Some of its end is missing."""
    return content[: chance.randrange(1, len(content))]


def half_written(content: bytearray, chance: random.Random) -> bytearray:
    """One half of a page was never written."""
    start = chance.randrange(len(content) // PAGE) * PAGE + chance.choice([0, PAGE // 2])
    content[start : start + PAGE // 2] = bytes(PAGE // 2)
    return content


def overwritten(content: bytearray, chance: random.Random) -> bytearray:
    """There is something else in the place of a page."""
    start = chance.randrange(len(content) // PAGE) * PAGE
    content[start : start + PAGE] = chance.randbytes(PAGE)
    return content


def replaced(content: bytearray, chance: random.Random) -> bytearray:
    """There is something else altogether."""
    return bytearray(chance.randbytes(len(content)))


def bit_of_a_head_flipped(content: bytearray, chance: random.Random) -> bytearray:
    """One bit of what says how a page is laid out."""
    start = chance.randrange(1, len(content) // PAGE) * PAGE
    content[start + chance.randrange(8)] ^= 1 << chance.randrange(8)
    return content


def flipped(content: bytearray, chance: random.Random) -> bytearray:
    """One bit is another."""
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return content


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


@pytest.fixture
def root(place: Place) -> Path:
    root = write_tree(place.folder / "root", TREE)
    place.configure(root)
    return root


def keep(place: Place, image: Path) -> dict[str, bytes]:
    """The files of a database as they are now."""
    image.mkdir()
    for suffix in ("", "-wal"):
        file = place.database.with_name(place.database.name + suffix)
        if file.exists():
            shutil.copy(file, image / file.name)
    return {file.name: file.read_bytes() for file in image.iterdir()}


@pytest.fixture
def closed(place: Place, root: Path, server: ForkServer) -> dict[str, bytes]:
    """What a daemon leaves that was told to stop."""
    assert server.start(place, "index", root, "-q").wait() == 0
    return keep(place, place.folder / "closed")


@pytest.fixture
def crashed(
    closed: dict[str, bytes], place: Place, root: Path, server: ForkServer
) -> dict[str, bytes]:
    """What one leaves that was killed: the newest is in the log only."""
    write_tree(root, {"new.py": TREE["m1.py"], "m2.py": TREE["m3.py"]})
    process = server.start(place, "run")
    wait_until("it is settled", lambda: is_whole(place, len(TREE) + 1))
    process.kill()
    kept = keep(place, place.folder / "crashed")
    assert len(kept["enrichd.db-wal"]) > 10 * PAGE
    return kept


class Life:
    """Starts of the daemon over a damaged database, until the graph is whole."""

    def __init__(self, place: Place, server: ForkServer, files: int) -> None:
        self._place = place
        self._server = server
        self._files = files
        self._said = ""

    def begin(self, files: Mapping[str, bytes | bytearray]) -> None:
        for old in self._place.folder.glob("enrichd.db*"):
            old.unlink()
        for name, content in files.items():
            (self._place.folder / name).write_bytes(content)
        self._said = ""

    def starts_until_whole(self, why: str) -> int:
        for number in range(1, MOST_STARTS + 3):
            self._place.log.write_text("")
            process = self._server.start(self._place, "run")
            wait_until("it is whole or over", partial(self._is_whole, process), 40, lambda: why)
            self._said += self._place.log.read_text()
            if not process.ends_within(0):
                os.kill(process.pid, signal.SIGTERM)
                assert process.wait() == 0, why
                return number
            process.wait()
        raise AssertionError(f"a crash loop: {why}")

    def _is_whole(self, process: Forked) -> bool:
        if process.ends_within(0.02):
            return True
        serves = '"serving"' in self._place.log.read_text()
        return serves and is_whole(self._place, self._files)

    @property
    def set_aside(self) -> bool:
        """Whether that is how it went, and whether that was said."""
        aside = [
            str(each)
            for each in self._place.folder.glob("enrichd.db.damaged-*")
            if not each.name.endswith(("-wal", "-shm"))
        ]
        lines = map(json.loads, self._said.splitlines())
        told = [each["set_aside"] for each in lines if each["action"] == "database_set_aside"]
        assert told == aside
        return bool(aside)


def suffer(
    damages: Sequence[Damage],
    name: str,
    files: dict[str, bytes],
    place: Place,
    server: ForkServer,
    reached: Reached,
    *,
    expected: bytes,
) -> int:
    """Damage one file in each of the ways; how often the database was set aside."""
    life = Life(place, server, number_of_files(place))
    chance = random.Random(SEED)
    most_starts = different = set_aside = 0
    times = TIMES * len(damages)
    for number in range(times):
        damage = damages[number % len(damages)]
        why = f"damage {number} of seed {SEED}: {name} is {damage.__name__}"
        life.begin(files | {name: damage(bytearray(files[name]), chance)})
        most_starts = max(most_starts, life.starts_until_whole(why))
        assert assert_sound(place, why)
        different += difference(graph(place), expected)
        set_aside += life.set_aside
    reached("starts until the graph is whole", most_starts, MOST_STARTS, times=times)
    reached("edges that differ", different, 0, times=times)
    return set_aside


def number_of_files(place: Place) -> int:
    return len(list((place.folder / "root").iterdir()))


OF_PAGES = [torn, half_written, overwritten, replaced, bit_of_a_head_flipped]
OF_FRAMES = [torn, half_written, overwritten, replaced, flipped]  # each frame has a checksum


@pytest.mark.fault(13, "the database of a daemon that was stopped: torn, pages, heads of pages")
def test_a_damaged_database_is_set_aside_and_made_again(
    place: Place, closed: dict[str, bytes], server: ForkServer, reached: Reached
) -> None:
    expected = graph(place)
    assert suffer(OF_PAGES, "enrichd.db", closed, place, server, reached, expected=expected)


@pytest.mark.fault(13, "the database of a daemon that was killed: torn, pages, heads of pages")
def test_a_damaged_database_beside_its_log_is_mended_by_it_or_made_again(
    place: Place, crashed: dict[str, bytes], server: ForkServer, reached: Reached
) -> None:
    expected = graph(place)
    assert suffer(OF_PAGES, "enrichd.db", crashed, place, server, reached, expected=expected)


@pytest.mark.fault(13, "the log of a daemon that was killed: torn, pages, bits")
def test_of_a_damaged_log_a_committed_prefix_counts(
    place: Place, crashed: dict[str, bytes], server: ForkServer, reached: Reached
) -> None:
    expected = graph(place)
    name = "enrichd.db-wal"
    given_up = suffer(OF_FRAMES, name, crashed, place, server, reached, expected=expected)
    reached("databases given up for it", given_up, 0, times=TIMES * len(OF_FRAMES))
