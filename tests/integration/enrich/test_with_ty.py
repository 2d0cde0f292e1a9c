"""Small workspaces with the real ty: which edges come out, at first and after edits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from enrichd.config import Config
from enrichd.once import run_index
from enrichd.query.export import jsonl
from enrichd.report import IndexReport, NoProgress
from enrichd.settings import DaemonSettings, EnrichSettings, IndexSettings
from enrichd_tracker.store.reading import reading

Edge = tuple[str, str, str]


class Tree:
    """A workspace and its graph."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "tree"
        self.database = folder / "graph.db"
        self.external: Any = "off"
        self.root.mkdir(parents=True)

    def write(self, files: dict[str, str | bytes]) -> Tree:
        for path, text in files.items():
            place = self.root / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(text if isinstance(text, bytes) else text.encode())
        return self

    def index(self) -> IndexReport:
        config = Config(
            daemon=DaemonSettings(database=self.database),
            enrich=EnrichSettings(external=self.external),
            index=IndexSettings(parse_processes=1),
        )
        report = run_index(config, self.root, enrich=True, timeout_s=60.0, progress=NoProgress())
        assert report.orphans == 0, report
        assert report.skipped == 0, report
        with reading(self.database) as reader:
            assert reader.verify() == []
        return report

    def export(self) -> list[dict[str, Any]]:
        with reading(self.database) as reader:
            (workspace,) = reader.workspaces()
            return [json.loads(line) for line in jsonl(reader, workspace)]

    def edges(self, *relations: str) -> set[Edge]:
        """Without `contains`, unless it is asked for."""
        return {
            (each["source"]["uid"], each["relation"], each["target"]["uid"])
            for each in self.export()
            if (each["relation"] in relations if relations else each["relation"] != "contains")
        }


@pytest.fixture
def plant(tmp_path: Path) -> Callable[[dict[str, str | bytes]], Tree]:
    return lambda files: Tree(tmp_path / "one").write(files)


Plant = Callable[[dict[str, str | bytes]], Tree]


def test_relations_follow_from_what_the_site_is_there_for(plant: Plant) -> None:
    tree = plant(
        {
            "zoo.py": (
                "LIMIT = 3\n"
                "class Animal:\n"
                "    def speak(self):\n"
                "        return LIMIT\n"
                "    @property\n"
                "    def name(self):\n"
                "        return ''\n"
            ),
            "dog.py": (
                "import zoo\n"
                "from zoo import Animal\n"
                "class Dog(Animal):\n"
                "    def speak(self):\n"
                "        return super().speak()\n"
                "class Puppy(Dog):\n"
                "    def speak(self):\n"
                "        return self.name\n"
                "def adopt():\n"
                "    dog = Dog()\n"
                "    dog.speak()\n"
                "    return zoo.LIMIT, Animal\n"
            ),
        }
    )
    tree.index()
    assert tree.edges() == {
        ("zoo.py/Animal#speak().", "references", "zoo.py/LIMIT."),
        ("dog.py/", "imports", "zoo.py/"),
        ("dog.py/", "imports", "zoo.py/Animal#"),
        ("dog.py/Dog#", "inherits", "zoo.py/Animal#"),
        ("dog.py/Dog#speak().", "calls", "zoo.py/Animal#speak()."),
        ("dog.py/Dog#speak().", "overrides", "zoo.py/Animal#speak()."),
        ("dog.py/Puppy#", "inherits", "dog.py/Dog#"),
        ("dog.py/Puppy#speak().", "overrides", "dog.py/Dog#speak()."),
        ("dog.py/Puppy#speak().", "references", "zoo.py/Animal#name()."),
        ("dog.py/adopt().", "instantiates", "dog.py/Dog#"),
        ("dog.py/adopt().", "calls", "dog.py/Dog#speak()."),
        ("dog.py/adopt().", "references", "zoo.py/"),
        ("dog.py/adopt().", "references", "zoo.py/LIMIT."),
        ("dog.py/adopt().", "references", "zoo.py/Animal#"),
    }


