"""Small laws: how a job ends, what makes two errors the same, sets of operations as integers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd_tracker.indexing_errors import fingerprint, kept
from enrichd_tracker.jobs import JobResult, conclude
from enrichd_tracker.model import (
    ErrorType,
    Failure,
    JobStatus,
    Operation,
    Stage,
    operation_mask,
    operations_of,
)

# what the run says, files in all, files indexed, how the job ends
ENDS = [
    (JobStatus.COMPLETED, 0, 0, JobStatus.COMPLETED),  # an empty folder is no failure
    (JobStatus.COMPLETED, 3, 3, JobStatus.COMPLETED),
    (JobStatus.COMPLETED, 3, 1, JobStatus.COMPLETED),
    (JobStatus.COMPLETED, 3, 0, JobStatus.FAILED),  # nothing indexed is not complete
    (JobStatus.FAILED, 3, 3, JobStatus.FAILED),
    (JobStatus.CANCELLED, 3, 0, JobStatus.CANCELLED),
]


@pytest.mark.parametrize(("status", "total", "indexed", "end"), ENDS)
def test_a_job_is_never_completed_with_nothing_indexed(
    status: JobStatus, total: int, indexed: int, end: JobStatus
) -> None:
    result = conclude(JobResult(status, files_total=total, files_indexed=indexed))
    assert result.status is end
    if end is not status:
        assert result.error_message == "none of 3 files could be indexed"


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
