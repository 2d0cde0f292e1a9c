"""What each language's syntax gives, against cases that are written as Markdown."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.index.written_cases import Case, import_places, read_cases, written

from enrichd.index.languages import languages
from enrichd.index.naming import module_name
from enrichd.index.parse import ParseRequest, parse_file
from enrichd_tracker.model import ParsedFile

CASES = Path(__file__).parents[2] / "cases"
ALL = [
    pytest.param(case, id=f"{file.parent.name}/{file.stem}: {case.title}")
    for file in sorted(CASES.glob("*/*.md"))
    for case in read_cases(file)
]

every_case = pytest.mark.parametrize("case", ALL)


def parsed(case: Case, root: Path) -> ParsedFile:
    file = root / case.path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(case.source)
    packages = {parent.as_posix() for parent in Path(case.path).parents if "pkg" in parent.name}
    module = module_name(case.path, languages()[case.language].package_files, packages)
    return parse_file(ParseRequest(str(root), case.path, case.language, module, 1_000_000))


@every_case
def test_the_case_gives_what_it_says(case: Case, tmp_path: Path) -> None:
    assert written(parsed(case, tmp_path.resolve())) == case.expected


@every_case
def test_every_symbol_has_descriptors_of_its_own_and_a_parent_before_it(
    case: Case, tmp_path: Path
) -> None:
    symbols = parsed(case, tmp_path.resolve()).symbols
    assert len({symbol.descriptors for symbol in symbols}) == len(symbols)
    assert [symbol.parent < place for place, symbol in enumerate(symbols)]
    for symbol in symbols[1:]:
        around = symbols[symbol.parent]
        assert symbol.descriptors.startswith(around.descriptors)
        assert (around.start_line, around.start_column) <= (symbol.start_line, symbol.start_column)


@every_case
def test_every_target_is_a_symbol_of_the_file(case: Case, tmp_path: Path) -> None:
    symbols = parsed(case, tmp_path.resolve()).symbols
    known = {symbol.descriptors for symbol in symbols}
    assert {site.target for symbol in symbols for site in symbol.sites} <= known | {None}


@every_case
def test_import_sites_are_where_sites_import(case: Case, tmp_path: Path) -> None:
    result = parsed(case, tmp_path.resolve())
    assert sorted(result.import_sites) == import_places(result)


@every_case
def test_every_site_stands_where_its_name_does(case: Case, tmp_path: Path) -> None:
    lines = case.source.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    texts = lines.split(b"\n")
    for symbol in parsed(case, tmp_path.resolve()).symbols:
        for site in symbol.sites:
            assert texts[site.line][site.column :].startswith(site.name.encode())
