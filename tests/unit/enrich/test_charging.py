"""The table of who is charged, row by row."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol.types import ErrorCodes, LSPErrorCodes

from enrichd.enrich.charging import Verdict, judge
from enrichd.lsp.wire import Answered, Died, Ending, Refused, Reply, Target, TimedOut

THERE = [Target("file:///a.py", 1, 2)]
NOTHING: list[Target] = []

ROWS: list[tuple[Reply[list[Target]], bool, Verdict, str]] = [
    (Answered(THERE), True, Verdict.GOOD, ""),
    (Answered(THERE), False, Verdict.GOOD, ""),
    (Answered(NOTHING), True, Verdict.GOOD, ""),
    # an empty answer of a server that never answered its canary
    (Answered(NOTHING), False, Verdict.CHARGED, "unproved"),
    # error answers, also when every request gets one
    (Refused(ErrorCodes.InternalError, "no"), True, Verdict.CHARGED, "InternalError"),
    (Refused(ErrorCodes.InternalError, "no"), False, Verdict.CHARGED, "InternalError"),
    (Refused(LSPErrorCodes.RequestFailed, "no"), True, Verdict.CHARGED, "RequestFailed"),
    (Refused(ErrorCodes.ParseError, "no"), True, Verdict.CHARGED, "ParseError"),
    (Refused(ErrorCodes.ServerNotInitialized, ""), True, Verdict.CHARGED, "ServerNotInitialized"),
    (Refused(-1, "own"), True, Verdict.CHARGED, "another error"),
    # after its retries in place
    (Refused(LSPErrorCodes.ContentModified, ""), True, Verdict.NOBODY, "ContentModified"),
    (Refused(LSPErrorCodes.ServerCancelled, ""), False, Verdict.NOBODY, "ServerCancelled"),
    (Refused(LSPErrorCodes.RequestCancelled, ""), True, Verdict.NOBODY, "RequestCancelled"),
    # what can never change
    (Refused(ErrorCodes.InvalidParams, "no"), True, Verdict.DEFINITIVE, "InvalidParams"),
    (Refused(ErrorCodes.InvalidRequest, "no"), False, Verdict.DEFINITIVE, "InvalidRequest"),
    (Refused(ErrorCodes.MethodNotFound, ""), True, Verdict.DROP_OPERATION, "MethodNotFound"),
    # a time-out while others are answered, a death
    (TimedOut(), True, Verdict.CHARGED, "timeout"),
    (Died("gone", Ending.CRASHED), True, Verdict.NOBODY, "server died"),
    (Died("gone", Ending.HUNG), True, Verdict.NOBODY, "server died"),
    (Died("gone", Ending.STOPPED), False, Verdict.NOBODY, "server died"),
]


@pytest.mark.parametrize(("reply", "proved", "verdict", "label"), ROWS)
def test_each_reply_is_charged_to_the_right_one(
    reply: Reply[list[Target]], proved: bool, verdict: Verdict, label: str
) -> None:
    judgement = judge(reply, proved=proved, timeout_s=25.0)
    assert (judgement.verdict, judgement.label) == (verdict, label)
    assert bool(judgement.reason) == (verdict is not Verdict.GOOD)


@given(st.integers(-(2**31), 2**31), st.text(max_size=50), st.booleans())
def test_an_error_never_becomes_good_and_labels_are_few(
    code: int, message: str, proved: bool
) -> None:
    judgement = judge(Refused(code, message), proved=proved, timeout_s=25.0)
    assert judgement.verdict is not Verdict.GOOD
    names = {each.name for each in (*ErrorCodes, *LSPErrorCodes)}
    assert judgement.label in names | {"another error"}
    assert message in judgement.reason


def test_reasons_say_what_happened() -> None:
    def reason(reply: Reply[list[Target]]) -> str:
        return judge(reply, proved=False, timeout_s=25.0).reason

    assert reason(TimedOut()) == "no answer within 25 s"
    assert reason(Refused(-1, "own")) == "-1: own"
    assert reason(Refused(-32603, "oops")) == "InternalError: oops"
    assert reason(Answered(NOTHING)).startswith("unproved")
