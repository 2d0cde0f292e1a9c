"""Killed at every system call that writes the database: whatever was written is a sound database.

strace kills the process at the N-th such call, before it is done; N goes over all the calls of a
run, or evenly over as many as ENRICHD_FAULT_ROUNDS / 10 (200: 20 of each run).
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faults.fork_server import ForkServer, fork_server
from tests.faults.soundness import (
    assert_nobody_is_left,
    assert_sound,
    difference,
    graph,
    remove_database,
)
from tests.figures import Reached
from tests.running import DATABASE_SUFFIXES, Place, write_tree

ROUNDS = int(os.environ.get("ENRICHD_FAULT_ROUNDS", "200")) // 10
SEED = int(os.environ.get("ENRICHD_FAULT_SEED", "0")) or random.SystemRandom().getrandbits(32)
FILES = (*DATABASE_SUFFIXES, "-journal")
CALLS = (
    "write,pwrite64,writev,pwritev,pwritev2,ftruncate,fallocate,fsync,fdatasync,unlink,unlinkat,"
    "rename,renameat,renameat2"
)
BEFORE = {
    "base.py": "class Base:\n    def run(self): ...\n\ndef helper():\n    return Base()\n",
    "shop.py": (
        "from base import Base, helper\n\nclass Shop(Base):\n    def run(self):\n"
        "        return helper()\n\ndef main():\n    helper()\n    return Base()\n"
    ),
}
AFTER = {
    "base.py": "class Base:\n    def run(self, how): ...\n    def stop(self): ...\n\n"
    "def helper(how):\n    return Base().stop()\n",
    "new.py": "from shop import main\n\ndef new():\n    return main()\n",
}


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


class Traced:
    """`enrichd index` under strace, which sees of it what it does to the database's files."""

    def __init__(self, place: Place, root: Path, server: ForkServer) -> None:
        self._place = place
        self._root = root
        self._server = server
        self._trace = place.folder / "trace"

    def run(self, kill_at: int | None = None) -> tuple[int, int]:
        """Its exit code, and at how many calls it was stopped."""
        command = ["strace", "-f", "--detach-on=execve", "-qq", "-e", "signal=none"]
        command += ["-o", str(self._trace), "-e", f"trace={CALLS}"]
        database = self._place.database
        for suffix in FILES:
            command += ["-P", str(database.with_name(database.name + suffix))]
        if kill_at is not None:
            command += ["-e", f"inject={CALLS}:signal=KILL:when={kill_at}"]
        process = self._server.start(self._place, "index", self._root, "-q", traced=True)
        strace = subprocess.Popen(
            [*command, "-p", str(process.pid)], stderr=subprocess.PIPE, text=True
        )
        try:
            while not process.ends_within(0.05):
                if strace.poll() is not None:
                    break
            if strace.poll() and not process.ends_within(0):
                process.kill()
                pytest.skip(f"strace can't trace here: {(strace.communicate()[1] or '').strip()}")
            code = process.wait()
        finally:
            strace.communicate(timeout=10)
        return code, sum("(" in line for line in self._trace.read_text().splitlines())


@pytest.fixture
def template(place: Place) -> Place:
    folder = place.folder / "template"
    folder.mkdir()
    return Place(folder)


@pytest.mark.skipif(shutil.which("strace") is None, reason="strace is not installed")
@pytest.mark.parametrize(
    "edited",
    [
        pytest.param(
            False, marks=pytest.mark.fault(9, "killed at each write of a first run (strace)")
        ),
        pytest.param(
            True, marks=pytest.mark.fault(9, "killed at each write of a run after edits (strace)")
        ),
    ],
)
def test_killed_at_any_write_the_next_run_completes_it(
    place: Place, other: Place, template: Place, server: ForkServer, reached: Reached, edited: bool
) -> None:
    place.configure()
    root = write_tree(place.folder / "root", BEFORE)
    template.configure()
    if edited:
        assert server.start(template, "index", root, "-q").wait() == 0
        write_tree(root, AFTER)

    def begin() -> None:
        remove_database(place)
        place.take_database(template)

    other.configure()
    assert other.run("index", root, "-q").code == 0
    expected = graph(other)
    traced = Traced(place, root, server)
    begin()
    code, writes = traced.run()
    assert code == 0, place.log.read_text()
    chosen = evenly(writes, ROUNDS)
    killed = different = 0
    for number in chosen:
        why = f"seed {SEED}: killed at write {number} of {writes}"
        begin()
        code, _ = traced.run(number)
        if code == 0:
            continue  # it came to its end with fewer: batches are as large as they come together
        assert code == -signal.SIGKILL, why
        killed += 1
        assert_nobody_is_left(place, why)
        assert_sound(place, why)
        assert server.start(place, "index", root, "-q").wait() == 0, why
        assert_sound(place, why)
        different += difference(graph(place), expected)
    assert killed > 0.9 * len(chosen)
    what = f"kills at {killed} of {writes} writes"
    reached(f"{what}: databases that are not sound after it", 0, 0, times=killed)
    reached("edges that differ after the next run", different, 0, times=killed)


def evenly(total: int, wanted: int) -> list[int]:
    """All of 1 to ``total``, or so many of them, spread over all."""
    if wanted >= total:
        return list(range(1, total + 1))
    step = total / wanted
    start = random.Random(SEED).uniform(0, step)
    return [int(start + number * step) + 1 for number in range(wanted)]
