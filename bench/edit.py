"""From a save until the graph is right, beside what the server alone needs for it.

A daemon of this process follows edits of a tree. What it tells its server and asks it is recorded,
step by step; then a bare client makes the same edits and says the same to a server of its own.
"""

from __future__ import annotations

import asyncio
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.repositories import DJANGO, FLASK, Sdist
from tests.running import DATABASE_SUFFIXES

from bench import once
from bench.bare import BareClient
from bench.figures import Figure, Task
from bench.indexed import indexed
from bench.limit import PROFILE
from bench.processes import Failed
from bench.recording import Message, recorded
from bench.trees import scratch, unpacked
from enrichd.app import App
from enrichd.clock import SystemClock

_ROUNDS = 5
_PATIENCE_S = 240.0
_BUDGET_S = 1.0


@dataclass(frozen=True)
class _Subject:
    """A function of a tree that many use, and how it is changed."""

    called: str
    sdist: Sdist
    path: str
    head: str
    """The line that it begins with, up to its last parameter."""
    module: str
    name: str
    budget_s: float | None
    kinds: tuple[str, ...] = ("body", "signature", "new file")


_SUBJECTS = (
    _Subject(
        "flask",
        FLASK,
        "src/flask/helpers.py",
        "def get_root_path(import_name: str",
        "flask.helpers",
        "get_root_path",
        None,
    ),
    _Subject(
        "django",
        DJANGO,
        "django/contrib/admin/utils.py",
        "def quote(s",
        "django.contrib.admin.utils",
        "quote",
        _BUDGET_S,
    ),
    _Subject(
        "django's force_str",
        DJANGO,
        "django/utils/encoding.py",
        'def force_str(s, encoding="utf-8", strings_only=False, errors="strict"',
        "django.utils.encoding",
        "force_str",
        _BUDGET_S,
        ("signature",),
    ),
)


@dataclass(frozen=True)
class _Edit:
    kind: str
    path: str
    content: bytes


def _edits(root: Path, subject: _Subject, rounds: int) -> list[_Edit]:
    """One kind after the other, so that none takes back another; the first of each warms up."""
    first = (root / subject.path).read_text()
    assert subject.head in first, f"{subject.path} is not as it was"
    head, line, rest = first.partition(subject.head)
    end = rest.index("\n") + 1
    folder = Path(subject.path).parent
    uses = f"from {subject.module} import {subject.name}\n\n\ndef fresh():\n"
    bodies, signatures, files = [], [], []
    for number in range(rounds + 1):
        body = f"{line}{rest[:end]}    str({number}).strip()\n{rest[end:]}"
        bodies.append(_Edit("body", subject.path, (head + body).encode()))
        signature = f"{line}, added_{number}: int = 0{rest}"
        signatures.append(_Edit("signature", subject.path, (head + signature).encode()))
        text = f"{uses}    return {subject.name}(str({number}))\n"
        files.append(_Edit("new file", f"{folder}/bench_fresh_{number}.py", text.encode()))
    return [edit for edit in (*bodies, *signatures, *files) if edit.kind in subject.kinds]


def measure(task: Task) -> list[Figure]:
    """Seconds of each kind of edit, in a small repository and in a large one."""
    figures = []
    for subject in _SUBJECTS:
        try:
            figures += _measure(subject, task)
        except Failed as reason:
            what = f"{subject.called}: save to graph right"
            figures.append(
                Figure("edit", what, None, "s", budget=subject.budget_s, note=str(reason))
            )
    return figures


def _measure(subject: _Subject, task: Task) -> list[Figure]:
    name = subject.sdist.name.lower()
    task.say(f"edit: the graph of {name} to begin with")
    start = indexed(subject.sdist)
    root = unpacked(subject.sdist)
    edits = _edits(root, subject, task.rounds(_ROUNDS))
    task.say(f"edit: {len(edits)} edits of {name}")
    before = (root / subject.path).read_bytes()
    try:
        ours, said = asyncio.run(_followed(root, start.place.database, edits))
        _put_back(root, subject, before, edits)
        task.say(f"edit: the same for {name}'s bare server")
        bare = asyncio.run(_bare(root, edits, said))
    finally:
        _put_back(root, subject, before, edits)
    figures = []
    for kind in dict.fromkeys(edit.kind for edit in edits):
        places = [place for place, edit in enumerate(edits) if edit.kind == kind][1:]
        whole, server = ([each[place] for place in places] for each in (ours, bare))
        beyond = [one - other for one, other in zip(whole, server, strict=True)]
        asked = statistics.median(len(said[place + 1]) for place in places)
        figures.append(
            Figure(
                "edit",
                f"{subject.called}: {kind}, save to graph right, beyond the server's own time",
                statistics.median(beyond),
                "s",
                budget=subject.budget_s,
                note=f"{statistics.median(whole):.3f} s, of which the server "
                f"{statistics.median(server):.3f} s; {asked:.0f} messages; "
                f"{len(places)} edits, at most {max(beyond):.3f} s",
            )
        )
    return figures


def _put_back(root: Path, subject: _Subject, before: bytes, edits: list[_Edit]) -> None:
    (root / subject.path).write_bytes(before)
    for edit in edits:
        if edit.path != subject.path:
            (root / edit.path).unlink(missing_ok=True)


async def _followed(
    root: Path, database: Path, edits: list[_Edit]
) -> tuple[list[float], list[list[Message]]]:
    """Seconds of each edit, and what was said: first until it was up, then for each edit."""
    own = Path(tempfile.mkdtemp(dir=scratch())) / "graph.db"
    for suffix in DATABASE_SUFFIXES:
        file = database.with_name(database.name + suffix)
        if file.exists():
            shutil.copy(file, own.with_name(own.name + suffix))
    config = once.configuration(own, workspace=[{"name": root.name, "root": str(root)}])
    seconds: list[float] = []
    said: list[list[Message]] = []
    with recorded() as heard:
        app = await App.open(config, SystemClock())
        try:
            await app.serve()
            await _until_current(app)
            said.append(heard.copy())
            for edit in edits:
                heard.clear()
                started = time.perf_counter()
                _save(root, edit)
                await _until_current(app)
                seconds.append(time.perf_counter() - started)
                said.append(heard.copy())
        finally:
            await app.close()
    return seconds, said


async def _until_current(app: App) -> None:
    report = await app.waiting.wait(None, _PATIENCE_S)
    if not report.current:
        raise Failed(f"not current within {_PATIENCE_S:g} s: {'; '.join(report.problems)}")


async def _bare(root: Path, edits: list[_Edit], said: list[list[Message]]) -> list[float]:
    async with BareClient(PROFILE, root) as client:
        await client.play(said[0])
        seconds = []
        for edit, messages in zip(edits, said[1:], strict=True):
            _save(root, edit)
            seconds.append(await client.play(messages))
        return seconds


def _save(root: Path, edit: _Edit) -> None:
    (root / edit.path).write_bytes(edit.content)
