"""The process that parses: requests in on standard input, results out on standard output.

Both are rows of frames (child.py) of MessagePack. A request frame holds a list of requests. The
worker first sends an empty frame, which says that it is ready, and then one frame for each
request, in order. They leave together, at the end of the list at the latest: of a worker that
died, it is known which file it was at if that was alone in its list. It ends when its input does,
and when its parent dies.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Callable

import msgspec

from enrichd.child import behave, claim_output, frame, frames
from enrichd.index.parse import ParseRequest, parse_file
from enrichd_tracker.model import ParsedFile

_NICENESS = 5  # the daemon that answers goes first
_CPU_S = 10.0
_CPU_S_PER_MIB = 10.0


def cpu_limit_s(size: int) -> float:
    """CPU time for a file of so many bytes, fifty times what it should take.

    tree-sitter's queries take time in proportion to the square of a tree's depth, so that a file
    of nothing but brackets could keep a worker for an hour.
    """
    return _CPU_S + _CPU_S_PER_MIB * size / 2**20


def serve(parse: Callable[[ParseRequest], ParsedFile]) -> None:
    """Answer requests until there are no more."""
    behave(_NICENESS)
    results = claim_output()
    decoder = msgspec.msgpack.Decoder(list[ParseRequest])
    encoder = msgspec.msgpack.Encoder()
    gc.freeze()
    gc.disable()  # extraction makes no cycles, only many objects
    try:
        results.write(frame(b""))  # ready
        results.flush()
        for payload in frames(sys.stdin.buffer):
            for request in decoder.decode(payload):
                signal.setitimer(signal.ITIMER_PROF, cpu_limit_s(request.size))  # ends us
                results.write(frame(encoder.encode(parse(request))))
            results.flush()
            gc.collect()
    except BrokenPipeError:
        os._exit(0)  # nobody is left to read


if __name__ == "__main__":
    serve(parse_file)
