"""What must hold of a database whoever was killed over it, and of the graph at the end."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from contextlib import closing

from tests.running import DATABASE_SUFFIXES, Place, wait_until

from enrichd.query.export import jsonl
from enrichd_tracker.enrichment import FailureRecord
from enrichd_tracker.errors import StorageError
from enrichd_tracker.model import JobStatus
from enrichd_tracker.store.lock import holder
from enrichd_tracker.store.reading import reading


def remove_database(place: Place) -> None:
    """Begin from nothing."""
    for suffix in DATABASE_SUFFIXES:
        place.database.with_name(place.database.name + suffix).unlink(missing_ok=True)


def is_made(place: Place) -> bool:
    """Whether there is a database with its schema: none, if it was killed before it had one."""
    if not place.database.exists():
        return False
    with closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)) as database:
        return bool(database.execute("PRAGMA user_version").fetchone()[0])


def assert_sound(place: Place, why: str) -> bool:
    """The file is whole and what it holds is as it must be; False: it is not made yet."""
    if not place.database.exists():
        return False
    with closing(sqlite3.connect(f"file:{place.database}?mode=ro", uri=True)) as database:
        found = database.execute("PRAGMA integrity_check").fetchall()
        assert found == [("ok",)], (why, found)
        if database.execute("PRAGMA user_version").fetchone()[0] == 0:
            tables = database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
            assert tables == 0, f"{why}: half a schema"
            return False
    with reading(place.database) as reader:
        assert reader.verify() == [], why
    return True


def assert_nobody_is_left(place: Place, why: str) -> None:
    """What it started has ended with it, also what was only just begun and shares its lock."""

    def nobody() -> bool:
        return not place.processes() and holder(place.database) is None

    wait_until("no process is left", nobody, 1.0, lambda: why)


def outcomes(place: Place) -> int:
    """How many outcomes are committed, of all workspaces."""
    with reading(place.database) as reader:
        counts = [reader.counts(each.id) for each in reader.workspaces()]
    return sum(sum(each.outcomes.values()) for each in counts)


def orphans(place: Place) -> int:
    """How many symbols lack an outcome."""
    with reading(place.database) as reader:
        return sum(reader.counts(each.id).orphans for each in reader.workspaces())


def is_whole(place: Place, files: int) -> bool:
    """Whether so many files are indexed and every symbol has its outcome."""
    try:
        with reading(place.database) as reader:
            counts = [reader.counts(each.id) for each in reader.workspaces()]
            jobs = reader.runs.jobs()
    except StorageError:
        return False  # there is none just now, or not yet
    return (
        [each.files for each in counts] == [files]
        and all(each.indexed_at is not None and not each.orphans for each in counts)
        and all(job.status is not JobStatus.RUNNING for job in jobs)
    )


def failures(place: Place) -> dict[str, FailureRecord]:
    """What is remembered of failed attempts, by symbol."""
    if not is_made(place):
        return {}
    with reading(place.database) as reader:
        return {each.uid: each for each in reader.failures()}


def graph(place: Place) -> bytes:
    """What `enrichd export` would write of the one workspace."""
    with reading(place.database) as reader:
        return b"".join(jsonl(reader, *reader.workspaces()))


def difference(one: bytes, other: bytes) -> int:
    """By how many lines two exports differ; no edge is there twice, none leads nowhere."""
    lines = Counter(one.splitlines())
    assert [line for line, number in lines.items() if number > 1] == []
    assert all(json.loads(line)["target"]["uid"] for line in lines)
    compared = Counter(other.splitlines())
    return ((lines - compared) + (compared - lines)).total()
