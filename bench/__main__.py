"""`python -m bench [NAME ...] [--repo PATH] [--json]`: run the benches and print a table."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path

from bench import idle, limit, symbols
from enrichd import logs

BENCHES = {"limit": limit.measure, "symbols": symbols.measure, "idle": idle.measure}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--repo", type=Path, default=Path(), help="the repository to measure on")
    parser.add_argument("--pairs", type=int, default=3, help="runs of each side; medians count")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if unknown := set(given.names) - BENCHES.keys():
        parser.error(f"there is no bench named {', '.join(sorted(unknown))}")
    logs.configure("error", "auto")
    rows = []
    for name in given.names or BENCHES:
        rows += BENCHES[name](given.repo.resolve(), given.pairs)
    if given.json:
        print(json.dumps([row.__dict__ for row in rows], indent=1))
        return 0
    print(f"{given.repo.resolve().name}; {platform.machine()}, Python {platform.python_version()}")
    for row in rows:
        bound = f"  (budget {row.budget:g})" if row.budget is not None else ""
        print(f"{row.bench:8} {row.what:58} {row.value:8.3f}{bound}  {row.note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
