"""Small changes of what a value is, by the ways that types go through expressions."""

from __future__ import annotations

from tests.edits.cases import Case, felt

FLOWS: dict[str, Case] = {
    "an assert of a module narrows": felt(
        {
            "f.py": (
                "from typing import TypeGuard\nfrom t import A\n"
                "def f(x: object, y: object) -> TypeGuard[A]: ...\n"
            ),
            "v.py": (
                "from f import f\nfrom t import B\n"
                "def get() -> B: ...\nk = get()\nassert f(x=k, y=1)\n"
            ),
            "u.py": "from v import k\ndef u():\n    k.m()\n",
        },
        "f.py",
        "x: object, y: object",
        "y: object, x: object",
    ),
    "a context manager swallows errors": felt(
        {
            "x.py": (
                "class X:\n    def __enter__(self): ...\n    def __exit__(self, *a) -> None: ...\n"
            ),
            "u.py": (
                "from t import A, B\n"
                "from x import X\n"
                "def u(p):\n"
                "    k = A()\n"
                "    with X():\n"
                "        k = B()\n"
                "        raise ValueError\n"
                "    k.m()\n"
            ),
        },
        "x.py",
        "-> None",
        "-> bool",
    ),
    "an operator gives something else": felt(
        {
            "n.py": ("from t import A, B\nclass N:\n    def __add__(self, o) -> A: ...\n"),
            "v.py": ("from n import N\nk = N()\n"),
            "u.py": ("from v import k\ndef u():\n    (k + k).m()\n"),
        },
        "n.py",
        "-> A",
        "-> B",
    ),
    "a reflected operator gives something else": felt(
        {
            "n.py": (
                "from t import A, B\nclass N: ...\nclass R:\n    def __radd__(self, o) -> A: ...\n"
            ),
            "v.py": ("from n import N, R\nk = N() + R()\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "n.py",
        "-> A",
        "-> B",
    ),
    "an operator takes precedence": felt(
        {
            "n.py": (
                "from t import A, B\n"
                "class N:\n"
                "    pass\n"
                "class R:\n"
                "    def __radd__(self, o) -> A: ...\n"
            ),
            "v.py": ("from n import N, R\nk = N() + R()\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "n.py",
        "    pass",
        "    def __add__(self, o) -> B: ...",
    ),
    "__bool__ decides": felt(
        {
            "n.py": (
                "from typing import Literal\n"
                "class N:\n"
                "    def __bool__(self) -> Literal[True]: ...\n"
            ),
            "v.py": (
                "from n import N\nfrom t import A, B\nif N():\n    k = A()\nelse:\n    k = B()\n"
            ),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "n.py",
        "[True]",
        "[False]",
    ),
    "__eq__ decides": felt(
        {
            "n.py": (
                "from typing import Literal\n"
                "class N:\n"
                "    def __eq__(self, o) -> Literal[True]: ...\n"
                "x = N()\n"
            ),
            "v.py": ("from n import x\nfrom t import A, B\nk = A() if x == 1 else B()\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "n.py",
        "[True]",
        "[False]",
    ),
    "a module is an attribute of a module": felt(
        {
            "v.py": ("from t import A, B\nthe = A()\n"),
            "w.py": "import v\n",
            "u.py": ("import w\ndef u():\n    w.v.the.m()\n"),
        },
        "v.py",
        "A()",
        "B()",
    ),
    "__all__ grows by another one": felt(
        {
            "a.py": ("__all__ = ['f']\ndef f(): ...\ndef g(): ...\n"),
            "s.py": ("from a import *\nimport a\n__all__ = ['x']\n__all__ += a.__all__\nx=1\n"),
            "u.py": ("from s import *\ndef u():\n    f()\n    g()\n"),
        },
        "a.py",
        "['f']",
        "['f', 'g']",
    ),
    "a star import hides no own name any more": felt(
        {
            "a.py": ("from t import A\nk = A()\n"),
            "s.py": ("from t import B\nk = B()\nfrom a import *\n"),
            "u.py": ("from s import k\ndef u():\n    k.m()\n"),
        },
        "a.py",
        "k = A()",
        "j = A()",
    ),
    "a tuple is unpacked": felt(
        {
            "v.py": ("from t import A, B\ndef f():\n    return A(), B()\nx, y = f()\n"),
            "u.py": ("from v import x, y\ndef u():\n    x.m()\n    y.m()\n"),
        },
        "v.py",
        "A(), B()",
        "B(), A()",
    ),
    "a tuple of another module is unpacked": felt(
        {
            "w.py": ("from t import A, B\npair = (A(), B())\n"),
            "v.py": ("from w import pair\n(x, y) = pair\n"),
            "u.py": ("from v import x, y\ndef u():\n    x.m()\n    y.m()\n"),
        },
        "w.py",
        "A(), B()",
        "B(), A()",
    ),
    "a with of a module binds": felt(
        {
            "w.py": (
                "from t import A, B\n"
                "class C:\n"
                "    def __enter__(self) -> A: ...\n"
                "    def __exit__(self,*a): ...\n"
            ),
            "v.py": ("from w import C\nwith C() as k: pass\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "w.py",
        "-> A",
        "-> B",
    ),
    "a walrus binds": felt(
        {
            "v.py": ("from t import A, B\nif (k := A()): pass\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "v.py",
        "A()",
        "B()",
    ),
    "a match captures": felt(
        {
            "w.py": ("from t import A, B\nthe = A()\n"),
            "v.py": ("from w import the\nmatch the:\n    case k: pass\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "w.py",
        "A()",
        "B()",
    ),
    "an augmented assignment changes the type": felt(
        {
            "n.py": ("from t import A, B\nclass N:\n    def __iadd__(self, o) -> A: ...\n"),
            "v.py": ("from n import N\nk = N()\nk += 1\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "n.py",
        "-> A",
        "-> B",
    ),
    "a with binds an attribute": felt(
        {
            "w.py": (
                "from t import A, B\n"
                "class C:\n"
                "    def __enter__(self) -> A: ...\n"
                "    def __exit__(self,*a): ...\n"
            ),
            "v.py": (
                "from w import C\n"
                "class D:\n"
                "    def go(self):\n"
                "        with C() as self.x: pass\n"
                "        for self.y in [1]: pass\n"
                "class E(D): ...\n"
            ),
            "u.py": ("from v import E\ndef u(e: E):\n    e.x.m()\n"),
        },
        "w.py",
        "-> A",
        "-> B",
    ),
    "a parameter becomes an attribute": felt(
        {
            "v.py": (
                "from t import A, B\nclass D:\n    def __init__(self, x: A):\n        self.x = x\n"
            ),
            "u.py": ("from v import D\ndef u(e: D):\n    e.x.m()\n"),
        },
        "v.py",
        "x: A",
        "x: B",
    ),
    "a base declares an attribute": felt(
        {
            "b.py": ("from t import A, B\nclass Base:\n    pass\n"),
            "v.py": (
                "from b import Base\n"
                "from t import A\n"
                "class D(Base):\n"
                "    def __init__(self):\n"
                "        self.x = A()\n"
            ),
            "u.py": ("from v import D\ndef u(e: D):\n    e.x.m()\n"),
        },
        "b.py",
        "    pass",
        "    x: B",
    ),
    "a key of a TypedDict": felt(
        {
            "v.py": (
                "from typing import TypedDict\nfrom t import A, B\nclass D(TypedDict):\n    x: A\n"
            ),
            "u.py": ("from v import D\ndef u(e: D):\n    e['x'].m()\n"),
        },
        "v.py",
        "x: A",
        "x: B",
    ),
    "the order of a NamedTuple": felt(
        {
            "v.py": (
                "from typing import NamedTuple\n"
                "from t import A, B\n"
                "class D(NamedTuple):\n"
                "    x: A\n"
                "    y: B\n"
            ),
            "w.py": ("from v import D\ndef get() -> D: ...\n"),
            "u.py": (
                "from w import get\ndef u():\n    a, b = get()\n    a.m()\n    get()[1].m()\n"
            ),
        },
        "v.py",
        ("    x: A\n    y: B\n"),
        ("    y: B\n    x: A\n"),
    ),
    "an argument decides what a generic function returns": felt(
        {
            "v.py": ("from typing import TypeVar\nT = TypeVar('T')\ndef same(x: T) -> T: ...\n"),
            "w.py": ("from t import A, B\nthe = A()\n"),
            "u.py": ("from v import same\nfrom w import the\ndef u():\n    same(the).m()\n"),
        },
        "w.py",
        "A()",
        "B()",
    ),
    "a generic function becomes a plain one": felt(
        {
            "v.py": (
                "from typing import TypeVar\n"
                "from t import B\n"
                "T = TypeVar('T')\n"
                "def same(x: T) -> T: ...\n"
            ),
            "w.py": ("from t import A, B\nfrom v import same\nthe = same(A())\n"),
            "u.py": ("from w import the\ndef u():\n    the.m()\n"),
        },
        "v.py",
        "-> T",
        "-> B",
    ),
    "what is awaited": felt(
        {
            "v.py": ("from t import A, B\nasync def f() -> A: ...\n"),
            "w.py": ("from v import f\nasync def g():\n    return await f()\n"),
            "u.py": ("from w import g\nasync def u():\n    (await g()).m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "what is yielded": felt(
        {
            "v.py": ("from t import A, B\ndef f():\n    yield A()\n"),
            "u.py": ("from v import f\ndef u():\n    for x in f():\n        x.m()\n"),
        },
        "v.py",
        "A()",
        "B()",
    ),
    "a function becomes a generator": felt(
        {
            "v.py": ("from t import A, B\ndef f():\n    return A()\n"),
            "u.py": ("from v import f\ndef u():\n    f().m()\n"),
        },
        "v.py",
        "return",
        "yield",
    ),
}
