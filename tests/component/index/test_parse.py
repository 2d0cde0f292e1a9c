"""What hostile files give: never an exception, always a reason."""

from __future__ import annotations

import os
import socket
from hashlib import blake2b
from pathlib import Path

import msgspec
import pytest

from enrichd.file_stat import stat_of
from enrichd.index import parse
from enrichd.index.languages import languages
from enrichd.index.parse import NOT_READ, ParseRequest, parse_file
from enrichd_tracker.model import ErrorType, ParsedFile, ParseStatus

LIMIT = 1_000_000


def parsed(root: Path, path: str = "m.py", *, limit: int = LIMIT) -> ParsedFile:
    return parse_file(ParseRequest(str(root.resolve()), path, "python", "m", limit))


def given(root: Path, content: bytes) -> ParsedFile:
    (root / "m.py").write_bytes(content)
    return parsed(root)


def failure(result: ParsedFile) -> tuple[ErrorType, str]:
    assert result.status is ParseStatus.ERROR
    assert result.symbols == []
    assert result.failure is not None
    return result.failure.type, result.failure.message


def test_a_good_file_gives_its_stat_digest_and_symbols(tmp_path: Path) -> None:
    content = b"def f(): ...\n"
    result = given(tmp_path, content)
    assert result.status is ParseStatus.OK
    assert result.failure is None
    assert result.stat == stat_of(tmp_path / "m.py")
    assert result.digest == blake2b(content, digest_size=16).digest()
    assert result.ascii
    assert [symbol.name for symbol in result.symbols] == ["m", "f"]


def test_an_empty_file_has_its_module(tmp_path: Path) -> None:
    result = given(tmp_path, b"")
    assert result.status is ParseStatus.OK
    assert [symbol.name for symbol in result.symbols] == ["m"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("x = 1".encode("utf-16"), "is UTF-16, not UTF-8"),
        ("x = 1".encode("utf-32"), "is UTF-32, not UTF-8"),
        (b"x = 1\n# \xe9\n", "is not valid UTF-8: byte 0xe9 at offset 8, line 2"),
        (b"\xef\xbb\xbf\xff", "is not valid UTF-8: byte 0xff at offset 3, line 1"),
        (b"# -*- coding: latin-1 -*-\n'\xe9'", "at offset 27, line 2"),
        (b"x = '\xed\xa0\x80'\n", "is not valid UTF-8: byte 0xed at offset 5"),
        (b"\x7fELF\0\0\0", "is binary, not text: a zero byte at offset 4"),
    ],
)
def test_what_is_not_utf8_text_is_an_encoding_error_that_says_where(
    content: bytes, message: str, tmp_path: Path
) -> None:
    result = given(tmp_path, content)
    kind, text = failure(result)
    assert kind is ErrorType.ENCODING
    assert message in text
    assert result.stat == stat_of(tmp_path / "m.py"), "it is not to be read again and again"


def test_text_beyond_ascii_is_said_to_be(tmp_path: Path) -> None:
    assert not given(tmp_path, "x = 'é'\n".encode()).ascii


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    assert given(tmp_path, b"\xef\xbb\xbfx = 1\n").ascii


def test_a_file_over_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_bytes(b"x = 1\n" * 1_000)
    kind, message = failure(parsed(tmp_path, limit=5_999))
    assert kind is ErrorType.IO
    assert "6,000 bytes" in message
    assert "5,999" in message
    assert "[index] max_file_bytes" in message
    assert parsed(tmp_path, limit=6_000).status is ParseStatus.OK


def test_a_huge_sparse_file_costs_nothing(tmp_path: Path) -> None:
    with (tmp_path / "m.py").open("wb") as file:
        file.truncate(1 << 40)
    assert failure(parsed(tmp_path))[0] is ErrorType.IO


def test_a_vanished_file_says_so(tmp_path: Path) -> None:
    result = parsed(tmp_path)
    assert failure(result) == (ErrorType.IO, "vanished before it was read")
    assert result.stat == NOT_READ


def test_what_is_no_regular_file_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.py")
    (tmp_path / "folder.py").mkdir()
    assert "a FIFO" in failure(parsed(tmp_path, "fifo.py"))[1]
    assert "a folder" in failure(parsed(tmp_path, "folder.py"))[1]
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "socket.py"))
        assert "not a regular file" in failure(parsed(tmp_path, "socket.py"))[1]
    assert failure(parsed(Path("/dev"), "zero"))[0] is ErrorType.IO


