"""How what was found by meaning and by words is put together."""

from __future__ import annotations

import pytest

from enrichd.query.search import by_names, fuse, is_test, words_of


def test_what_both_lists_hold_stands_before_what_one_holds() -> None:
    found = fuse([[1, 2, 3], [4, 3]])
    assert [each for each, _ in found] == [3, 1, 4, 2]
    assert dict(found)[3] == pytest.approx(1 / 63 + 1 / 62)


def test_one_list_alone_keeps_its_order() -> None:
    assert [each for each, _ in fuse([[9, 2, 5], []])] == [9, 2, 5]
    assert fuse([]) == []


def test_words_that_say_nothing_are_left_out_unless_there_are_no_others() -> None:
    asked = "How do I openSession with a cookie, a cookie?"
    assert words_of(asked) == ["open", "session", "cookie"]
    assert words_of("what is it") == ["what", "is", "it"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("tests/test_app.py", True),
        ("src/shop/tests/house.py", True),
        ("test_app.py", True),
        ("conftest.py", True),
        ("pkg/server_test.go", True),
        ("src/app.spec.ts", True),
        ("src/flask/testing.py", False),
        ("src/latest/app.py", False),
        ("src/contest.py", False),
    ],
)
def test_a_test_is_known_by_its_path(path: str, expected: bool) -> None:
    assert is_test(path) is expected


def test_names_that_hold_more_of_the_words_and_rarer_ones_come_first() -> None:
    named = [
        (1, "Session.get"),
        (2, "Session.open"),
        (3, "Session.close"),
        (4, "open_file_in_a_folder_of_sessions"),
        (5, "nothing"),
    ]
    found = [each for each, _ in by_names(["open", "session"], named)]
    assert found[0] == 2
    assert 5 not in found
