"""Which edits others can see, and of which names: pairs of texts of one file."""

from __future__ import annotations

import pytest

from enrichd.index.extract import extract
from enrichd.index.languages import languages
from enrichd_tracker.model import Flow
from enrichd_tracker.store.concern import differing

PATH = "src/pkg/sub/mod.py"


def seen(before: str, now: str) -> tuple[set[str], set[str]]:
    """(names that may lead elsewhere, names whose symbols may be of another type)."""
    names, types = _differing(before, now)
    return names, set(types)


def flows(text: str, path: str = PATH) -> set[tuple[str, str]]:
    return {(flow.name, flow.onto) for flow in _extract(text, path).flows}


def _differing(before: str, now: str) -> tuple[set[str], dict[str, bool]]:
    return differing(*(_extract(text).faces for text in (before, now)))


def _extract(text: str, path: str = PATH):  # type: ignore[no-untyped-def]
    module = path.rpartition("/")[2].removesuffix(".py")
    return extract(languages()["python"], text.encode(), path=path, module=module)


UNSEEN = {
    "a body": ("def f(a):\n    return 1\n", "def f(a):\n    return g(2)\n"),
    "a comment": ("def f(a): return 1\n", "# why\ndef f(a): return 1  # so\n"),
    "a comment in a heading": ("def f(\n    a,\n): ...\n", "def f(\n    a,  # it\n): ...\n"),
    "blank lines": ("x = 1\nclass A: ...\n", "\n\nx = 1\n\n\nclass A: ...\n\n"),
    "ends of lines": ("x = 1\nclass A: ...\n", "x = 1\r\nclass A: ...\r\n"),
    "a local variable": ("def f():\n    a = 1\n", "def f():\n    b = 2\n"),
    "an import in a function": ("def f():\n    import a\n", "def f():\n    import b\n"),
    "an attribute of something else": (
        "def f(a):\n    b = a\n    b.c = 1\n",
        "def f(a):\n    b = a\n    b.d = 1\n",
    ),
    "an import beside others": ("from a import (b,\n  c)\n", "from a import (b, c)\n"),
}


@pytest.mark.parametrize("what", UNSEEN)
def test_nobody_else_sees(what: str) -> None:
    assert seen(*UNSEEN[what]) == (set(), set())


