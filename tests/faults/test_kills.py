"""The daemon is killed at any instant, again and again: nothing is lost and nothing left behind.

ENRICHD_FAULT_ROUNDS   how many kills (20)
ENRICHD_FAULT_SEED     to see the same kills again; a failure tells it
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from pathlib import Path

from tests.running import (
    ENRICHD,
    Daemon,
    Place,
    pygls_server,
    running,
    wait_until,
    write_tree,
)

ROUNDS = int(os.environ.get("ENRICHD_FAULT_ROUNDS", "20"))
SEED = int(os.environ.get("ENRICHD_FAULT_SEED", "0")) or random.SystemRandom().getrandbits(32)
FILES = 60


def module(number: int, chance: random.Random) -> str:
    """A module that uses others: classes with bases, calls, methods, attributes."""
    one, two = chance.randrange(FILES), chance.randrange(FILES)
    lines = [
        f"from m{one} import Base{one}, make{one}",
        f"import m{two}",
        "",
        "",
        f"class Base{number}:" if number % 3 else f"class Base{number}(m{two}.Base{two}):",
        f"    size = {chance.randrange(1000)}",
        "",
        "    def run(self):",
        "        return self.size + self.step()",
        "",
        "    def step(self):",
        f"        return m{two}.make{two}().size",
        "",
        "",
        f"def make{number}():",
        f"    return Base{number}()",
        "",
    ]
    for each in range(chance.randrange(3, 9)):
        lines += [
            "",
            f"def use{each}(thing: Base{one}):",
            f"    other = make{one}()",
            "    thing.run()",
            f"    return other.step() + m{two}.make{two}().run()",
            "",
        ]
    return "\n".join(lines)


def write_everything(root: Path, chance: random.Random) -> Path:
    return write_tree(root, {f"m{number}.py": module(number, chance) for number in range(FILES)})


def disturb(root: Path, chance: random.Random) -> None:
    """Change, remove and add a few files."""
    for _ in range(chance.randrange(1, 8)):
        number = chance.randrange(FILES)
        path = root / f"m{number}.py"
        if path.exists() and chance.random() < 0.2:
            path.unlink()
        else:
            path.write_text(module(number, chance))


def assert_nobody_is_left(place: Place, why: str) -> None:
    wait_until("no process is left", lambda: not place.processes(), 1.0, lambda: why)


def assert_sound(place: Place, why: str) -> None:
    """Whatever the instant was: the database is sound, and no edge is there twice."""
    if not place.database.exists():
        return  # killed before it was made
    said = place.run("verify")
    made = sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)
    try:
        version = made.execute("PRAGMA user_version").fetchone()[0]
    finally:
        made.close()
    if version == 0:
        return  # killed while it was made
    assert (said.code, said.out) == (0, "clean\n"), (why, said)


def assert_no_edge_twice(place: Place, export: bytes) -> None:
    twice = [line for line, number in Counter(export.splitlines()).items() if number > 1]
    assert twice == []
    assert all(json.loads(line)["target"]["uid"] for line in export.splitlines())


def test_killed_at_any_instant_it_ends_with_the_graph_of_an_undisturbed_run(
    place: Place, other: Place
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    place.configure(root)
    kept = 0
    for number in range(ROUNDS):
        life_s = chance.uniform(0.05, 3.0)
        why = f"round {number} of seed {SEED}, killed after {life_s:.3f} s"
        with running(place) as daemon:
            time.sleep(life_s)
            assert daemon.process.poll() is None, (why, daemon.tail())
            daemon.kill()
            assert_nobody_is_left(place, why)
        assert_sound(place, why)
        if chance.random() < 0.5:
            disturb(root, chance)
        kept += place.database.exists()
    assert kept, "it never came far enough to make a database"
    with running(place) as daemon:
        began = time.monotonic()
        daemon.wait_until_up()
        daemon.wait_until_settled()
        daemon.wait_until(
            "no job is left half done",
            lambda: all(job["status"] != "running" for job in daemon.status()["jobs"]),
        )
        assert time.monotonic() - began < 30
        assert daemon.terminate()[0] == 0
    place.verify()
    other.configure()
    assert other.run("index", root, "-q").code == 0
    export = place.export()
    assert_no_edge_twice(place, export)
    assert export == other.export(), f"seed {SEED}"


def test_killed_while_symbols_fail_the_schedule_goes_on_where_it_was(
    place: Place, other: Place
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    live = place.folder / "live"
    live.write_text(json.dumps({"fail_with": -32803, "only": "m1"}))
    server = pygls_server(live=str(live)) + (
        "\n[tracker]\ninitial_s = 0.5\nmax_attempts = 4\n[monitor]\ninterval_s = 0.5\n"
    )
    place.configure(root, more=server)
    seen: dict[str, int] = {}
    for number in range(max(ROUNDS // 4, 3)):
        life_s = chance.uniform(1.0, 4.0)
        why = f"round {number} of seed {SEED}, killed after {life_s:.3f} s"
        with running(place) as daemon:
            time.sleep(life_s)
            assert daemon.process.poll() is None, (why, daemon.tail())
            daemon.kill()
            assert_nobody_is_left(place, why)
        assert_sound(place, why)
        attempts = failed_attempts(place)
        for uid, number_of_attempts in seen.items():  # nothing is forgotten or told twice
            assert number_of_attempts <= attempts.get(uid, 0) <= 4, (uid, why)
        seen = attempts
    live.write_text(json.dumps({"fail_with": None}))
    place.run("retry", "--all")
    with running(place) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until("nothing has failed", lambda: not failed_attempts(place))
        assert daemon.terminate()[0] == 0
    place.verify()
    other.configure(more=server)
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export(), f"seed {SEED}"


def failed_attempts(place: Place) -> dict[str, int]:
    if not place.database.exists():
        return {}
    said = place.run("failures", "--limit", "1000", "--json")
    return {each["uid"]: each["attempts"] for each in said.json["failures"]} if said.out else {}


def test_servers_killed_at_any_instant_cost_no_edge_and_nobody_is_charged(
    place: Place, other: Place
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    server = pygls_server(delay_s=0.002)
    place.configure(root, more=server)
    with running(place) as daemon:
        daemon.wait_until_up()
        for _ in range(3):  # the fifth death in three minutes opens the breaker
            daemon.wait_until("a server runs", lambda: server_pid(daemon) is not None)
            time.sleep(chance.uniform(0.1, 1.0))
            if (pid := server_pid(daemon)) is not None:
                os.kill(pid, signal.SIGKILL)
                daemon.wait_until("its end was seen", lambda: server_pid(daemon) != pid)
        daemon.wait_until_settled(timeout_s=90)
        assert failed_attempts(place) == {}, f"seed {SEED}"
        assert daemon.terminate()[0] == 0
    place.verify()
    other.configure(more=server)
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export(), f"seed {SEED}"


def server_pid(daemon: Daemon) -> int | None:
    found = [each["pid"] for each in daemon.status()["servers"]]
    return found[0] if found else None


def test_a_single_run_killed_at_any_instant_goes_on_with_the_next(
    place: Place, other: Place
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    place.configure()
    for number in range(max(ROUNDS // 2, 5)):
        life_s = chance.uniform(0.2, 1.6)
        why = f"round {number} of seed {SEED}, killed after {life_s:.3f} s"
        process = subprocess.Popen(
            [ENRICHD, "index", root, "-q", "--config", place.config],
            env=place.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            process.wait(life_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
        else:
            disturb(root, chance)
        assert_nobody_is_left(place, why)
        assert_sound(place, why)
    assert place.run("index", root, "-q").code == 0
    place.verify()
    other.configure()
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export(), f"seed {SEED}"
