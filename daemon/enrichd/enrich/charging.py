"""Who is charged for what happened: the one place that decides it, as a pure function.

An error never becomes `none`, and the trouble of a server is never a symbol's.
"""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from msgspec import Struct

from enrichd.lsp.protocol import ErrorCodes, LSPErrorCodes
from enrichd.lsp.retries import PASSING
from enrichd.lsp.wire import Answered, Died, Refused, Reply, Target, TimedOut


class Verdict(StrEnum):
    """What follows from one reply for the symbol that was asked about."""

    GOOD = "good"
    """An answer to believe: its targets, or that there are none."""
    CHARGED = "charged"
    """The symbol's attempt failed."""
    DEFINITIVE = "definitive"
    """It failed, and would fail for ever."""
    NOBODY = "nobody"
    """The server's trouble: the symbol is asked again, free of charge."""
    DROP_OPERATION = "drop operation"
    """The server does not know the operation, whatever it declared."""


class Judgement(Struct, frozen=True):
    """A verdict with its reason, a word or two for the metric, a sentence for people."""

    verdict: Verdict
    label: str = ""
    reason: str = ""


_NEVER_BETTER = {ErrorCodes.InvalidParams, ErrorCodes.InvalidRequest}
_CODE_NAMES = {int(code): code.name for code in (*ErrorCodes, *LSPErrorCodes)}
_GOOD = Judgement(Verdict.GOOD)
UNPROVED = Judgement(
    Verdict.CHARGED,
    "unproved",
    "unproved: an empty answer of a server that has not answered its canary",
)
"""There is no `none` but from a server that has proved that it knows the workspace."""


def judge(reply: Reply[list[Target]], *, proved: bool, timeout_s: float) -> Judgement:
    """What one reply means. ``proved``: the server's empty answers may be believed.

    A time-out is judged as the symbol's: the caller finds out first whether the server still
    answers others, and if it does not, there is no TimedOut to judge but a Died.
    """
    match reply:
        case Answered(targets):
            return _GOOD if targets or proved else UNPROVED
        case Refused(code, message):
            return _refusal(code, message)
        case TimedOut():
            return Judgement(Verdict.CHARGED, "timeout", f"no answer within {timeout_s:g} s")
        case Died(reason):
            return Judgement(Verdict.NOBODY, "server died", reason)
        case _:
            assert_never(reply)


def _refusal(code: int, message: str) -> Judgement:
    name = _CODE_NAMES.get(code, "another error")  # also a metric's label: a bounded set
    text = f"{name if code in _CODE_NAMES else code}: {message}" if message else name
    if code == ErrorCodes.MethodNotFound:
        return Judgement(Verdict.DROP_OPERATION, name, text)
    if code in PASSING:  # it was asked again already: the next tick asks once more
        return Judgement(Verdict.NOBODY, name, text)
    if code in _NEVER_BETTER:
        return Judgement(Verdict.DEFINITIVE, name, text)
    return Judgement(Verdict.CHARGED, name, text)
