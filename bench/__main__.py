"""Measures enrichd, prints a table, and says which budgets are kept.

Every figure that is a ratio comes of two things that were run in turn in one go. What the benches
need is fetched or installed into .enrichd/ when it is first asked for; what can't be had is said
in its row, and counted as not run.
"""

from __future__ import annotations

import argparse
import compileall
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.repositories import CannotFetch

from bench import (
    edit,
    idle,
    limit,
    machine,
    peers,
    query,
    results,
    scale,
    symbols,
    tick,
    write,
)
from bench.figures import Figure, Task, Verdict
from enrichd import heap, logs
from enrichd.clock import SystemClock

SCHEMA_VERSION = 1
BENCHES: dict[str, Callable[[Task], list[Figure]]] = {
    "limit": limit.measure,
    "peers": peers.measure,
    "symbols": symbols.measure,
    "tick": tick.measure,
    "edit": edit.measure,
    "idle": idle.measure,
    "query": query.measure,
    "write": write.measure,
    "scale": scale.measure,
}
_EXAMPLES = """\
examples:
  python -m bench                      everything: some 20 minutes on two quiet cores
  python -m bench tick query           only these
  python -m bench symbols --pairs 5    each side of it five times
  python -m bench --write              everything, kept in bench/RESULTS.md
  python -m bench idle --json          for programs

exit codes: 0 all budgets that were measured are kept, 1 one is not, 64 usage
"""
_USAGE = 64


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benches that are named, or all of them."""
    started = time.monotonic()
    given = _arguments(arguments)
    logs.configure("error", "console", SystemClock().monotonic)
    heap.share()  # as `enrichd index` does, which runs in this process here
    heap.keep()
    told = machine.describe()
    _compile()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.0f} s  {text}", file=sys.stderr, flush=True)

    task = Task(given.pairs, say)
    figures: list[Figure] = []
    for name in given.names or BENCHES:
        figures += _run(name, task)
    took_s = time.monotonic() - started
    if given.write:
        results.RESULTS.write_text(results.markdown(figures, told, took_s))
        say(f"kept in {results.RESULTS}")
    if given.json:
        document = {
            "schema_version": SCHEMA_VERSION,
            "machine": told,
            "took_s": round(took_s, 1),
            "figures": [each.document() for each in figures],
        }
        print(json.dumps(document, indent=1))
    else:
        for what, value in told.items():
            print(f"{what}: {value}")
        print(f"took: {took_s / 60:.1f} minutes\n\n{results.table(figures)}")
    return int(any(each.verdict is Verdict.OVER for each in figures))


def _compile() -> None:
    """As pip does with what it installs: it takes time at each start where nothing keeps it."""
    for name in ("daemon", "tracker"):
        compileall.compile_dir(Path(__file__).parents[1] / name, quiet=2)


def _run(name: str, task: Task) -> list[Figure]:
    """One bench; what ends it before its end is its only figure, and the others go on."""
    task.say(name)
    try:
        return BENCHES[name](task)
    except CannotFetch as reason:
        return [Figure(name, "all of it", None, note=str(reason))]
    except Exception as error:
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return [Figure(name, "all of it", None, note=f"it ended with {text[:300]}")]


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=__doc__,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--pairs", type=int, metavar="N", help="how often to run each side")
    parser.add_argument("--json", action="store_true", help="a document in place of the table")
    parser.add_argument("--write", action="store_true", help="keep the table in bench/RESULTS.md")
    given = parser.parse_args(arguments)
    unknown = [name for name in given.names if name not in BENCHES]
    problem = ""
    if unknown:
        problem = f"there is no bench {', '.join(unknown)}; there are: {', '.join(BENCHES)}"
    elif given.pairs is not None and given.pairs < 1:
        problem = f"--pairs must be at least 1, not {given.pairs}"
    elif given.write and given.names:
        problem = "--write keeps the figures of all benches: it goes without names"
    if problem:
        parser.print_usage(sys.stderr)
        print(f"{parser.prog}: {problem}", file=sys.stderr)
        sys.exit(_USAGE)
    return given


if __name__ == "__main__":
    sys.exit(main())
