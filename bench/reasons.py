"""What a program that failed said of it: the line that says something, never a stack trace's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

_LONGEST = 300
_SAYS = re.compile(r"(?i)error|exception|fatal|failed|cannot|could not|no such|^E: ")
_LEADS = re.compile(r"(?i):$|complete log")
"""A heading, and where more could be read."""
_FRAME = re.compile(r'\s+at |\s+File "')


def reason(*outputs: bytes) -> str:
    """The last message that speaks of an error, in the first of the outputs that says anything.

    Indented lines are of a stack trace or of an object that is printed: they come second.
    """
    for output in outputs:
        lines = [
            line.rstrip()
            for line in output.decode(errors="replace").splitlines()
            if re.search(r"\w{2}", line) and not _FRAME.match(line)
        ]
        whole = [line for line in lines if not line[0].isspace()]
        said = _last_message(whole) or _last_message(lines) or whole[-1:] or lines[-1:]
        if said:
            return "; ".join(dict.fromkeys(map(str.strip, said)))[:_LONGEST]
    return "it did not say why"


def _last_message(lines: Sequence[str]) -> list[str]:
    """Lines one after the other that all speak of an error."""
    spoken = groupby(lines, lambda line: bool(_SAYS.search(line) and not _LEADS.search(line)))
    return next(iter([[*found] for says, found in spoken if says][::-1]), [])
