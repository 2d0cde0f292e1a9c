"""The habits of the house that no linter knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = sorted(
    [*ROOT.glob("daemon/enrichd/**/*.py"), *ROOT.glob("tracker/enrichd_tracker/**/*.py")]
)
STORE = ROOT / "tracker/enrichd_tracker/store"
MAX_LINES = 400

SQL = re.compile(
    r"\b(SELECT\b.+\bFROM|INSERT\s+(OR\s+\w+\s+)?INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|PRAGMA\s+\w)\b",
    re.DOTALL,
)
VAGUE = {"common", "helpers", "manager", "misc", "utils"}
LOOP_TIME = {"call_later", "call_at", "timeout_at", "wait_for"}

every_module = pytest.mark.parametrize(
    "module", MODULES, ids=[str(module.relative_to(ROOT)) for module in MODULES]
)


@cache
def tree(module: Path) -> ast.Module:
    return ast.parse(module.read_text(), str(module))


def is_in_store(module: Path) -> bool:
    return module.is_relative_to(STORE)


def imported(module: Path) -> Iterator[str]:
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def text_outside_docstrings(module: Path) -> Iterator[ast.Constant]:
    bare = {
        id(node.value)
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node


@every_module
def test_the_first_line_says_why_the_module_exists(module: Path) -> None:
    docstring = ast.get_docstring(tree(module)) or ""
    assert docstring.splitlines(), f"{module}: no docstring"
    assert docstring.splitlines()[0].endswith((".", "?")), f"{module}: not a sentence"


@every_module
def test_a_module_is_read_in_one_sitting(module: Path) -> None:
    lines = len(module.read_text().splitlines())
    assert lines <= MAX_LINES, f"{lines} lines: two meanings may have met in it"


@every_module
def test_a_name_says_what_is_inside(module: Path) -> None:
    assert not VAGUE & set(module.stem.split("_"))


@every_module
def test_only_the_store_speaks_sql(module: Path) -> None:
    if is_in_store(module):
        return
    spoken = [
        f"{module}:{node.lineno}"
        for node in text_outside_docstrings(module)
        if SQL.search(str(node.value))
    ]
    assert spoken == []
    assert not {"sqlite3", "aiosqlite"} & set(imported(module))


@every_module
def test_only_the_clock_reads_the_time_of_the_loop(module: Path) -> None:
    if module.name == "clock.py":
        return
    read = [
        f"{module}:{node.lineno} {node.attr}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and node.attr in LOOP_TIME
    ]
    assert read == []


@every_module
def test_every_task_has_a_name(module: Path) -> None:
    nameless = [
        f"{module}:{node.lineno}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "create_task"
        and "name" not in {keyword.arg for keyword in node.keywords}
    ]
    assert nameless == []


@pytest.mark.parametrize(
    "lock", ["requirements.lock", "requirements-dev.lock", "requirements-api.lock"]
)
def test_a_lock_names_no_machine_and_no_registry(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"://|^\s*--(?!hash=)|(^|\s)/", text, re.MULTILINE)
    pinned = re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?)==", text, re.MULTILINE)
    assert len(pinned) == len(set(pinned)) > 10
    for block in re.split(r"^(?=[\w.-])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block, block


def test_the_tests_run_on_the_versions_that_are_shipped() -> None:
    def pins(lock: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==\S+", (ROOT / lock).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")
