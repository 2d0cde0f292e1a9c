"""Texts that tree-sitter forgives and Python does not: each is said to be wrong, and where."""

from __future__ import annotations

import pytest

from enrichd.index.extract import extract
from enrichd.index.languages import languages

WRONG = {
    "a line further in": ("def f():\n    a\n      b\n    c\n", [3]),
    "a line further out": ("def f():\n    if a:\n        b\n   c\n", [4]),
    "a first line further in": ("  import a\nb\n", [1]),
    "a module's line further in": ("a\n  b\n", [2]),
    "a definition without a body": ("def f():\ndef g():\n    a\n", [1]),
    "a condition without a body": ("if a:\n\nb\n", [1]),
    "a body no further in than its head": ("class C:\n    def f(self):\n    return a\n", [2]),
    "a definition further in than its decorator": ("@a\n  def f():\n      b\n", [2]),
    "an else further out": ("def f():\n    if a:\n        b\n   else:\n        c\n", [1]),
    "a try alone": ("try:\n    a\nb\n", [1]),
    "a try with else alone": ("try:\n    a\nelse:\n    b\n", [1]),
    "two statements on one line": ("a = b c = d\n", [1]),
}
RIGHT = {
    "statements with semicolons": "a; b; c\nif a: b; c\n",
    "a comment anywhere": "if a:\n# here\n    b\n  # there\n    c\n        # and there\n",
    "lines that go on": "a = (b,\n  c)\nd = b \\\n   + c\n'''\n  text\n'''\n",
    "a body on its head's line": "if a: b\nelse: c\nclass C: ...\n",
    "every clause": "try:\n    a\nexcept A:\n    b\nelse:\n    c\nfinally:\n    d\n",
    "tabs": "if a:\n\tb\n\tif c:\n\t\td\n\telse:\n\t\te\n",
    "a match": "match a:\n    case 1:\n        b\n    case _:\n        c\n",
    "decorators": "@a\n@b(\n  c)\nclass C:\n    @a\n    def f(self): ...\n",
    "nothing": "",
}


def error_lines(text: str) -> list[int]:
    return extract(languages()["python"], text.encode(), path="m.py", module="m").error_lines


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_layout_is_said(what: str) -> None:
    text, lines = WRONG[what]
    with pytest.raises(SyntaxError):
        compile(text, "m.py", "exec")
    assert error_lines(text)[:1] == lines


@pytest.mark.parametrize("what", RIGHT)
def test_a_right_layout_is_no_error(what: str) -> None:
    compile(RIGHT[what], "m.py", "exec")
    assert error_lines(RIGHT[what]) == []
