"""Jobs, errors and parse results over HTTP: filters, pages, and limits that are kept."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import aiohttp
import pytest
from tests.component.api.fake_daemon import FakeDaemon
from tests.component.api.test_routes import get, post

from enrichd_tracker.jobs import JobResult
from enrichd_tracker.model import ErrorType, Failure, JobStatus, Stage

ERRORS = "/api/v1/indexing/batch/errors/shop"


@pytest.fixture
async def broken(daemon: FakeDaemon) -> FakeDaemon:
    """A daemon whose workspace has 30 errors of two types, and a job that failed."""
    (workspace,) = await daemon.store.read(lambda reader: reader.workspaces())
    given_up = await daemon.store.read(lambda reader: reader.failures(skipped=True))
    await daemon.store.retry([each.symbol_id for each in given_up])  # which is an error, too
    problems = [
        (f"{kind.value}/m{n}.py", Failure(kind, Stage.PARSING, "x" * 900, "t" * 20_000))
        for kind, number in ((ErrorType.IO, 10), (ErrorType.CHUNKING, 20))
        for n in range(number)
    ]
    for path, failure in problems:
        await daemon.store.log_error(workspace.id, path, "python", failure)
    await daemon.store.begin_job("a" * 32, workspace.id, "full", owner="test")
    await daemon.store.report_stage("a" * 32, Stage.PARSING, 3, 4)
    end = JobResult(JobStatus.FAILED, "none of 4 files could be indexed", files_total=4)
    await daemon.store.end_job("a" * 32, end)
    return daemon


async def test_errors_come_in_pages(broken: FakeDaemon, unix: aiohttp.ClientSession) -> None:
    seen: list[str] = []
    for offset in (0, 20):
        status, page = await get(unix, ERRORS, limit="20", offset=str(offset))
        assert status == HTTPStatus.OK
        assert page["more"] is (offset == 0)
        seen += [each["file"] for each in page["errors"]]
    assert len(set(seen)) == len(seen) == 30
    status, page = await get(unix, ERRORS, error_type="io_error", path="io_error/*")
    assert len(page["errors"]) == 10
    [first, *_] = page["errors"]
    assert (len(first["message"]), len(first["traceback"])) == (500, 10_000)


async def test_the_summary_adds_up(broken: FakeDaemon, unix: aiohttp.ClientSession) -> None:
    status, summary = await get(unix, f"{ERRORS}/summary")
    assert status == HTTPStatus.OK
    assert summary["errors"] == 30
    assert {each["error_type"]: each["errors"] for each in summary["types"]} == {
        "io_error": 10,
        "chunking_error": 20,
    }


async def test_pages_by_place_follow_each_other(
    broken: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    _, first = await get(unix, ERRORS, limit="20")
    _, second = await get(unix, ERRORS, limit="20", before=first["next"])
    assert (len(second["errors"]), second["more"], second["next"]) == (10, False, None)
    assert len({each["id"] for each in first["errors"] + second["errors"]}) == 30


async def test_an_error_is_ignored_and_opened_again(
    broken: FakeDaemon, unix: aiohttp.ClientSession
) -> None:
    _, page = await get(unix, ERRORS, limit="1")
    [error] = page["errors"]
    route = f"{ERRORS}/{error['id']}"
    status, changed = await post(unix, route, {"status": "ignored"})
    assert (status, changed["error"]) == (HTTPStatus.OK, error | {"status": "ignored"})
    assert changed["schema_version"] == page["schema_version"]
    _, summary = await get(unix, f"{ERRORS}/summary")
    assert summary["errors"] == 29
    _, ignored = await get(unix, ERRORS, status="ignored")
    assert [each["id"] for each in ignored["errors"]] == [error["id"]]
    await post(unix, route, {"status": "open"})
    (workspace,) = await broken.known()
    kept = await broken.store.read(lambda reader: reader.runs.error_counts(workspace.id))
    assert sum(kept.values()) == 29, "its file was never indexed: that is over"
    for path, body, code, reason in (
        (f"{ERRORS}/999", {"status": "ignored"}, HTTPStatus.NOT_FOUND, "no error 999"),
        (route.replace("shop", "mill"), {"status": "ignored"}, HTTPStatus.NOT_FOUND, "mill"),
        (route, {"status": "resolved"}, HTTPStatus.UNPROCESSABLE_ENTITY, "status"),
        (f"{ERRORS}/x", {"status": "open"}, HTTPStatus.UNPROCESSABLE_ENTITY, "id"),
        (route, {}, HTTPStatus.UNPROCESSABLE_ENTITY, "status"),
    ):
        status, document = await post(unix, path, body)
        assert status == code
        assert reason in document["error"]["message"]


@pytest.mark.parametrize(
    "parameters",
    [
        {"limit": 0},
        {"limit": 1001},
        {"limit": "many"},
        {"offset": -1},
        {"before": "7"},
        {"error_type": "bad"},
        {"status": "shut"},
        {"since": "yesterday"},
        {"colour": "red"},
    ],
)
async def test_what_is_outside_the_limits_is_refused_with_the_reason(
    broken: FakeDaemon, unix: aiohttp.ClientSession, parameters: dict[str, Any]
) -> None:
    status, document = await get(unix, ERRORS, **parameters)
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert next(iter(parameters)) in document["error"]["message"]


async def test_jobs_are_listed_and_found(broken: FakeDaemon, unix: aiohttp.ClientSession) -> None:
    status, page = await get(unix, "/api/v1/index/status")
    assert status == HTTPStatus.OK
    [job] = page["jobs"]
    assert (job["status"], job["error_message"]) == ("failed", "none of 4 files could be indexed")
    status, one = await get(unix, f"/api/v1/index/status/{'a' * 32}")
    assert (status, one) == (HTTPStatus.OK, job)
    for unknown in ("b" * 32, "%25", "a%00", "..%2f.."):
        status, _ = await get(unix, f"/api/v1/index/status/{unknown}")
        assert status == HTTPStatus.NOT_FOUND
    status, metrics = await get(unix, "/api/v1/index/metrics/stages")
    [parsing] = metrics["stages"]
    assert (status, parsing["stage"], parsing["count"]) == (HTTPStatus.OK, "parsing", 1)


async def test_parse_results_are_found(broken: FakeDaemon, unix: aiohttp.ClientSession) -> None:
    status, page = await get(unix, "/api/v1/parse-results/shop", status="ok", limit="1")
    assert status == HTTPStatus.OK
    assert [each["file"] for each in page["files"]] == ["bill.py"]
    assert page["more"] is True
    status, _ = await get(unix, "/api/v1/parse-results/nowhere")
    assert status == HTTPStatus.NOT_FOUND
    status, document = await get(unix, "/api/v1/parse-results/shop", status="fine")
    assert status == HTTPStatus.UNPROCESSABLE_ENTITY
    assert "status" in document["error"]["message"]
