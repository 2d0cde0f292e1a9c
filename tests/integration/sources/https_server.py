"""A host on this machine that serves repositories as others do: git's own backend behind TLS."""

from __future__ import annotations

import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOGIN = "/private"
ELSEWHERE = "/elsewhere"


@contextmanager
def https_host(root: Path, elsewhere: str = "") -> Iterator[tuple[str, Path]]:
    """Its URL and its certificate. ``/private`` wants a login, ``/elsewhere`` redirects."""
    certificate, key = root / "certificate.pem", root / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(certificate)]
    command = ["openssl", "req", "-x509", "-days", "2", *made, *subject]
    subprocess.run(command, check=True, capture_output=True)

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            if path.startswith(LOGIN):
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="x"')
                self.end_headers()
            elif path.startswith(ELSEWHERE):
                self.send_response(302)
                self.send_header("Location", elsewhere)
                self.end_headers()
            else:
                self._serve(path, query)

        do_POST = do_GET  # noqa: N815

        def _serve(self, path: str, query: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            said = {
                "GIT_PROJECT_ROOT": str(root),
                "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path,
                "QUERY_STRING": query,
                "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type") or "",
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding") or "",
                "GIT_PROTOCOL": self.headers.get("Git-Protocol") or "",
            }
            done = subprocess.run(
                ["git", "http-backend"],
                input=body,
                capture_output=True,
                env=os.environ | said,
                check=True,
            )
            head, _, content = done.stdout.partition(b"\r\n\r\n")
            headers = dict(line.split(": ", 1) for line in head.decode().splitlines())
            self.send_response(int(headers.pop("Status", "200").split()[0]))
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://localhost:{server.server_address[1]}", certificate
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
