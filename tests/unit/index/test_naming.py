"""What symbols and modules are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enrichd.index.naming import descriptor, module_name, package_folders
from enrichd_tracker.model import SymbolKind

PACKAGE_FILES = frozenset({"__init__.py", "__init__.pyi"})


@pytest.mark.parametrize(
    ("kind", "name", "ordinal", "expected"),
    [
        (SymbolKind.CLASS, "Flask", 0, "Flask#"),
        (SymbolKind.CLASS, "Flask", 1, "Flask(+1)#"),
        (SymbolKind.TYPE_ALIAS, "Name", 0, "Name#"),
        (SymbolKind.FUNCTION, "run", 0, "run()."),
        (SymbolKind.METHOD, "run", 2, "run(+2)."),
        (SymbolKind.PROPERTY, "name", 0, "name()."),
        (SymbolKind.VARIABLE, "x", 0, "x."),
        (SymbolKind.CONSTANT, "_X1", 0, "_X1."),
        (SymbolKind.METHOD, "naïve", 0, "`naïve`()."),
        (SymbolKind.METHOD, "a`b", 1, "`a``b`(+1)."),
        (SymbolKind.VARIABLE, "$a-b+c", 0, "$a-b+c."),
    ],
)
def test_descriptors_are_written_as_scip_says(
    kind: SymbolKind, name: str, ordinal: int, expected: str
) -> None:
    assert descriptor(kind, name, ordinal) == expected


@given(
    st.tuples(st.text(min_size=1), st.integers(0, 3)),
    st.tuples(st.text(min_size=1), st.integers(0, 3)),
)
def test_different_siblings_have_different_descriptors(
    one: tuple[str, int], other: tuple[str, int]
) -> None:
    same = descriptor(SymbolKind.METHOD, *one) == descriptor(SymbolKind.METHOD, *other)
    assert same == (one == other)


@pytest.mark.parametrize(
    ("path", "packages", "expected"),
    [
        ("src/flask/app.py", {"src/flask"}, "flask.app"),
        ("src/flask/__init__.py", {"src/flask"}, "flask"),
        ("src/flask/json/tag.py", {"src/flask", "src/flask/json"}, "flask.json.tag"),
        ("src/flask/json/tag.pyi", {"src/flask", "src/flask/json"}, "flask.json.tag"),
        ("a/b/c.py", {"a", "a/b"}, "a.b.c"),
        ("a/gap/b/c.py", {"a", "a/gap/b"}, "b.c"),
        ("setup.py", set(), "setup"),
        ("__init__.py", {""}, "__init__"),
        ("tests/conftest.py", set(), "conftest"),
    ],
)
def test_a_module_is_named_from_its_topmost_package(
    path: str, packages: set[str], expected: str
) -> None:
    assert module_name(path, PACKAGE_FILES, packages) == expected


def test_packages_are_the_folders_with_a_package_file() -> None:
    paths = ["a/__init__.py", "a/x.py", "b/y.py", "c/d/__init__.pyi", "__init__.py"]
    assert package_folders(paths, PACKAGE_FILES) == {"a", "c/d", ""}
