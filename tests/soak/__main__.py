"""`make soak MINUTES=60`: edits, kills and questions for an hour, then what that has left behind.

A daemon with a real language server keeps the graph of flask and of a small workspace beside it.
First it is killed again and again; then one daemon lives to the end, through edits, questions and
deaths of its language servers. Between rounds, when the trees are as they were at first and the
graph is current, its descriptors, threads and memory are sampled. Last come a quiet minute,
`enrichd verify`, and a comparison with an index made anew.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import quote

from tests import proc
from tests.edits.generator import draw_edit
from tests.edits.tree import Tree
from tests.repositories import FLASK
from tests.running import Daemon, Place, running, write_tree
from tests.soak.samples import BOUNDS, LEAST_SAMPLED_S, Sample, slope_per_h, take

KILLING_SHARE = 0.2
WARM_UP_SHARE = 0.25
"""Of the life of the last daemon."""
QUIET_S = 60.0
MOST_IDLE_CPU = 0.005
EDITS_A_ROUND = 6
PROVEN_REQUESTS = 150
SERVER_LIVES_S = 75.0  # five deaths in three minutes would open the breaker
_CURRENT_WITHIN_S = 180.0
_SMALL = {
    "base.py": "class Base:\n    def run(self):\n        return 1\n",
    "shop.py": "from base import Base\n\n\ndef main():\n    return Base().run()\n",
}
_QUESTIONS = (
    "/healthz",
    "/metrics",
    "/api/v1/status",
    "/api/v1/enrichment/failures",
    "/api/v1/symbols?limit=1000&q=" + quote("*"),
    "/api/v1/graph/callers?symbol=" + quote("Flask.route"),
    "/api/v1/graph/callees?symbol=" + quote("Flask.wsgi_app"),
    "/api/v1/graph/references?symbol=" + quote("flask.globals"),
    "/api/v1/graph/explain?symbol=" + quote("Flask.make_response"),
)


@dataclass
class Outcome:
    """What came of it; ``wrong`` holds everything that should not be."""

    minutes: float
    seed: int
    edits: int = 0
    questions: int = 0
    daemons_killed: int = 0
    servers_killed: int = 0
    samples: int = 0
    sampled_s: float = 0.0
    first: dict[str, float] = field(default_factory=dict)
    last: dict[str, float] = field(default_factory=dict)
    slopes_per_h: dict[str, float] = field(default_factory=dict)
    slopes_judged: bool = False
    idle_cpu: float = 0.0
    edges: int = 0
    wrong: list[str] = field(default_factory=list)


class Soak:
    """One run, in a folder of its own."""

    def __init__(self, folder: Path, minutes: float, seed: int, every_s: float) -> None:
        self._began = time.monotonic()
        self._until_s = minutes * 60.0 - QUIET_S
        self._every_s = every_s
        self._chance = random.Random(seed)
        self._place = Place(folder)
        self._trees = [
            Tree(FLASK.unpack(folder)),
            Tree(write_tree(folder / "small", _SMALL)),
        ]
        self._roots = [each.root for each in self._trees]
        self._place.configure(*self._roots)
        self._samples: list[Sample] = []
        self._asked: Counter[str] = Counter()
        """Requests of each workspace's server when it was killed last."""
        self._server_killed_at = 0.0
        self.outcome = Outcome(minutes, seed)

    @property
    def _age_s(self) -> float:
        return time.monotonic() - self._began

    def run(self) -> Outcome:
        """All of it; what fails on the way is raised."""
        while self._age_s < self._until_s * KILLING_SHARE:
            self._asked.clear()
            with running(self._place) as daemon:
                daemon.wait_until_up()
                self._disturb(daemon, lambda: self._chance.random() < 0.2)
                daemon.kill()
                self.outcome.daemons_killed += 1
        self._asked.clear()
        with running(self._place) as daemon:
            self._until_current(daemon)
            born_s = self._age_s
            self._say("the last daemon is up")
            while self._age_s < self._until_s:
                self._round(daemon)
            self._judge(born_s)
            self._watch_quietly(daemon)
            if daemon.terminate()[0] != 0:
                self.outcome.wrong.append(f"the daemon ended badly: {daemon.tail()}")
        self._compare()
        return self.outcome

    def _round(self, daemon: Daemon) -> None:
        """Some disturbance, then everything put back, then a sample."""
        ends_s = self._age_s + self._every_s
        self._disturb(daemon, lambda: self._age_s > ends_s)
        for tree in self._trees:
            tree.put_back()
        self._until_current(daemon)
        self._samples.append(take(daemon.pid, self._age_s))
        self._say(f"{self._samples[-1]}")

    def _disturb(self, daemon: Daemon, is_enough: Callable[[], bool]) -> None:
        while True:
            for _ in range(self._chance.randrange(1, EDITS_A_ROUND)):
                self._edit()
            for path in self._chance.sample(_QUESTIONS, 3):
                code, body = daemon.get(path)
                self.outcome.questions += 1
                if code >= 500:
                    self.outcome.wrong.append(f"{path}: {code} {body[:200]!r}")
            if self._age_s - self._server_killed_at > SERVER_LIVES_S:
                self._kill_a_server(daemon)
            if self._chance.random() < 0.5:
                self._until_current(daemon)
            if is_enough():
                return

    def _edit(self) -> None:
        self.outcome.edits += 1
        if self._chance.random() < 0.8:
            draw_edit(self._trees[0], self._chance)
            return
        number = self._chance.randrange(1_000)
        self._trees[1].write("extra.py", f"from shop import main\n\nx{number} = main()\n".encode())

    def _kill_a_server(self, daemon: Daemon) -> None:
        """One that has proved its health since it was killed: others rest longer each time."""
        proved = [
            each
            for each in daemon.status()["servers"]
            if each["pid"] and each["requests"] - self._asked[each["workspace"]] > PROVEN_REQUESTS
        ]
        if proved:
            server = self._chance.choice(proved)
            with suppress(ProcessLookupError):
                os.kill(server["pid"], signal.SIGKILL)
                self.outcome.servers_killed += 1
                self._server_killed_at = self._age_s
                self._asked[server["workspace"]] = server["requests"]

    def _until_current(self, daemon: Daemon) -> None:
        daemon.wait_until_up()
        daemon.wait_until(
            "the graph is current",
            lambda: json.loads(daemon.get("/api/v1/wait?timeout=15")[1])["current"],
            _CURRENT_WITHIN_S,
        )

    def _judge(self, born_s: float) -> None:
        outcome = self.outcome
        warm_s = born_s + (self._age_s - born_s) * WARM_UP_SHARE
        kept = [each for each in self._samples if each.at_s >= warm_s]
        if len(kept) < 2:
            outcome.wrong.append(f"only {len(kept)} samples were taken after the warm-up")
            return
        outcome.samples, outcome.sampled_s = len(kept), kept[-1].at_s - kept[0].at_s
        outcome.first, outcome.last = asdict(kept[0]), asdict(kept[-1])
        outcome.slopes_judged = outcome.sampled_s >= LEAST_SAMPLED_S
        for bound in BOUNDS:
            slope = outcome.slopes_per_h[bound.what] = slope_per_h(kept, bound.what)
            if outcome.slopes_judged and slope > bound.most_per_h:
                outcome.wrong.append(f"{bound.what} rise by {slope:.2f} {bound.unit} an hour")

    def _watch_quietly(self, daemon: Daemon) -> None:
        self._until_current(daemon)
        before, began = proc.cpu_s(daemon.pid), time.monotonic()
        time.sleep(QUIET_S)
        share = (proc.cpu_s(daemon.pid) - before) / (time.monotonic() - began)
        self.outcome.idle_cpu = share
        if share > MOST_IDLE_CPU:
            self.outcome.wrong.append(f"{share:.2%} of a core in a quiet minute")

    def _compare(self) -> None:
        said = self._place.run("verify", timeout_s=300)
        if (said.code, said.out) != (0, "clean\n"):
            self.outcome.wrong.append(f"verify: {said.out[:500]} {said.err[:500]}")
        folder = self._place.folder / "anew"
        folder.mkdir()
        anew = Place(folder)
        anew.configure()
        for root in self._roots:
            said = anew.run("index", root, "-q", timeout_s=300)
            if said.code != 0:
                self.outcome.wrong.append(f"an index made anew: {said}")
        ours, theirs = (self._edges(each) for each in (self._place, anew))
        self.outcome.edges = ours.total()
        for what, lines in (("missing", theirs - ours), ("not in a fresh index", ours - theirs)):
            if lines:
                some = b"; ".join(sorted(lines)[:3]).decode()
                self.outcome.wrong.append(f"{lines.total()} edges {what}: {some}")

    def _edges(self, place: Place) -> Counter[bytes]:
        found: Counter[bytes] = Counter()
        for root in self._roots:
            file = place.folder / "export.jsonl"
            said = place.run("export", "-q", "-w", root.name, "-o", file)
            if said.code != 0:
                self.outcome.wrong.append(f"export: {said}")
            found.update(
                root.name.encode() + b" " + line for line in file.read_bytes().splitlines()
            )
        return found

    def _say(self, text: str) -> None:
        print(f"{self._age_s:7.0f} s  {text}", file=sys.stderr, flush=True)