# Each row: before, after, names that may lead elsewhere, names of another type.
SEEN: dict[str, tuple[str, str, set[str], set[str]]] = {
    "a signature": ("def f(a): ...\n", "def f(a, b): ...\n", set(), {"f"}),
    "a return annotation": ("def f(): ...\n", "def f() -> A: ...\n", set(), {"f"}),
    "a decorator": ("def f(): ...\n", "@deco\ndef f(): ...\n", set(), {"f"}),
    "a decorated class, not its last method": (
        "@one\nclass A:\n    def m(self): ...\n",
        "@two\nclass A:\n    def m(self): ...\n",
        set(),
        {"A"},
    ),
    "a method becomes a property": (
        "class A:\n    def m(self): ...\n",
        "class A:\n    @property\n    def m(self): ...\n",
        {"m"},
        set(),
    ),
    "a name appears": ("", "def f(): ...\n", {"f"}, set()),
    "a name goes": ("def f(): ...\ndef g(): ...\n", "def g(): ...\n", {"f"}, set()),
    "a base": ("class A(B): ...\n", "class A(C): ...\n", set(), {"A"}),
    "a value": ("x = A()\n", "x = B()\n", set(), {"x"}),
    "a second value": ("x = A()\n", "x = A()\nx = B()\n", {"x"}, set()),
    "a value in a function": (
        "x = 1\ndef f():\n    global x\n    x = A()\n",
        "x = 1\ndef f():\n    global x\n    x = B()\n",
        set(),
        {"x"},
    ),
    "a loop": ("for x in a(): b()\n", "for x in c(): b()\n", {"x"}, set()),
    "an import": ("from a import b, c\n", "from d import b, c\n", {"b", "c"}, set()),
    "one of several imports": ("from a import b, c\n", "from a import b, d\n", {"c", "d"}, set()),
    "a renaming": ("from a import b as c\n", "from a import d as c\n", {"c"}, set()),
    "a module": ("import a.b\n", "import a.c\n", {"a"}, set()),
    "an attribute": (
        "class A:\n    def __init__(self):\n        self.x = B()\n        self.y = 1\n",
        "class A:\n    def __init__(self):\n        self.x = C()\n        self.y = 1\n",
        {"x"},
        set(),
    ),
    "an attribute from a parameter": (
        "class A:\n    def m(self, b: B):\n        self.x = b\n",
        "class A:\n    def m(self, b: C):\n        self.x = b\n",
        {"x"},
        {"m"},
    ),
    "an attribute from a local variable": (
        "class A:\n    def m(self):\n        b = B()\n        self.x = b\n",
        "class A:\n    def m(self):\n        b = C()\n        self.x = b\n",
        {"x"},
        set(),
    ),
    "what a class is made of": (
        "class A(NamedTuple):\n    x: int\n",
        "class A(NamedTuple):\n    y: int\n    x: int\n",
        {"y"},
        {"A"},
    ),
    "a class comes after what is annotated with it": (
        "class A: ...\ndef f() -> A: ...\n",
        "def f() -> A: ...\nclass A: ...\n",
        set(),
        {"f"},
    ),
    "an operator": (
        "class A:\n    def __enter__(self): ...\n",
        "class A:\n    def __enter__(self) -> B: ...\n",
        set(),
        {"A", "__enter__"},
    ),
    "a condition": ("def f(): ...\n", "if X:\n    def f(): ...\n", {"f"}, set()),
    "another condition": (
        "if X:\n    def f(): ...\nelse:\n    g = 1\n",
        "if Y:\n    def f(): ...\nelse:\n    g = 1\n",
        {"f", "g"},
        set(),
    ),
    "two of one name change places": (
        "def f(a): ...\nf = 1\n",
        "f = 1\ndef f(a): ...\n",
        {"f"},
        {"f"},
    ),
    "a member moves to another class": (
        "class A:\n    def m(self): ...\nclass B: ...\n",
        "class A: ...\nclass B:\n    def m(self): ...\n",
        {"m"},
        set(),
    ),
    "what is handed out": (
        "__all__ = ['f']\ndef f(): ...\ndef g(): ...\n",
        "__all__ = ['f', 'g']\ndef f(): ...\ndef g(): ...\n",
        {"g"},
        {"__all__"},
    ),
    "an import of everything": ("from a import *\n", "from b import *\n", {"*"}, set()),
    "a name that is deleted": ("x = 1\n", "x = 1\ndel x\n", {"x"}, set()),
    "a module that answers for names": (
        "def __getattr__(name): ...\n",
        "def __getattr__(name) -> A: ...\n",
        {"mod/", "sub/mod/", "pkg/sub/mod/", "src/pkg/sub/mod/"},
        {"__getattr__"},
    ),
    "beyond ASCII": ("é = A()\nü = 1\n", "é = B()\nü = 1\n", set(), {"é"}),
}


@pytest.mark.parametrize("what", SEEN)
def test_others_see(what: str) -> None:
    before, now, names, types = SEEN[what]
    found_names, found_types = seen(before, now)
    assert (found_names, found_types - names) == (names, types - names)


@pytest.mark.parametrize(
    "statement",
    ["from .sub import x", "from pkg.sub import x", "from pkg.sub.more import x", "import pkg.sub"],
)
def test_a_package_has_the_modules_that_it_imports_from(statement: str) -> None:
    path = "src/pkg/__init__.py"
    before, now = (_extract(text, path).faces for text in ("", f"def f():\n    {statement}\n"))
    assert "sub" in differing(before, now)[0]


def test_imports_of_everything_look_the_same_wherever_their_tree_lies_in_memory() -> None:
    imports = "".join(f"from .{name} import *\n" for name in "abcdefgh")
    assert len({_extract("#" * above + "\n" + imports).faces["*"] for above in range(20)}) == 1


def test_a_file_goes_by_each_of_its_dotted_names() -> None:
    keys = {name for name in _extract("").faces if "/" in name}
    assert keys == {"mod/", "sub/mod/", "pkg/sub/mod/", "src/pkg/sub/mod/"}
    keys = {name for name in _extract("", "src/pkg/__init__.py").faces if "/" in name}
    assert keys == {"pkg/", "src/pkg/"}


