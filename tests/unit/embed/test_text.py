"""What is embedded of a symbol."""

from __future__ import annotations

from enrichd.embed.text import Piece, SymbolText, text_of, words_of

FILE = '''"""Where files go."""

class FileStore:
    """Keeps files,
    and gives them back."""

    retries = 3

    def openFile(self, path: str,
                 mode: str = "r") -> File:
        """Open one (for reading)."""
        # the author's words
        return self._backend.open(path)
'''


def of(piece: Piece, source: str = FILE) -> SymbolText:
    return text_of(piece, source.encode().splitlines())


METHOD = Piece("method", "FileStore.openFile", (8, 4), (12, 39))
CLASS = Piece("class", "FileStore", (2, 0), (12, 39), ["retries", "openFile"], [(8, 12)])


def test_names_are_taken_apart_into_words() -> None:
    assert words_of("HTTPServer.openSession_id2 größe") == [
        *("http", "server", "open", "session", "id", "2"),
        *words_of("größe"),
    ]


def test_a_function_is_its_name_signature_documentation_and_body() -> None:
    text = of(METHOD)
    assert text.meaning.splitlines() == [
        "file store open file",
        'def openFile(self, path: str, mode: str = "r") -> File:',
        "Open one (for reading).",
        "# the author's words return self._backend.open(path)",
    ]
    assert text.name == "file store open"
    assert text.said == "def open file self path str mode r one for reading"
    assert text.body == "the author s words return self backend open path"


def test_a_class_speaks_of_its_members_by_name_alone() -> None:
    text = of(CLASS)
    assert text.meaning.splitlines() == [
        "file store",
        "class FileStore:",
        "Keeps files, and gives them back.",
        "retries openFile",
        "retries = 3",
    ]


def test_a_module_is_its_documentation_and_its_names() -> None:
    text = of(Piece("module", "shop.files", (0, 0), (13, 0), ["FileStore"], [(2, 12)]))
    assert text.meaning.splitlines() == ["shop files", "Where files go.", "FileStore"]


def test_a_body_that_is_one_line_is_no_documentation() -> None:
    text = of(Piece("function", "f", (0, 0), (0, 21)), 'def f(): return "abc"')
    assert text.meaning.splitlines() == ["f", 'def f(): return "abc"']


def test_documentation_without_an_end_is_all_that_is_left() -> None:
    text = of(Piece("function", "f", (0, 0), (2, 10)), 'def f():\n  """Open\n  for ever')
    assert text.meaning.splitlines() == ["f", "def f():", "Open for ever"]


def test_a_text_is_bounded_whatever_the_file_holds() -> None:
    long = "def f():\n" + "".join(f"    name{n} = other{n}({'x' * 1000})\n" for n in range(5_000))
    text = of(Piece("function", "f", (0, 0), (5_000, 9)), long)
    assert len(text.meaning) < 1_000
    assert len(text.body.split()) <= 200


def test_bytes_that_are_no_text_and_lines_that_are_gone_do_no_harm() -> None:
    piece = Piece("function", "f", (0, 0), (90, 4))
    assert text_of(piece, [b"def f():", b"    return '\xff'"]).name == "f"
    assert text_of(piece, []).meaning == "f"
