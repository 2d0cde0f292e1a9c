"""Cuts a server's output into messages: the base protocol of LSP (Content-Length framing)."""

from __future__ import annotations

import re

from enrichd.lsp.errors import FramingError

MAX_BODY_BYTES = 64 * 1024 * 1024
MAX_HEADER_BYTES = 4096

_END = b"\r\n\r\n"
_PLAIN = re.compile(rb"Content-Length: (\d{1,12})\r\n\r\n")
_BEGINS_LIKE_A_HEADER = re.compile(
    rb"(?:[A-Za-z-]+:[^\r\n]*\r\n)*(?:\r|[A-Za-z-]*|[A-Za-z-]+:[^\r\n]*\r?)\Z"
)
_SHOWN_BYTES = 60


def encode(body: bytes) -> bytes:
    """The body with its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)


class Framer:
    """Incremental: keeps what is not whole yet, never more than one message and one chunk."""

    def __init__(self, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_bytes = max_bytes
        self._header = b""
        self._parts: list[bytes] = []
        self._missing = 0

    @property
    def in_the_middle(self) -> bool:
        """Whether a message has begun that has not come whole."""
        return bool(self._missing or self._header)

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that ``data`` completes, in order. Raises FramingError; it is final then."""
        messages: list[bytes] = []
        at = 0
        if self._missing:
            if len(data) < self._missing:
                self._parts.append(data)
                self._missing -= len(data)
                return messages
            at = self._missing
            self._parts.append(data[:at])
            messages.append(b"".join(self._parts))
            self._parts = []
            self._missing = 0
        elif self._header:
            data = self._header + data
            self._header = b""
        try:
            self._cut(data, at, messages)
        except FramingError as error:
            error.whole = messages
            raise
        return messages

    def _cut(self, data: bytes, at: int, messages: list[bytes]) -> None:
        size = len(data)
        match = _PLAIN.match
        while at < size:
            plain = match(data, at)
            if plain is not None:
                length = int(plain[1])
                start = plain.end()
            else:
                end = data.find(_END, at, at + MAX_HEADER_BYTES)
                if end < 0:
                    self._keep_header(data[at:])
                    return
                length = _length(data[at : end + 2])
                start = end + 4
            if length > self._max_bytes:
                raise FramingError(
                    f"the server declares a message of {length} bytes"
                    f" (at most {self._max_bytes} are taken)"
                )
            at = start + length
            if at > size:
                self._parts = [data[start:]]
                self._missing = at - size
                return
            messages.append(data[start:at])

    def _keep_header(self, begun: bytes) -> None:
        if len(begun) >= MAX_HEADER_BYTES:
            raise FramingError(
                f"no end of a message header in {MAX_HEADER_BYTES} bytes{_shown(begun)}"
            )
        if not _BEGINS_LIKE_A_HEADER.match(begun):
            raise FramingError(f"the server writes something else than messages{_shown(begun)}")
        self._header = begun


def _length(header: bytes) -> int:
    """What a whole header block, each line with its line end, says of the body's length."""
    found: bytes | None = None
    for line in header.split(b"\r\n")[:-1]:
        name, colon, value = line.partition(b":")
        if not colon or b"\n" in line or not name.replace(b"-", b"").isalpha():
            raise FramingError(f"the server writes something else than messages{_shown(header)}")
        if name.lower() == b"content-length":
            found = value.strip()
    if found is None:
        raise FramingError(f"a message header without Content-Length{_shown(header)}")
    if not found.isdigit() or len(found) > 12:
        raise FramingError(f"a message header with a garbled length{_shown(header)}")
    return int(found)


def _shown(data: bytes) -> str:
    return f": {data[:_SHOWN_BYTES]!r}"
