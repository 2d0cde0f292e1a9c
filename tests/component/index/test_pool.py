"""Parsing in worker processes, some of which die."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from enrichd.child import frame
from enrichd.errors import EnrichdError
from enrichd.file_stat import stat_of
from enrichd.index.parse import ParseRequest, parse_file
from enrichd.index.pool import WORKER, ParserPool
from enrichd_tracker.model import ErrorType, ParsedFile, ParseStatus

KILLING = (sys.executable, "-P", str(Path(__file__).with_name("killing_worker.py")))


def requests_for(root: Path, texts: dict[str, str]) -> list[ParseRequest]:
    for path, text in texts.items():
        (root / path).write_text(text)
    return [
        ParseRequest(str(root.resolve()), path, "python", path[:-3], 1_000_000, len(text))
        for path, text in texts.items()
    ]


def many(count: int) -> dict[str, str]:
    return {f"m{number}.py": f"def f{number}(): ...\n" for number in range(count)}


async def parsed(
    requests: Sequence[ParseRequest], *, processes: int = 2, command: Sequence[str] = WORKER
) -> dict[str, ParsedFile]:
    async with ParserPool(processes, command=command) as pool:
        return await all_of(pool, requests)


async def all_of(pool: ParserPool, requests: Sequence[ParseRequest]) -> dict[str, ParsedFile]:
    results: list[ParsedFile] = []
    async with aclosing(pool.parse(requests)) as batches:
        async for batch in batches:
            results += batch
    assert len(results) == len(requests), "every file has one result"
    return {file.path: file for file in results}


def children() -> set[str]:
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


async def test_every_file_gives_what_it_gives_without_a_pool(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, many(100))
    results = await parsed(requests)
    assert results == {request.path: parse_file(request) for request in requests}


async def test_no_files_need_no_worker(tmp_path: Path) -> None:
    assert await parsed([], command=["/no/such/program"]) == {}


async def test_a_pool_serves_run_after_run_with_the_same_workers(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, many(5))
    async with ParserPool(2) as pool:
        await all_of(pool, requests)
        workers = children()
        await all_of(pool, requests)
        assert children() == workers


async def test_a_few_files_start_one_worker_only(tmp_path: Path) -> None:
    before = children()
    async with ParserPool(2) as pool:
        await all_of(pool, requests_for(tmp_path, many(5)))
        assert len(children() - before) == 1
        await all_of(pool, requests_for(tmp_path, many(100)))
        assert len(children() - before) == 2


async def test_closing_leaves_no_process(tmp_path: Path) -> None:
    before = children()
    async with ParserPool(2) as pool:
        await all_of(pool, requests_for(tmp_path, many(100)))
    assert children() == before


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("segfault:", "was ended by SIGSEGV"),
        ("exit:", "ended with exit code 3"),
        ("spin:", "ran out of processor time"),
    ],
)
async def test_a_file_that_kills_its_worker_costs_itself_alone(
    text: str, reason: str, tmp_path: Path
) -> None:
    texts = many(80) | {"m7.py": text, "m60.py": text}
    requests = requests_for(tmp_path, texts)
    results = await parsed(requests, command=KILLING)
    for path, result in results.items():
        if path not in {"m7.py", "m60.py"}:
            assert result.status is ParseStatus.OK
            continue
        assert result.status is ParseStatus.ERROR
        assert result.failure is not None
        assert result.failure.type is ErrorType.UNEXPECTED
        assert reason in result.failure.message
        assert result.stat == stat_of(tmp_path / path), "it is left alone until it changes"


async def test_a_worker_that_is_killed_by_chance_is_not_the_files_fault(tmp_path: Path) -> None:
    results = await parsed(requests_for(tmp_path, many(50) | {"m9.py": "once:"}), command=KILLING)
    assert {result.status for result in results.values()} == {ParseStatus.OK}


async def test_a_worker_that_died_between_runs_is_replaced(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, many(5))
    before = children()
    async with ParserPool(1) as pool:
        await all_of(pool, requests)
        for worker in children() - before:
            os.kill(int(worker), 9)
        results = await all_of(pool, requests)
    assert {result.status for result in results.values()} == {ParseStatus.OK}


async def test_what_is_printed_in_a_worker_does_not_get_among_the_results(tmp_path: Path) -> None:
    results = await parsed(requests_for(tmp_path, many(3) | {"m1.py": "print:"}), command=KILLING)
    assert len(results) == 3


async def test_a_run_that_is_broken_off_leaves_the_pool_usable(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, many(300))
    async with ParserPool(2) as pool:
        async with aclosing(pool.parse(requests)) as batches:
            async for _ in batches:
                break
        assert len(await all_of(pool, requests)) == 300


async def test_cancelling_a_run_ends_its_workers(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, many(3) | {"m1.py": "wait:"})
    before = children()
    async with ParserPool(1, command=KILLING) as pool:
        run = asyncio.create_task(all_of(pool, requests), name="run")
        while not (children() - before):  # the run is under way
            await asyncio.to_thread(os.sched_yield)
        run.cancel()
        await asyncio.gather(run, return_exceptions=True)
    assert children() == before


async def test_a_reader_that_is_slow_holds_the_workers_back(tmp_path: Path) -> None:
    requests = requests_for(tmp_path, many(1_000))
    async with ParserPool(2) as pool, aclosing(pool.parse(requests)) as batches:
        first = await anext(batches)
        rest = [file async for batch in batches for file in batch]
    assert len(first) + len(rest) == 1_000


async def test_a_worker_that_does_not_start_is_an_error_with_a_hint(tmp_path: Path) -> None:
    broken = (sys.executable, "-c", "raise SystemExit(5)")
    with pytest.raises(EnrichdError, match="exit code 5 before it was ready") as error:
        await parsed(requests_for(tmp_path, many(2)), command=broken)
    assert "SystemExit" in (error.value.hint or "")


def test_a_worker_ends_when_its_parent_does() -> None:
    process = subprocess.Popen(WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin, process.stdout:
        assert process.stdout.read(4) == frame(b"")
        process.stdin.write(b"\0\0")  # the parent died in the middle of a frame
        process.stdin.close()
        assert process.stdout.read() == b""
    assert process.wait() == 0
