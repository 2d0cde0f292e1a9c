"""The daemon is killed at any instant, again and again: nothing is lost and nothing left behind.

ENRICHD_FAULT_ROUNDS   how many kills (200)
ENRICHD_FAULT_SEED     to see the same kills again; a failure tells it
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.faults.fork_server import ForkServer, fork_server
from tests.faults.soundness import (
    assert_nobody_is_left,
    assert_sound,
    difference,
    failures,
    graph,
    orphans,
    outcomes,
    remove_database,
)
from tests.figures import Reached
from tests.running import Daemon, Place, pygls_server, running, toml_list, wait_until, write_tree

ROUNDS = int(os.environ.get("ENRICHD_FAULT_ROUNDS", "200"))
SEED = int(os.environ.get("ENRICHD_FAULT_SEED", "0")) or random.SystemRandom().getrandbits(32)
FILES = 30
STARTS = 5
REFUSING_SERVER = Path(__file__).with_name("refusing_server.py")
MAX_ATTEMPTS = 12
SCHEDULE = f"""
[tracker]
initial_s = 0.1
max_s = 0.8
max_attempts = {MAX_ATTEMPTS}
[monitor]
interval_s = 0.5
"""


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


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with fork_server() as server:
        yield server


@pytest.fixture
def template(place: Place) -> Place:
    """A database where all is indexed and nothing enriched: there is work from the start."""
    folder = place.folder / "template"
    folder.mkdir()
    return Place(folder)


def fill(template: Place, root: Path) -> None:
    template.configure(root)
    assert template.run("index", root, "--no-enrich", "-q").code == 1


def begin_with(place: Place, template: Place) -> None:
    remove_database(place)
    place.take_database(template)


def more_than(known: int, place: Place) -> Callable[[], bool]:
    return lambda: outcomes(place) > known


def compare(place: Place, other: Place, root: Path, reached: Reached, *, more: str = "") -> None:
    """The graph is that of one undisturbed run over the files as they are at the end."""
    place.verify()
    other.configure(more=more)
    assert other.run("index", root, "-q").code == 0
    reached("edges that differ at the end", difference(graph(place), graph(other)), 0)


@pytest.mark.fault(9, "the daemon is killed at any instant, while files change")
def test_killed_at_any_instant_it_ends_with_the_graph_of_an_undisturbed_run(
    place: Place, other: Place, template: Place, server: ForkServer, reached: Reached
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    place.configure(root)
    fill(template, root)
    rounds, made, at_work = ROUNDS * 5 // 10, 0, 0
    for number in range(rounds):
        life_s = chance.uniform(0.02, 0.5)
        begin = chance.choice(["what was left"] * 4 + ["the template"] * 2 + ["nothing"])
        why = f"round {number} of seed {SEED}: killed after {life_s:.3f} s, begun with {begin}"
        if begin != "what was left":
            remove_database(place)
        if begin == "the template":
            begin_with(place, template)
        process = server.start(place, "run")
        time.sleep(life_s)  # the instant is drawn, not awaited
        assert process.kill() == -signal.SIGKILL, why
        assert_nobody_is_left(place, why)
        if assert_sound(place, why):
            made += 1
            at_work += orphans(place) > 0
        if chance.random() < 0.5:
            disturb(root, chance)
    assert made > rounds / 2, "most were killed before there was a database"
    assert at_work > rounds / 4, "most were killed when all was done"
    reached("databases that are not sound after it", 0, 0, times=rounds)
    with running(place) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until(
            "no job is left half done",
            lambda: all(job["status"] != "running" for job in daemon.status()["jobs"]),
        )
        assert daemon.terminate()[0] == 0
    compare(place, other, root, reached)


@pytest.mark.fault(9, "the daemon is killed with symbols in flight, and started again")
def test_what_was_in_flight_is_taken_up_again_at_once_and_what_was_committed_stays(
    place: Place, other: Place, template: Place, server: ForkServer, reached: Reached
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    place.configure(root)
    fill(template, root)
    rounds, lost, taken_up_s = ROUNDS // 10, 0, []
    begin_with(place, template)
    for number in range(rounds):
        why = f"round {number} of seed {SEED}"
        known = outcomes(place)
        began = time.monotonic()
        process = server.start(place, "run")
        wait_until("something was found out", more_than(known, place))
        taken_up_s.append(time.monotonic() - began)
        time.sleep(chance.uniform(0.0, 0.05))  # the instant is drawn, not awaited
        known = outcomes(place)
        process.kill()
        assert_nobody_is_left(place, why)
        assert assert_sound(place, why)
        lost += max(0, known - outcomes(place))
        if not orphans(place):
            begin_with(place, template)
    reached("committed outcomes that are gone", lost, 0, times=rounds)
    what = "from the start to the first outcome, Python's imports apart"
    reached(what, max(taken_up_s), 1.0, "s", times=rounds)
    ready_s = [ready_to_first_outcome_s(place, template) for _ in range(STARTS)]
    reached("from ready to the first outcome", max(ready_s), 1.0, "s", times=STARTS)
    with running(place) as daemon:
        daemon.wait_until_settled()
        assert daemon.terminate()[0] == 0
    compare(place, other, root, reached)


def ready_to_first_outcome_s(place: Place, template: Place) -> float:
    """With the command as it is installed."""
    begin_with(place, template)
    known = outcomes(place)
    with running(place) as daemon:
        daemon.wait_until(
            "it is ready", lambda: any(each["action"] == "serving" for each in daemon.lines())
        )
        ready_at = daemon.age_s
        daemon.wait_until("something was found out", more_than(known, place))
        return daemon.age_s - ready_at


@pytest.mark.fault(9, "the daemon is killed while symbols fail and wait")
def test_killed_while_symbols_fail_the_schedule_goes_on_where_it_was(
    place: Place, other: Place, template: Place, server: ForkServer, reached: Reached
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    refused = place.folder / "refused"
    refused.write_text("m1")
    more = "\n".join(
        [
            "[enrich.servers]",
            'python = "refusing"',
            "[[server]]",
            'name = "refusing"',
            'languages = ["python"]',
            f"command = {toml_list([sys.executable, REFUSING_SERVER, refused])}",
            SCHEDULE,
        ]
    )
    place.configure(root, more=more)
    fill(template, root)
    begin_with(place, template)
    rounds, too_early_s, retries = ROUNDS // 5, 0.0, 0
    seen = failures(place)
    for number in range(rounds):
        life_s = chance.uniform(0.1, 1.0)
        why = f"round {number} of seed {SEED}, killed after {life_s:.3f} s"
        process = server.start(place, "run")
        time.sleep(life_s)  # the instant is drawn, not awaited
        assert process.kill() == -signal.SIGKILL, why
        assert_nobody_is_left(place, why)
        assert_sound(place, why)
        now = failures(place)
        for uid, before in seen.items():
            after = now.get(uid)
            assert after is not None, f"{uid} is forgotten; {why}"
            assert before.attempts <= after.attempts <= MAX_ATTEMPTS, (uid, why)
            if after.attempts == before.attempts:
                assert after == before, why
            elif after.attempts == before.attempts + 1:
                assert before.next_retry_at is not None
                too_early_s = max(too_early_s, before.next_retry_at - after.last_attempt_at)
            retries += after.attempts - before.attempts
        seen = now
    assert retries > rounds, "hardly anything was tried again"
    reached("failures that are forgotten, or told twice", 0, 0, times=rounds)
    reached("a retry before its time, at most by", too_early_s, 0.001, "s", times=retries)
    refused.unlink()
    place.run("retry", "--all")
    with running(place) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until("nothing has failed", lambda: not failures(place))
        assert daemon.terminate()[0] == 0
    compare(place, other, root, reached, more=more)


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
        assert failures(place) == {}, f"seed {SEED}"
        assert daemon.terminate()[0] == 0
    place.verify()
    other.configure(more=server)
    assert other.run("index", root, "-q").code == 0
    assert place.export() == other.export(), f"seed {SEED}"


def server_pid(daemon: Daemon) -> int | None:
    found = [each["pid"] for each in daemon.status()["servers"]]
    return found[0] if found else None


@pytest.mark.fault(9, "`enrichd index` is killed at any instant")
def test_a_single_run_killed_at_any_instant_goes_on_with_the_next(
    place: Place, other: Place, server: ForkServer, reached: Reached
) -> None:
    chance = random.Random(SEED)
    root = write_everything(place.folder / "root", chance)
    place.configure()
    rounds, killed = ROUNDS // 5, 0
    for number in range(rounds):
        life_s = chance.uniform(0.01, 0.5)
        why = f"round {number} of seed {SEED}, killed after {life_s:.3f} s"
        process = server.start(place, "index", root, "-q")
        if process.ends_within(life_s):
            assert process.wait() == 0, why
            disturb(root, chance)
        else:
            killed += process.kill() == -signal.SIGKILL
        assert_nobody_is_left(place, why)
        assert_sound(place, why)
    reached("databases that are not sound after it", 0, 0, times=killed)
    assert place.run("index", root, "-q").code == 0
    compare(place, other, root, reached)
