"""Somebody who holds a database and answers on a socket, as the daemon does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import UnixStreamServer
from typing import Any

from tests.written_graph import WrittenGraph

from enrichd_tracker.store.lock import Lock


class Heard:
    """What a daemon was asked, and what it answers."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, Any]] = []
        self.answer: tuple[int, bytes] = (200, b"{}")


@contextmanager
def daemon(graph: WrittenGraph, path: Path) -> Iterator[Heard]:
    """Somebody who holds the database and answers on a socket."""
    heard = Heard()

    class Handler(BaseHTTPRequestHandler):
        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else None
            heard.requests.append((self.command, self.path, body))
            status, content = heard.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _serve  # noqa: N815

    lock = Lock(graph.database)
    lock.acquire()
    server = UnixStreamServer(str(path), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
        lock.release()