def table(outcome: Outcome) -> str:
    """For people."""
    lines = [
        f"{outcome.minutes:g} minutes, seed {outcome.seed}; {outcome.edges:,} edges at the end",
        f"edits {outcome.edits}, questions {outcome.questions}",
        f"killed: {outcome.servers_killed} language servers, {outcome.daemons_killed} daemons",
        f"{outcome.samples} samples over {outcome.sampled_s / 60:.1f} minutes after the warm-up:",
    ]
    for bound in BOUNDS:
        if bound.what in outcome.slopes_per_h:
            first, last = outcome.first[bound.what], outcome.last[bound.what]
            slope = outcome.slopes_per_h[bound.what]
            lines.append(
                f"  {bound.what:12} {first:8.1f} -> {last:8.1f}, {slope:+.2f} {bound.unit} an hour "
                f"(at most {bound.most_per_h:g})"
            )
    if not outcome.slopes_judged:
        least = f"{LEAST_SAMPLED_S / 60:g}"
        lines.append(f"  shown, not judged: less than {least} minutes say nothing of an hour")
    lines.append(
        f"idle: {outcome.idle_cpu:.2%} of a core in a quiet minute (at most {MOST_IDLE_CPU:.1%})"
    )
    lines += [f"WRONG: {each}" for each in outcome.wrong] or ["nothing is wrong"]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=15.0, help="seconds between samples")
    parser.add_argument("--json", action="store_true", help="one line for programs")
    given = parser.parse_args()
    if given.minutes * 60 < 2 * QUIET_S:
        parser.error(f"--minutes: at least {2 * QUIET_S / 60:g}, one of which is quiet")
    with tempfile.TemporaryDirectory() as folder:
        outcome = Soak(Path(folder), given.minutes, given.seed, given.every).run()
    print(json.dumps(asdict(outcome)) if given.json else table(outcome))
    return bool(outcome.wrong)


if __name__ == "__main__":
    sys.exit(main())