def test_imports_are_followed_to_the_definition(plant: Plant) -> None:
    tree = plant(
        {
            "pkg/__init__.py": (
                "from .a import Foo\nfrom .a import f as g\n__all__ = ['Foo', 'g']\n"
            ),
            "pkg/a.py": "class Foo: ...\ndef f(): ...\n",
            "use.py": (
                "from pkg import Foo\n"
                "from pkg import a as aa\n"
                "import pkg.a\n"
                "def go():\n"
                "    Foo()\n"
                "    aa.f()\n"
                "    pkg.a.f()\n"
                "def more():\n"
                "    from pkg import g\n"
                "    g()\n"
            ),
        }
    )
    tree.index()
    edges = tree.edges()
    assert ("pkg/__init__.py/", "imports", "pkg/a.py/Foo#") in edges
    assert ("pkg/__init__.py/", "references", "pkg/a.py/Foo#") in edges  # __all__
    assert ("pkg/__init__.py/", "references", "pkg/a.py/f().") in edges
    assert {edge for edge in edges if edge[0] == "use.py/go()."} == {
        ("use.py/go().", "instantiates", "pkg/a.py/Foo#"),
        ("use.py/go().", "references", "pkg/a.py/"),
        ("use.py/go().", "calls", "pkg/a.py/f()."),
    }
    assert {edge for edge in edges if edge[0] == "use.py/more()."} == {
        ("use.py/more().", "imports", "pkg/__init__.py/"),
        ("use.py/more().", "imports", "pkg/a.py/f()."),
        ("use.py/more().", "calls", "pkg/a.py/f()."),
    }
    assert {edge for edge in edges if edge[0] == "use.py/"} == {
        ("use.py/", "imports", "pkg/__init__.py/"),
        ("use.py/", "imports", "pkg/a.py/"),
        ("use.py/", "imports", "pkg/a.py/Foo#"),
    }


def test_overloads_collapse_to_the_implementation(plant: Plant) -> None:
    tree = plant(
        {
            "faces.py": (
                "from typing import overload\n"
                "@overload\n"
                "def pick(x: int) -> int: ...\n"
                "@overload\n"
                "def pick(x: str) -> str: ...\n"
                "def pick(x): return x\n"
            ),
            "use.py": "from faces import pick\ndef go():\n    pick(1)\n    pick('')\n",
        }
    )
    tree.index()
    with reading(tree.database) as reader:
        (workspace,) = reader.workspaces()
        last = [each for each in reader.symbols_named("pick", workspace.id) if not each.overload]
    assert [each.line for each in last] == [5]
    assert tree.edges("calls") == {("use.py/go().", "calls", last[0].uid)}
    assert ("use.py/", "imports", last[0].uid) in tree.edges("imports")


@pytest.mark.parametrize(
    ("external", "expected"),
    [
        ("off", set[str]()),
        (
            "imports",
            {"python-stdlib posixpath.join", "python-stdlib os", "python-stdlib json.dumps"},
        ),
        (
            "all",
            {
                "python-stdlib posixpath.join",
                "python-stdlib os",
                "python-stdlib json.dumps",
                "python-stdlib builtins.print",
                "python-stdlib builtins.str.upper",
            },
        ),
    ],
)
def test_targets_outside_are_kept_as_configured(
    plant: Plant, external: str, expected: set[str]
) -> None:
    tree = plant(
        {
            "own.py": "def own(): ...\n",
            "use.py": (
                "import os\n"
                "from json import dumps\n"
                "from own import own\n"
                "def go(text: str):\n"
                "    own()\n"
                "    print(dumps(text.upper()))\n"
                "    os.path.join('', '')\n"
            ),
        }
    )
    tree.external = external
    tree.index()
    assert ("use.py/go().", "calls", "own.py/own().") in tree.edges()
    found = {each["target"]["uid"] for each in tree.export() if each["target"]["external"]}
    assert expected <= found
    if external == "off":
        assert found == set()
    if external == "imports":
        assert not {each for each in found if "builtins" in each}


@pytest.mark.parametrize(
    "disguise",
    [
        lambda text: text.encode(),
        lambda text: text.replace("\n", "\r\n").encode(),
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode(),
    ],
    ids=["plain", "crlf", "bom", "bom and crlf"],
)
def test_bytes_that_are_not_seen_change_nothing(
    plant: Plant, disguise: Callable[[str], bytes]
) -> None:
    size = "class Größe:\n    def 计算(self): ...\ndef naïve(): return Größe()\n"
    use = (
        "from größe import Größe, naïve; 'é𝒳'; naïve()\n"
        "def go(größe: Größe):\n"
        "    '🎉🎉'; größe.计算(); x = '日本', naïve()\n"
    )
    tree = plant({"größe.py": disguise(size), "use.py": disguise(use)})
    tree.index()
    assert tree.edges() == {
        ("größe.py/`naïve`().", "instantiates", "größe.py/`Größe`#"),
        ("use.py/", "imports", "größe.py/"),
        ("use.py/", "imports", "größe.py/`Größe`#"),
        ("use.py/", "imports", "größe.py/`naïve`()."),
        ("use.py/", "calls", "größe.py/`naïve`()."),
        ("use.py/go().", "references", "größe.py/`Größe`#"),
        ("use.py/go().", "calls", "größe.py/`Größe`#`计算`()."),
        ("use.py/go().", "calls", "größe.py/`naïve`()."),
    }


