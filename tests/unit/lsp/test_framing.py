from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd.lsp.errors import FramingError
from enrichd.lsp.framing import MAX_HEADER_BYTES, Framer, encode


@given(
    st.lists(st.binary(max_size=200), max_size=12),
    st.lists(st.integers(0, 400), max_size=20),
    st.booleans(),
)
def test_messages_come_whole_however_the_bytes_are_cut(
    bodies: list[bytes], cuts: list[int], lower_case: bool
) -> None:
    stream = b"".join(
        b"content-type: x; charset=utf-8\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
        if lower_case
        else encode(body)
        for body in bodies
    )
    framer = Framer()
    edges = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    got: list[bytes] = []
    for start, end in pairwise(edges):
        got += framer.feed(stream[start:end])
    assert got == bodies
    assert not framer.in_the_middle


def test_byte_by_byte_is_enough() -> None:
    framer = Framer()
    got = [body for byte in encode(b"{}") + encode(b"[1]") for body in framer.feed(bytes([byte]))]
    assert got == [b"{}", b"[1]"]


@pytest.mark.parametrize(
    ("garbage", "named"),
    [
        (b"Welcome!\n", "Welcome"),
        (b"Traceback (most recent call last):\n", "Traceback"),
        (b"INFO: starting\nContent-Length: 2\r\n\r\n{}", "INFO"),
        (b"\x00\x01\x02", "x01"),
        (b"Content-Type: x\r\n\r\n", "without Content-Length"),
        (b"Content-Length: -1\r\n\r\n", "garbled"),
        (b"Content-Length: two\r\n\r\n", "garbled"),
        (b"Content-Length: 9999999999999999\r\n\r\n", "garbled"),
        (b"Content-Length: 1073741824\r\n\r\n{", "1073741824"),
        (b"Content-Length:" + b" " * MAX_HEADER_BYTES, "no end"),
        (b"Content-Length\r\n\r\n", "something else"),
    ],
)
def test_garbage_is_a_typed_error_that_names_it(garbage: bytes, named: str) -> None:
    with pytest.raises(FramingError, match=named):
        Framer().feed(garbage)


def test_messages_before_garbage_are_not_lost() -> None:
    with pytest.raises(FramingError) as raised:
        Framer().feed(encode(b"{}") + b"noise, noise\n")
    assert raised.value.whole == [b"{}"]


def test_a_declared_gigabyte_allocates_nothing() -> None:
    framer = Framer(max_bytes=1000)
    with pytest.raises(FramingError, match="1001"):
        framer.feed(b"Content-Length: 1001\r\n\r\n")
    assert Framer(max_bytes=1000).feed(encode(b"x" * 1000)) == [b"x" * 1000]


def test_a_message_that_has_begun_is_known() -> None:
    framer = Framer()
    framer.feed(b"Content-Length: 10\r\n\r\n{")
    assert framer.in_the_middle
