from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd.lsp.positions import (
    Encoding,
    from_server,
    path_to_uri,
    path_to_uri_json,
    to_server,
    uri_to_path,
)

encodings = st.sampled_from(list(Encoding))


@given(st.text(), st.data(), encodings)
def test_a_column_survives_the_way_to_the_server_and_back(
    text: str, data: st.DataObject, encoding: Encoding
) -> None:
    line = (
        text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode("utf-8", "replace")
    )
    text = line.decode()
    characters = data.draw(st.integers(0, len(text)))
    column = len(text[:characters].encode())
    assert from_server(line, to_server(line, column, encoding), encoding) == column


@given(st.binary(), st.data(), encodings)
def test_a_column_of_bytes_that_are_not_text_never_leaves_the_line(
    line: bytes, data: st.DataObject, encoding: Encoding
) -> None:
    column = data.draw(st.integers(0, len(line) + 3))
    units = to_server(line, column, encoding)
    back = from_server(line, units, encoding)
    assert 0 <= back <= min(column, len(line))
    assert to_server(line, back, encoding) == units


@pytest.mark.parametrize(
    ("line", "column", "utf16", "utf32"),
    [
        ("abc", 2, 2, 2),
        ("é = x", 5, 4, 4),
        ("'\U0001f600' + x", 9, 7, 6),
        ("\U0001f600x", 4, 2, 1),
        ("\U0001f600x", 2, 0, 0),  # inside a character: its start
        ("äöü", 99, 3, 3),  # past the end: the end
    ],
)
def test_columns_by_example(line: str, column: int, utf16: int, utf32: int) -> None:
    raw = line.encode()
    assert to_server(raw, column, "utf-16") == utf16
    assert to_server(raw, column, "utf-32") == utf32
    assert to_server(raw, column, "utf-8") == min(column, len(raw))


def test_half_of_a_surrogate_pair_is_the_start_of_its_character() -> None:
    assert from_server("x\U0001f600y".encode(), 2, "utf-16") == 1


@pytest.mark.parametrize(
    "path",
    [
        "/a/b.py",
        "/a b/100%/#c?.py",
        "/new\nline.py",
        "/ünï/\U0001f600.py",
        os.fsdecode(b"/not-utf8-\xff.py"),
        "/per%20cent.py",
        "/colon:semi;at@[x].py",
    ],
)
def test_a_path_survives_as_a_uri(path: str) -> None:
    uri = path_to_uri(path)
    assert uri.isascii()
    assert uri_to_path(uri) == path
    assert path_to_uri_json(path) == b'"%b"' % uri.encode()


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name))
def test_any_name_survives_as_a_uri(name: bytes) -> None:
    path = os.fsdecode(b"/" + name)
    assert uri_to_path(path_to_uri(path)) == path


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%2Fb", "/a/b"),
        ("file://localhost/a", "/a"),
        ("file:///c%3a/x", "/c:/x"),
        ("file://elsewhere/a", None),
        ("untitled:x", None),
        ("http://localhost/a", None),
        ("file:/a", None),
        ("file://", None),
        ("file:///a%00b", None),
        ("", None),
    ],
)
def test_only_files_of_this_machine_have_a_path(uri: str, path: str | None) -> None:
    assert uri_to_path(uri) == path