def test_a_src_layout_is_one_workspace(plant: Plant) -> None:
    tree = plant(
        {
            "pyproject.toml": '[project]\nname = "lib"\nversion = "1"\n',
            "src/lib/__init__.py": "",
            "src/lib/core.py": "def core(): ...\n",
            "tests/test_core.py": "from lib.core import core\ndef test_core():\n    core()\n",
        }
    )
    tree.index()
    assert ("tests/test_core.py/test_core().", "calls", "src/lib/core.py/core().") in tree.edges()


BEFORE: dict[str, str | bytes] = {
    "app/__init__.py": "from .core import Base, run\n",
    "app/core.py": (
        "class Base:\n"
        "    def go(self): ...\n"
        "    def stop(self): ...\n"
        "class Other:\n"
        "    def go(self): ...\n"
        "def make():\n"
        "    return Base()\n"
        "def run():\n"
        "    return make()\n"
        "def helper(): ...\n"
    ),
    "app/heirs.py": (
        "from app import Base\n"
        "from app.core import Other\n"
        "class Heir(Base):\n"
        "    def go(self):\n"
        "        self.stop()\n"
        "class Grand(Heir):\n"
        "    def go(self): ...\n"
        "    def stop(self): ...\n"
    ),
    "app/use.py": (
        "from app import run\n"
        "from app.core import helper as h\n"
        "from app.heirs import Grand\n"
        "def use():\n"
        "    run().go()\n"
        "    h()\n"
        "    Grand().stop()\n"
    ),
    "app/odd.py": "import app.core\ndef odd():\n    return app.core.helper, app.core.run\n",
}

EDITS: dict[str, list[tuple[str, str, str]]] = {
    "a function is renamed": [("app/core.py", "def helper()", "def aid()")],
    "a function comes back under its name": [
        ("app/core.py", "def helper()", "def aid()"),
        ("app/core.py", "def aid()", "def helper()"),
    ],
    "a function is moved to another file": [
        ("app/core.py", "def helper(): ...\n", ""),
        ("app/odd.py", "def odd", "def helper(): ...\ndef odd"),
        ("app/use.py", "app.core import helper", "app.odd import helper"),
    ],
    "a file is deleted": [("app/heirs.py", "", "")],
    "a base is changed": [("app/heirs.py", "Heir(Base)", "Heir(Other)")],
    "a base gets a base": [("app/core.py", "class Other:", "class Other(Base):")],
    "lines are put above": [("app/core.py", "class Base", "# one\n\n# two\nclass Base")],
    "what a function returns is changed": [("app/core.py", "return make()", "return Other()")],
    "what a function returns that another returns is changed": [
        ("app/core.py", "return Base()", "return Other()"),
    ],
    "a method goes": [("app/core.py", "    def stop(self): ...\n", "")],
    # What changes is known by name to nobody whose answers change: they hang on its type alone.
    "a re-export is turned round": [
        ("app/__init__.py", "from .core import Base, run", "from .core import Other as Base, run")
    ],
}


@pytest.mark.parametrize("edits", EDITS.values(), ids=EDITS)
def test_incremental_equals_full(tmp_path: Path, edits: list[tuple[str, str, str]]) -> None:
    tree = Tree(tmp_path / "one").write(BEFORE)
    tree.index()
    for path, old, new in edits:
        place = tree.root / path
        if old:
            text = place.read_text()
            assert old in text
            place.write_text(text.replace(old, new))
        else:
            place.unlink()
        if len(edits) < 3:
            tree.index()
    tree.index()
    fresh = Tree(tmp_path / "two")
    shutil.copytree(tree.root, fresh.root, dirs_exist_ok=True)
    fresh.index()
    assert tree.export() == fresh.export()
    assert tree.index().nothing_to_do


def test_a_renamed_file_is_not_asked_again(plant: Plant) -> None:
    body = "".join(f"def f{n}():\n    return os.getpid(), f{n + 1}\n" for n in range(40))
    tree = plant(
        {"a.py": f"import os\n{body}f40 = 1\n", "b.py": "import a\ndef g():\n    a.f0()\n"}
    )
    tree.external = "imports"
    first = tree.index()
    before = tree.edges()
    (tree.root / "a.py").rename(tree.root / "c.py")
    again = tree.index()
    assert (again.requests < 10, first.requests > 40) == (True, True)
    inside = {edge for edge in before if edge[0].startswith("a.py/f")}
    assert len(inside) == 120
    moved = {tuple(part.replace("a.py/", "c.py/") for part in edge) for edge in inside}
    assert moved == {edge for edge in tree.edges() if edge[0].startswith("c.py/f")}
    assert not {edge for edge in tree.edges() if edge[0] == "b.py/g()."}