# Each row: the text, and what rests on what.
FLOWS: dict[str, tuple[str, set[tuple[str, str]]]] = {
    "a value": ("x = a.make(b)\n", {("a", "x"), ("make", "x"), ("b", "x")}),
    "a base": ("class A(b.B[C]): ...\n", {("b", "A"), ("B", "A"), ("C", "A")}),
    "an annotation": ("def f(a: A = b) -> C: d()\n", {("A", "f"), ("b", "f"), ("C", "f")}),
    "a text that is a type": ("def f() -> 'm.A': ...\n", {("m", "f"), ("A", "f")}),
    "a decorator": ("@d\ndef f(): ...\n", {("d", "f")}),
    "an attribute": (
        "class A:\n    def m(self, b: B, c: C):\n        self.x = D()\n",
        {("B", "m"), ("C", "m"), ("D", "x")},
    ),
    "an attribute from a parameter": (
        "class A:\n    def m(self, b: B):\n        self.x = b\n",
        {("B", "m"), ("B", "x")},
    ),
    "an attribute from a parameter that is narrowed": (
        "class A:\n    def m(self, b):\n        assert f(b)\n        self.x = b\n",
        {("f", "x")},
    ),
    "an attribute from a local variable": (
        "class A:\n    def m(self):\n        b = B()\n        self.x = b\n",
        {("B", "x")},
    ),
    "an operator": (
        "class A:\n    def __iter__(self) -> B: ...\n",
        {("B", "A"), ("B", "__iter__")},
    ),
    "an import": (
        "from a.b import c as d, e\n",
        {
            ("a/", "a/b/"),
            ("a/b/", "a/b/c/"),
            ("a/b/c/", "d"),
            ("a/b/", "a/b/e/"),
            ("a/b/e/", "e"),
        },
    ),
    "a module": ("import a.b\n", {("a/", "a/b/"), ("a/b/", "a")}),
    "an import beside": (
        "from . import a\nfrom .b import c\n",
        {
            ("src/pkg/sub/", "src/pkg/sub/a/"),
            ("src/pkg/sub/a/", "a"),
            ("src/pkg/sub/", "src/pkg/sub/b/"),
            ("src/pkg/sub/b/", "src/pkg/sub/b/c/"),
            ("src/pkg/sub/b/c/", "c"),
        },
    ),
    "an import from above": (
        "from ..b import c\n",
        {("src/pkg/", "src/pkg/b/"), ("src/pkg/b/", "src/pkg/b/c/"), ("src/pkg/b/c/", "c")},
    ),
    "a condition": (
        "if a.B:\n    def f(): ...\nelif c:\n    from d import e\n",
        {
            ("a", "f"),
            ("B", "f"),
            ("c", "f"),
            ("a", "e"),
            ("B", "e"),
            ("c", "e"),
            ("d/", "d/e/"),
            ("d/e/", "e"),
        },
    ),
    "an import in a function": ("def f():\n    from a import b\n", {("a/", "a/b/"), ("a/b/", "b")}),
    "an import of everything": (
        "from .a import *\n",
        {("src/pkg/sub/", "src/pkg/sub/a/"), ("src/pkg/sub/a/", "*")},
    ),
    "a loop": ("for x in a:\n    b()\n", {("a", "x"), ("b!", "*")}),
    "a context": ("with a() as x:\n    b()\n", {("a", "x"), ("b!", "*")}),
}


@pytest.mark.parametrize("what", FLOWS)
def test_a_type_rests_on(what: str) -> None:
    text, expected = FLOWS[what]
    assert flows(text) == expected


def test_a_flow_says_where_no_edge_can_show_it() -> None:
    text = "x = a\ny: 'B' = 1\nclass A:\n    def m(self):\n        self.z = c\n"
    assert set(_extract(text).flows) == {
        Flow("a", "x"),
        Flow("B", "y"),
        Flow("c", "z", loose=True),
    }


# Each row: before, after; what a call of f gives is the same.
PARAMETERS = {
    "one more": ("def f(a): ...\n", "def f(a, b=g(1)): ...\n"),
    "another type": ("def f(a: A): ...\n", "def f(a: B): ...\n"),
    "a result of a builtin type": (
        "def f(a: A) -> dict[str, int] | None: ...\n",
        "def f(a: B) -> dict[str, int] | None: ...\n",
    ),
    "a result of a class of the file": (
        "class A: ...\ndef f(a: int) -> list[A]: ...\n",
        "class A: ...\ndef f(a: str) -> list[A]: ...\n",
    ),
    "a method": (
        "class A:\n    async def f(self): ...\n",
        "class A:\n    async def f(self, b): ...\n",
    ),
}


@pytest.mark.parametrize("what", PARAMETERS)
def test_parameters_have_no_say_in_a_plain_functions_result(what: str) -> None:
    assert _differing(*PARAMETERS[what]) == (set(), {"f": False})


