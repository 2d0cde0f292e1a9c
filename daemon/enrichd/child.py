"""What a worker process of ours does before it works, and how it is spoken to.

Both ways go rows of frames: the length as four bytes, big end first, then what is sent.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

_PR_SET_PDEATHSIG = 1
_OUTPUT_BUFFER = 64 * 1024


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return len(payload).to_bytes(4, "big") + payload


def frames(stream: BinaryIO) -> Iterator[bytes]:
    """What comes in, up to the end; a frame that is torn is none."""
    while len(header := stream.read(4)) == 4:
        size = int.from_bytes(header, "big")
        if len(payload := stream.read(size)) < size:
            return
        yield payload


def behave(niceness: int) -> None:
    """Die with the parent at once, leave ^C to it, and let whoever answers go first; prctl(2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(OSError):  # a service may not be allowed to
        os.nice(niceness)


def claim_output() -> BinaryIO:
    """The standard output for results alone: what else is printed goes to standard error."""
    claimed = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(claimed, "wb", buffering=_OUTPUT_BUFFER)