def test_a_link_is_not_followed_even_where_a_folder_became_one(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    root.mkdir()
    (outside / "m.py").write_text("secret = 1\n")
    (root / "link.py").symlink_to(outside / "m.py")
    (root / "loop.py").symlink_to(root / "loop.py")
    (root / "folder").symlink_to(outside)
    for path in ("link.py", "loop.py", "folder/m.py", "../outside/m.py"):
        kind, message = failure(parsed(root, path))
        assert kind is ErrorType.IO
        assert "links are not followed" in message


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_an_unreadable_file_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("x = 1\n")
    (tmp_path / "m.py").chmod(0)
    assert "permission denied" in failure(parsed(tmp_path))[1]


def test_a_file_with_errors_is_partial_and_says_where(tmp_path: Path) -> None:
    result = given(tmp_path, b"def good(): ...\n" + b"x = = 1\n" * 12)
    assert result.status is ParseStatus.PARTIAL
    assert result.failure is not None
    assert result.failure.type is ErrorType.PARSING
    assert result.failure.message == (
        "did not parse whole, see line 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more"
    )
    assert result.error_lines[:2] == [2, 3]
    assert len(result.error_lines) == 10
    assert result.error_count == 12
    assert result.lost_bytes == 12
    assert result.symbols[1].name == "good"


@pytest.mark.parametrize("opening", [b"(", b"[", b"{", b"f(", b"-", b"a.", b"lambda:", b"not "])
def test_deep_nesting_is_parsed_or_marked_but_harmless(opening: bytes, tmp_path: Path) -> None:
    result = given(tmp_path, b"x = " + opening * 3_000 + b"1\ndef f(): ...\n")
    assert result.status in {ParseStatus.OK, ParseStatus.PARTIAL}


def test_an_unknown_language_is_unsupported(tmp_path: Path) -> None:
    (tmp_path / "m.xyz").write_text("?")
    result = parse_file(ParseRequest(str(tmp_path.resolve()), "m.xyz", "xyz", "m", LIMIT))
    assert result.status is ParseStatus.UNSUPPORTED
    assert result.failure is None


def test_a_fault_of_extraction_is_said_with_its_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RecursionError("too deep")

    monkeypatch.setattr(parse, "extract", broken)
    result = given(tmp_path, b"x = 1\n")
    assert failure(result)[0] is ErrorType.CHUNKING
    assert result.failure is not None
    assert "RecursionError: too deep" in result.failure.message
    assert "in broken" in result.failure.traceback


def test_a_parser_that_gives_no_tree_is_a_parsing_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def parse(self, _: bytes) -> None:
            raise ValueError("Parsing failed, \udcff")

    monkeypatch.setattr(languages()["python"], "parser", Broken())
    result = given(tmp_path, b"x = 1\n")
    assert failure(result) == (
        ErrorType.PARSING,
        "the parser failed: ValueError: Parsing failed, \\udcff",
    )
    assert result.failure is not None
    assert "in parse\n" in result.failure.traceback
    msgspec.msgpack.encode(result)


def test_a_panic_of_a_native_library_is_an_error_of_its_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Panic(BaseException):
        pass

    def panics(*_: object, **__: object) -> None:
        raise Panic("index out of bounds")

    monkeypatch.setattr(parse, "extract", panics)
    result = given(tmp_path, b"x = 1\n")
    assert failure(result) == (ErrorType.UNEXPECTED, "Panic: index out of bounds")
    assert result.failure is not None
    assert "in panics" in result.failure.traceback


def test_several_errors_on_one_line_are_one_line(tmp_path: Path) -> None:
    result = given(tmp_path, b"x = = 1; y = = 2; z = = 3\n")
    assert (result.error_lines, result.error_count) == ([1], 1)


@pytest.mark.parametrize("name", ["a b.py", "c%20d.py", "e#f.py", "g\nh.py", "ü.py"])
def test_odd_names_are_names(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("x = 1\n")
    assert parsed(tmp_path, name).status is ParseStatus.OK
