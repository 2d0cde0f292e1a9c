"""What an indexing run has to do."""

from __future__ import annotations

from enrichd.index.indexer import Plan, plan
from enrichd.index.parse import NOT_READ
from enrichd.index.walk import FoundFile
from enrichd_tracker.model import FileStat, KnownFile, ParseStatus

STAT = FileStat(10, 1_000, 7)
LIMIT = 100


def found(path: str, stat: FileStat = STAT) -> FoundFile:
    return FoundFile(path, "python", stat)


def known(
    path: str,
    stat: FileStat = STAT,
    *,
    status: ParseStatus = ParseStatus.OK,
    language: str = "python",
) -> KnownFile:
    return KnownFile(1, path, language, stat, b"digest", status, ascii=True)


def planned(files: list[FoundFile], before: list[KnownFile], limit: int = LIMIT) -> Plan:
    return plan(files, {file.path: file for file in before}, max_file_bytes=limit)


def changed(files: list[FoundFile], before: list[KnownFile], limit: int = LIMIT) -> list[str]:
    return [file.path for file in planned(files, before, limit).changed]


def test_a_file_that_is_as_it_was_is_left_alone() -> None:
    result = planned([found("a.py")], [known("a.py")])
    assert result == Plan([], [known("a.py")], [], {})


def test_new_and_removed_files_are_told_apart() -> None:
    new = found("new.py", FileStat(10, 1_000, 8))
    assert planned([new], [known("old.py")]) == Plan([new], [], ["old.py"], {})


def test_a_file_that_is_the_same_under_another_name_was_renamed() -> None:
    result = planned([found("new.py")], [known("old.py")])
    assert result == Plan([found("new.py")], [], ["old.py"], {"new.py": "old.py"})
    there = [known("old.py"), known("new.py", FileStat(1, 1, 1))]
    assert planned([found("new.py")], there).renamed == {}, "it took the place of another"
    unread = known("old.py", NOT_READ, status=ParseStatus.ERROR)
    assert planned([found("new.py", NOT_READ)], [unread]).renamed == {}


def test_another_size_time_or_inode_makes_a_file_changed() -> None:
    for stat in (FileStat(11, 1_000, 7), FileStat(10, 1_001, 7), FileStat(10, 1_000, 8)):
        assert changed([found("a.py", stat)], [known("a.py")]) == ["a.py"]


def test_another_language_makes_a_file_changed() -> None:
    assert changed([found("a.py")], [known("a.py", language="cython")]) == ["a.py"]


def test_a_file_that_could_not_be_read_is_tried_again() -> None:
    before = known("a.py", NOT_READ, status=ParseStatus.ERROR)
    assert changed([found("a.py")], [before]) == ["a.py"]


def test_a_file_that_could_not_be_decoded_waits_for_a_change() -> None:
    before = known("a.py", status=ParseStatus.ERROR)
    assert changed([found("a.py")], [before]) == []
    assert changed([found("a.py", FileStat(10, 2_000, 7))], [before]) == ["a.py"]


def test_a_file_over_the_limit_is_tried_again_when_the_limit_is_raised() -> None:
    large = found("a.py", FileStat(LIMIT + 1, 1_000, 7))
    before = known("a.py", NOT_READ, status=ParseStatus.ERROR)
    assert changed([large], [before]) == []
    assert changed([large], [before], limit=LIMIT + 1) == ["a.py"]


def test_files_whose_dotted_name_changes_with_the_packages_around_them_are_changed() -> None:
    files = [found("top/pkg/a.py"), found("top/pkg/sub/__init__.py"), found("other/b.py")]
    before = [known(file.path) for file in files]
    appeared = found("top/pkg/__init__.py")
    assert changed([appeared, *files], before) == [
        "top/pkg/__init__.py",
        "top/pkg/a.py",
        "top/pkg/sub/__init__.py",
    ]
    assert changed(files, [known("top/pkg/__init__.py"), *before]) == [
        "top/pkg/a.py",
        "top/pkg/sub/__init__.py",
    ]