# Each row: before, after, the name whose result may be another one.
RESULTS = {
    "a return annotation": ("def f(a): ...\n", "def f(a) -> int: ...\n", "f"),
    "another keyword": ("def f(a): ...\n", "async def f(a): ...\n", "f"),
    "a type variable": (
        "T = V('T')\ndef f(a: T, b: int) -> T: ...\n",
        "T = V('T')\ndef f(a: int, b: T) -> T: ...\n",
        "f",
    ),
    "a type variable of its own": (
        "class T: ...\ndef f[T](a: T, b: int) -> T: ...\n",
        "class T: ...\ndef f[T](a: int, b: T) -> T: ...\n",
        "f",
    ),
    "a type variable of its class": (
        "class A[T]:\n    def f(self, a: T) -> list[T]: ...\n",
        "class A[T]:\n    def f(self, a: int) -> list[T]: ...\n",
        "f",
    ),
    "a name of another file": (
        "from a import T\ndef f(a: T) -> T: ...\n",
        "from a import T\ndef f(a: int) -> T: ...\n",
        "f",
    ),
    "a name of another file through everything": (
        "from a import *\ndef f(a: int) -> int: ...\n",
        "from a import *\ndef f(a: str) -> int: ...\n",
        "f",
    ),
    "a member": (
        "class A: ...\ndef f(a: A) -> A.T: ...\n",
        "class A: ...\ndef f(a: int) -> A.T: ...\n",
        "f",
    ),
    "a text": ("def f(a: 'T') -> 'T': ...\n", "def f(a: int) -> 'T': ...\n", "f"),
    "a class that may be something else": (
        "if x:\n    class A: ...\nelse:\n    A = b\ndef f(a: A) -> A: ...\n",
        "if x:\n    class A: ...\nelse:\n    A = b\ndef f(a: int) -> A: ...\n",
        "f",
    ),
    "a class that is not there yet": (
        "class A: ...\ndef f() -> A: ...\n",
        "def f() -> A: ...\nclass A: ...\n",
        "f",
    ),
    "a decorator": ("@a\ndef f(a): ...\n", "@a\ndef f(b): ...\n", "f"),
    "overloads": (
        "@overload\ndef f(a: int) -> str: ...\ndef f(a): ...\n",
        "@overload\ndef f(a: str) -> str: ...\ndef f(a): ...\n",
        "f",
    ),
    "an operator": (
        "class A:\n    def __add__(self, a: int): ...\n",
        "class A:\n    def __add__(self, a: str): ...\n",
        "__add__",
    ),
    "a lambda": ("f = lambda a: a\n", "f = lambda a, b: a\n", "f"),
}


@pytest.mark.parametrize("what", RESULTS)
def test_parameters_have_a_say_where_the_heading_cannot_tell(what: str) -> None:
    before, now, name = RESULTS[what]
    names, types = _differing(before, now)
    assert name in names or types[name]


CALLED = {
    "a call": ("x = a(1)\n", Flow("a", "x", called=True)),
    "a call of a member": ("x = b.a()\n", Flow("a", "x", called=True)),
    "what it is called on": ("x = a.b()\n", Flow("a", "x")),
    "an argument": ("x = b(a)\n", Flow("a", "x")),
    "a call beside another use": ("x = a(a)\n", Flow("a", "x")),
    "a call in one of two values": ("x = a()\nx = a\n", Flow("a", "x")),
    "a call of what it gives": ("x = a()()\n", Flow("a", "x", called=True)),
    "a call in an attribute": (
        "class A:\n    def m(self):\n        self.x = a()\n",
        Flow("a", "x", loose=True, called=True),
    ),
    "a call in front of an attribute": (
        "class A:\n    def m(self):\n        y = a()\n        self.x = y\n",
        Flow("a", "x", loose=True, called=True),
    ),
    "a default": ("def x(b=a()): ...\n", Flow("a", "x", called=True)),
    "a decorator": ("@a\ndef x(): ...\n", Flow("a", "x")),
    "a base": ("class x(a): ...\n", Flow("a", "x")),
    "a base that a call makes": ("class x(a()): ...\n", Flow("a", "x", called=True)),
    "an annotation in quotes": ("x: 'a()' = 1\n", Flow("a", "x")),
}


@pytest.mark.parametrize("what", CALLED)
def test_a_flow_says_whether_the_name_is_only_called(what: str) -> None:
    text, flow = CALLED[what]
    assert flow in _extract(text).flows
