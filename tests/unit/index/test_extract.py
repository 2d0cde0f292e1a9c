"""Laws of extraction that no single case can show."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from enrichd.index.extract import Extract, extract
from enrichd.index.languages import languages, suffixes
from enrichd.index.lines import line_starts, position
from enrichd_tracker.model import FoundSymbol

PYTHON = languages()["python"]

PIECES = st.sampled_from(
    [
        "def f(a, b=x):\n",
        "class A(B):\n",
        "    ",
        "        ",
        "x = 1\n",
        "x: int\n",
        "    return x\n",
        "import x as y\n",
        "from . import *\n",
        "global x\n",
        "nonlocal f\n",
        "@overload\n",
        "[x for x in (y := A)]\n",
        "lambda x: x\n",
        "type A[T] = T\n",
        "match x:\n",
        "case A.b | c: pass\n",
        "del f\n",
        '__all__ = ["f", "A"]\n',
        "(",
        ")",
        "\n",
        "\r",
        "é = x\n",
        '"',
        "\\",
        "\x0c",
    ]
)


def extracted(source: str) -> Extract:
    return extract(PYTHON, source.encode(), path="m.py", module="m")


def symbol(source: str, descriptors: str) -> FoundSymbol:
    return next(each for each in extracted(source).symbols if each.descriptors == descriptors)


def digest(source: str, descriptors: str) -> bytes:
    return symbol(source, descriptors).digest


@given(st.lists(PIECES, max_size=25).map("".join))
def test_any_text_gives_unique_symbols_known_targets_and_true_positions(source: str) -> None:
    result = extracted(source)
    content = source.encode()
    starts = line_starts(content)
    descriptors = [each.descriptors for each in result.symbols]
    assert len(set(descriptors)) == len(descriptors)
    assert descriptors[0] == ""
    for place, each in enumerate(result.symbols):
        assert each.parent < place
        assert (each.line, each.column) >= (each.start_line, each.start_column)
        assert (each.end_line, each.end_column) >= (each.line, each.column)
        places = [(site.line, site.column) for site in each.sites]
        assert places == sorted(places)
        for site in each.sites:
            offset = starts[site.line] + site.column
            assert content[offset:].startswith(site.name.encode())
            assert site.target is None or site.target in descriptors


@given(st.lists(PIECES, max_size=25).map("".join))
def test_the_same_text_gives_the_same_result(source: str) -> None:
    assert extracted(source) == extracted(source)


def test_nesting_of_any_depth_is_no_trouble() -> None:
    deep = 3_000
    for source in ("(" * deep + ")" * deep, "[" * deep, "f(" * deep + "x" + ")" * deep):
        assert extracted(f"def f(): ...\n{source}\n").symbols[1].name == "f"
    chained = "x" + ".a" * deep
    assert len(extracted(chained).symbols[0].sites) == deep + 1


def test_a_symbols_extent_is_its_definition_without_decorators() -> None:
    source = "@deco\nclass A:\n    @deco\n    def m(self):\n        pass\n\nx = [\n  1]\n"
    method, variable = symbol(source, "A#m()."), symbol(source, "x.")
    assert (method.start_line, method.start_column) == (3, 4)
    assert (method.end_line, method.end_column) == (4, 12)
    assert (variable.start_line, variable.start_column) == (6, 0)
    assert (variable.end_line, variable.end_column) == (6, 1)


def test_a_digest_does_not_depend_on_where_a_symbol_stands() -> None:
    assert digest("def f():\n    pass\n", "f().") == digest(
        "\n\nx = 1\ndef f():\n    pass\n", "f()."
    )


def test_a_digest_changes_with_the_symbols_own_text_alone() -> None:
    before = "class A:\n    x = 1\n    def m(self):\n        return 1\n"
    inner = before.replace("return 1", "return 2")
    outer = before.replace("x = 1", "x = 2")
    assert digest(before, "A#") == digest(inner, "A#")
    assert digest(before, "A#m().") != digest(inner, "A#m().")
    assert digest(before, "A#") != digest(outer, "A#")
    assert digest(before, "A#m().") == digest(outer, "A#m().")
    assert digest(before, "") == digest(outer, "")


def test_a_variables_digest_is_that_of_its_statements() -> None:
    one = digest("x = 1\ny = 1\n", "x.")
    assert one == digest("y = 2\nx = 1\n", "x.")
    assert one != digest("x = 2\n", "x.")
    assert one != digest("x = 1\nx = 2\n", "x.")


def test_lines_end_as_they_do_for_language_servers() -> None:
    source = b"a\r\nb\rc\n\nd"
    assert line_starts(source) == [0, 3, 5, 7, 8]
    assert line_starts(b"") == [0]
    assert line_starts(b"a\n") == [0, 2]
    assert [position(line_starts(source), offset) for offset in (0, 2, 3, 5, 8, 9)] == [
        (0, 0),
        (0, 2),
        (1, 0),
        (2, 0),
        (4, 0),
        (4, 1),
    ]


def test_every_language_is_whole() -> None:
    for language in languages().values():
        assert language.query.pattern_count
        assert language.error_query.pattern_count
        names = {language.query.capture_name(n) for n in range(language.query.capture_count)}
        for name in names:
            group, _, rest = name.partition(".")
            if group in {"scope", "frame", "symbol"}:
                assert rest in language.data.scopes, name
            if group == "symbol":
                assert rest in language.data.definitions, name
            if group == "mark":
                assert rest in language.data.marks, name
    assert suffixes()[".py"] == "python"
