"""The process that parses: requests in on standard input, results out on standard output.

Both are rows of frames: the length as four bytes, big end first, then MessagePack. A request
frame holds a list of requests. The worker first sends an empty frame, which says that it is
ready, and then one frame for each request, in order. They leave together, at the end of the list
at the latest: of a worker that died, it is known which file it was at if that was alone in its
list. It ends when its input does, and when its parent dies.
"""

from __future__ import annotations

import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import BinaryIO

import msgspec

from enrichd.index.parse import ParseRequest, parse_file
from enrichd_tracker.model import ParsedFile

_NICENESS = 5  # the daemon that answers goes first
_PR_SET_PDEATHSIG = 1
_OUTPUT_BUFFER = 64 * 1024
_CPU_S = 10.0
_CPU_S_PER_MIB = 10.0


def cpu_limit_s(size: int) -> float:
    """CPU time for a file of so many bytes, fifty times what it should take.

    tree-sitter's queries take time in proportion to the square of a tree's depth, so that a file
    of nothing but brackets could keep a worker for an hour.
    """
    return _CPU_S + _CPU_S_PER_MIB * size / 2**20


def frame(payload: bytes) -> bytes:
    """The payload with its length before it."""
    return len(payload).to_bytes(4, "big") + payload


def serve(parse: Callable[[ParseRequest], ParsedFile]) -> None:
    """Answer requests until there are no more."""
    _die_with_parent()
    requests, results = sys.stdin.buffer, _claim_output()
    decoder = msgspec.msgpack.Decoder(list[ParseRequest])
    encoder = msgspec.msgpack.Encoder()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to end
    with suppress(OSError):  # a service may not be allowed to
        os.nice(_NICENESS)
    gc.freeze()
    gc.disable()  # extraction makes no cycles, only many objects
    try:
        results.write(frame(b""))  # ready
        results.flush()
        while len(header := requests.read(4)) == 4:
            size = int.from_bytes(header, "big")
            if len(payload := requests.read(size)) < size:
                break
            for request in decoder.decode(payload):
                signal.setitimer(signal.ITIMER_PROF, cpu_limit_s(request.size))  # ends us
                results.write(frame(encoder.encode(parse(request))))
            results.flush()
            gc.collect()
    except BrokenPipeError:
        os._exit(0)  # nobody is left to read


def _die_with_parent() -> None:
    """At once, and not only at the end of the file that is being parsed; prctl(2)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def _claim_output() -> BinaryIO:
    """The standard output for results alone: what else is printed goes to standard error."""
    claimed = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return os.fdopen(claimed, "wb", buffering=_OUTPUT_BUFFER)


if __name__ == "__main__":
    serve(parse_file)
