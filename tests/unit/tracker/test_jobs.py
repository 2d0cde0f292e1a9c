"""Small laws: how a job ends, what makes two errors the same, sets of operations as integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd_tracker.indexing_errors import fingerprint, kept
from enrichd_tracker.jobs import Ground, JobKind, JobResult, conclude
from enrichd_tracker.model import (
    ErrorType,
    Failure,
    JobStatus,
    Operation,
    Stage,
    operation_mask,
    operations_of,
)

# what the run says, its kind, files in all, indexed, forgotten; how the job ends, what it says
ENDS = [
    ("completed", "full", 3, 3, 0, "completed", None),
    ("completed", "full", 3, 1, 0, "completed", None),
    ("completed", "full", 3, 0, 0, "failed", "none of 3 files could be indexed"),
    ("completed", "incremental", 3, 0, 2, "failed", "none of 3 files could be indexed"),
    ("completed", "full", 0, 0, 0, "failed", "there was no file to index"),
    ("completed", "batch", 0, 0, 0, "failed", "there was no file to index"),
    ("completed", "incremental", 0, 0, 0, "completed", "nothing had changed"),
    ("completed", "retry", 0, 0, 0, "completed", "nothing had changed"),
    ("completed", "incremental", 0, 0, 2, "completed", "2 files were forgotten"),
    ("completed", "full", 0, 0, 2, "completed", "2 files were forgotten"),  # none is left
    ("failed", "full", 3, 3, 0, "failed", "it ended without saying why"),
    ("running", "full", 3, 3, 0, "failed", "it ended without saying why"),  # of what died
    ("cancelled", "full", 3, 0, 0, "cancelled", "cancelled"),
]


@pytest.mark.parametrize(("status", "kind", "total", "indexed", "removed", "end", "message"), ENDS)
def test_a_job_ends_as_its_result_says(
    status: str, kind: str, total: int, indexed: int, removed: int, end: str, message: str | None
) -> None:
    result = JobResult(
        JobStatus(status),
        kind=kind,
        files_total=total,
        files_indexed=indexed,
        files_removed=removed,
    )
    found = conclude(result)
    assert (found.status, found.error_message) == (end, message)


def test_a_full_run_that_finds_all_done_by_one_that_was_killed_has_not_failed() -> None:
    result = JobResult(JobStatus.COMPLETED, kind=JobKind.FULL, files_unchanged=2)
    assert conclude(result).status is JobStatus.COMPLETED
    batch = JobResult(JobStatus.COMPLETED, kind=JobKind.BATCH, files_unchanged=2)
    assert conclude(batch).status is JobStatus.FAILED  # none of them is in its folder


def test_a_failed_result_fails_the_job_with_its_first_error_though_nothing_was_raised() -> None:
    result = JobResult(JobStatus.FAILED, files_total=3, files_indexed=2, first_error="a.py: boom")
    found = conclude(result, Ground(root="the folder is gone"))
    assert (found.status, found.error_message) == (JobStatus.FAILED, "a.py: boom")


@pytest.mark.parametrize(
    ("ground", "message"),
    [
        (Ground(database="no database", root="no root"), "no database"),
        (Ground(root="no root"), "no root"),
    ],
)
def test_a_job_fails_when_what_it_stands_on_is_gone(ground: Ground, message: str) -> None:
    found = conclude(JobResult(JobStatus.COMPLETED, files_total=3, files_indexed=3), ground)
    assert (found.status, found.error_message) == (JobStatus.FAILED, message)


messages = st.none() | st.text()
results = st.builds(
    JobResult,
    st.sampled_from(JobStatus),
    error_message=messages,
    kind=st.sampled_from(JobKind),
    files_total=st.integers(0, 5),
    files_indexed=st.integers(0, 5),
    files_failed=st.integers(0, 5),
    files_removed=st.integers(0, 2),
    files_unchanged=st.integers(0, 2),
    first_error=messages,
)


@given(results, st.builds(Ground, messages, messages))
def test_a_job_never_completes_with_nothing_indexed_and_no_message(
    result: JobResult, ground: Ground
) -> None:
    end = conclude(result, ground)
    assert end.status in {JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED}
    if end.status is JobStatus.COMPLETED:
        assert result.status is JobStatus.COMPLETED
        assert end.files_indexed or end.error_message
        assert end.files_indexed or not end.files_total
    else:
        assert end.error_message
    assert end.files_indexed == result.files_indexed
    assert conclude(end) == end


@given(st.sets(st.sampled_from(Operation)))
def test_a_set_of_operations_survives_being_an_integer(operations: set[Operation]) -> None:
    assert set(operations_of(operation_mask(frozenset(operations)))) == operations


errors = st.builds(
    Failure, st.sampled_from(ErrorType), st.sampled_from(Stage), st.sampled_from(["a", "b"])
)


@given(st.sampled_from(["x.py", "y.py"]), errors, st.sampled_from(["x.py", "y.py"]), errors)
def test_errors_are_the_same_when_file_type_and_message_are(
    path: str, one: Failure, other_path: str, other: Failure
) -> None:
    same = (path, one.type, one.message) == (other_path, other.type, other.message)
    assert (fingerprint(path, one) == fingerprint(other_path, other)) is same


@given(st.text(alphabet=st.characters(), max_size=50), st.integers(0, 20))
def test_any_text_can_be_kept(text: str, max_chars: int) -> None:
    kept(text + "\ud800\udcff", max_chars).encode()
    assert len(kept(text, max_chars)) <= max_chars
    fingerprint(text + "\ud800", Failure(ErrorType.IO, Stage.PARSING, text))
