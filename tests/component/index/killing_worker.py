"""A worker for tests: it dies on files whose text says so."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from enrichd.index.parse import ParseRequest, parse_file
from enrichd.index.worker import serve
from enrichd_tracker.model import ParsedFile


def parse(request: ParseRequest) -> ParsedFile:
    file = Path(request.root, request.path)
    match file.read_text().split(":"):
        case ["segfault", _]:
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["exit", _]:
            os._exit(3)
        case ["once", _]:
            file.write_text("x = 1\n")
            os.kill(os.getpid(), signal.SIGKILL)
        case ["wait", _]:
            signal.pause()
        case ["spin", _]:
            signal.setitimer(signal.ITIMER_PROF, 0.05)
            while True:
                pass
        case ["print", _]:
            print("this is not a frame")
            sys.stdout.flush()
            os.write(1, b"nor is this\n")
        case _:
            pass
    return parse_file(request)


if __name__ == "__main__":
    serve(parse)
