"""Small changes of what a definition is, by the forms that definitions have."""

from __future__ import annotations

from tests.edits.cases import TWO, Case, case, felt

FORMS: dict[str, Case] = {
    "a function becomes a coroutine": felt(
        {
            "v.py": ("from t import A, B\ndef f() -> A: ...\n"),
            "u.py": ("from v import f\ndef u():\n    f().m()\n"),
        },
        "v.py",
        "def f",
        "async def f",
    ),
    "a cast to a name in quotes": felt(
        {
            "k1.py": ("class K:\n    def m(self): ...\n"),
            "k2.py": ("class K:\n    def m(self): ...\n"),
            "u.py": ("from typing import cast\nfrom k import K\ndef u(x):\n    cast('K', x).m()\n"),
            "k.py": "from k1 import K\n",
        },
        "k.py",
        "k1",
        "k2",
    ),
    "a local annotation in quotes": felt(
        {
            "k1.py": ("class K:\n    def m(self): ...\n"),
            "k2.py": ("class K:\n    def m(self): ...\n"),
            "u.py": ("from k import K\ndef u(x):\n    y: 'K' = x\n    y.m()\n"),
            "k.py": "from k1 import K\n",
        },
        "k.py",
        "k1",
        "k2",
    ),
    "a parameter with its class in quotes": felt(
        {
            "k1.py": ("class K:\n    def m(self): ...\n"),
            "k2.py": ("class K:\n    def m(self): ...\n"),
            "u.py": ("import k\ndef u(x: 'k.K | None'):\n    if x:\n        x.m()\n"),
            "k.py": "from k1 import K\n",
        },
        "k.py",
        "k1",
        "k2",
    ),
    "a class in quotes is another one of its file": felt(
        {
            "v.py": ("from t import A, B\nclass K(A): ...\nclass L(B): ...\nk: 'K'\n"),
            "u.py": ("import v\ndef u():\n    v.k.m()\n"),
        },
        "v.py",
        "'K'",
        "'L'",
    ),
    "__new__ makes something else": felt(
        {
            "v.py": ("from t import A, B\nclass N:\n    def __new__(cls) -> A: ...\n"),
            "w.py": ("from v import N\nn = N()\n"),
            "u.py": ("from w import n\ndef u():\n    n.m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "a metaclass makes something else": felt(
        {
            "v.py": ("from t import A, B\nclass M(type):\n    def __call__(cls) -> A: ...\n"),
            "w.py": ("from v import M\nclass N(metaclass=M): ...\n"),
            "x.py": ("from w import N\nn = N()\n"),
            "u.py": ("from x import n\ndef u():\n    n.m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "a method has a second name": felt(
        {
            "v.py": ("from t import A, B\nclass C:\n    def one(self) -> A: ...\n    two = one\n"),
            "u.py": ("from v import C\ndef u(c: C):\n    c.two().m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "a protocol changes": felt(
        {
            "v.py": (
                "from typing import Protocol\n"
                "from t import A, B\n"
                "class P(Protocol):\n"
                "    def get(self) -> A: ...\n"
            ),
            "u.py": ("from v import P\ndef u(p: P):\n    p.get().m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "a TypeIs narrows otherwise": felt(
        {
            "v.py": (
                "from typing_extensions import TypeIs\n"
                "from t import A, B\n"
                "def is_it(x) -> TypeIs[A]: ...\n"
            ),
            "u.py": ("from v import is_it\ndef u(p: object):\n    if is_it(p):\n        p.m()\n"),
        },
        "v.py",
        "[A]",
        "[B]",
    ),
    "a method's TypeIs narrows otherwise": felt(
        {
            "v.py": (
                "from typing_extensions import TypeIs\n"
                "from t import A, B\n"
                "class V:\n"
                "    def is_it(self, x: object) -> TypeIs[A]: ...\n"
            ),
            "w.py": ("from v import V\nv = V()\n"),
            "u.py": ("from w import v\ndef u(p: object):\n    if v.is_it(p):\n        p.m()\n"),
        },
        "v.py",
        "[A]",
        "[B]",
    ),
    "a tuple of classes narrows otherwise": felt(
        {
            "v.py": ("from t import A, B\nKINDS = (A,)\n"),
            "u.py": (
                "from v import KINDS\n"
                "def u(p: object):\n"
                "    if isinstance(p, KINDS):\n"
                "        p.m()\n"
            ),
        },
        "v.py",
        "(A,)",
        "(B,)",
    ),
    "a narrowing by a base": felt(
        {
            "v.py": ("from t import A, B\nclass V(A): ...\n"),
            "u.py": (
                "from v import V\n"
                "from t import A, B\n"
                "def u(p: V | B):\n"
                "    if not isinstance(p, A):\n"
                "        p.m()\n"
            ),
        },
        "v.py",
        "V(A)",
        "V(B)",
    ),
    "a member more makes a branch possible": felt(
        {
            "v.py": ("from enum import Enum\nclass E(Enum):\n    X = 1\n    Y = 2\n"),
            "u.py": (
                "from v import E\n"
                "from t import A, B\n"
                "def u(e: E):\n"
                "    k = A()\n"
                "    if e is E.X:\n"
                "        k = B()\n"
                "        return\n"
                "    elif e is E.Y:\n"
                "        k = A()\n"
                "    else:\n"
                "        k = B()\n"
                "    k.m()\n"
            ),
        },
        "v.py",
        "Y = 2",
        ("Y = 2\n    Z = 3"),
    ),
    "a property with a setter": felt(
        {
            "v.py": (
                "from t import A, B\n"
                "class V:\n"
                "    @property\n"
                "    def x(self) -> A: ...\n"
                "    @x.setter\n"
                "    def x(self, v): ...\n"
            ),
            "w.py": ("from v import V\nclass W(V): ...\n"),
            "u.py": ("from w import W\ndef u(w: W):\n    w.x.m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "a base comes by a star import": felt(
        {
            "b.py": "from t import A as Base\n",
            "c.py": "from b import *\n",
            "d.py": ("import c\nclass D(c.Base): ...\n"),
            "u.py": ("from d import D\ndef u(d: D):\n    d.m()\n"),
        },
        "b.py",
        "A as",
        "B as",
    ),
    "a lambda returns something else": felt(
        {
            "v.py": ("from t import A, B\nf = lambda: A()\n"),
            "u.py": ("from v import f\ndef u():\n    f().m()\n"),
        },
        "v.py",
        "A()",
        "B()",
    ),
    "an inner function is returned": felt(
        {
            "v.py": (
                "from t import A, B\ndef deco(f):\n    def inner() -> A: ...\n    return inner\n"
            ),
            "w.py": ("from v import deco\n@deco\ndef w(): ...\n"),
            "u.py": ("from w import w\ndef u():\n    w().m()\n"),
        },
        "v.py",
        "-> A",
        "-> B",
    ),
    "an inner function closes over a local": felt(
        {
            "v.py": (
                "from t import A, B\n"
                "def make():\n"
                "    x = A()\n"
                "    def inner():\n"
                "        return x\n"
                "    return inner\n"
            ),
            "u.py": ("from v import make\ndef u():\n    make()().m()\n"),
        },
        "v.py",
        "x = A()",
        "x = B()",
    ),
    "a class in a function has another base": felt(
        {
            "v.py": ("from t import A, B\ndef make():\n    class C(A): ...\n    return C\n"),
            "u.py": ("from v import make\ndef u():\n    make()().m()\n"),
        },
        "v.py",
        "C(A)",
        "C(B)",
    ),
    "a comprehension of a module": felt(
        {
            "v.py": ("from t import A, B\nthe = [A()]\n"),
            "w.py": (
                "from v import the\n"
                "all_of = [x for x in the]\n"
                "by = {n: x for n, x in enumerate(the)}\n"
            ),
            "u.py": ("from w import all_of, by\ndef u():\n    all_of[0].m()\n    by[0].m()\n"),
        },
        "v.py",
        "A()",
        "B()",
    ),
    "type(self)() and cls()": felt(
        {
            "v.py": (
                "from t import A, B\n"
                "class V(A):\n"
                "    def copy(self):\n"
                "        return type(self)()\n"
                "    @classmethod\n"
                "    def new(cls): return cls()\n"
            ),
            "u.py": ("from v import V\ndef u(v: V):\n    v.copy().m()\n    V.new().m()\n"),
        },
        "v.py",
        "V(A)",
        "V(B)",
    ),
    "Self of another base": felt(
        {
            "v.py": (
                "from typing_extensions import Self\n"
                "from t import A, B\n"
                "class V(A):\n"
                "    def me(self) -> Self: ...\n"
            ),
            "w.py": ("from v import V\nclass W(V): ...\n"),
            "u.py": ("from w import W\ndef u():\n    W().me().m()\n"),
        },
        "v.py",
        "V(A)",
        "V(B)",
    ),
    "an annotation in quotes": felt(
        {
            "v.py": ("def f() -> 'K': ...\nfrom t import A as K\n"),
            "u.py": ("from v import f\ndef u():\n    f().m()\n"),
        },
        "v.py",
        "A as",
        "B as",
    ),
    "a global is bound again before its user": felt(
        {
            "v.py": ("from t import A, B\nk = A()\ndef f():\n    return k\n"),
            "u.py": ("from v import f\ndef u():\n    f().m()\n"),
        },
        "v.py",
        "def f",
        ("k = B()\ndef f"),
    ),
    "an alias of a Callable": felt(
        {
            "v.py": ("from typing import Callable\nfrom t import A, B\nF = Callable[[], A]\n"),
            "w.py": ("from v import F\ndef get() -> F: ...\n"),
            "u.py": ("from w import get\ndef u():\n    get()().m()\n"),
        },
        "v.py",
        "A]",
        "B]",
    ),
    "a decorator with a ParamSpec": felt(
        {
            "v.py": (
                "from typing import Callable, ParamSpec, TypeVar\n"
                "from t import B\n"
                "P = ParamSpec('P')\n"
                "R = TypeVar('R')\n"
                "def deco(f: Callable[P, R]) -> Callable[P, R]: ...\n"
            ),
            "w.py": ("from v import deco\nfrom t import A\n@deco\ndef w() -> A: ...\n"),
            "u.py": ("from w import w\ndef u():\n    w().m()\n"),
        },
        "v.py",
        "-> Callable[P, R]",
        "-> Callable[P, B]",
    ),
    "an attribute hides a submodule": case(
        {
            "t.py": TWO,
            "p/__init__.py": "",
            "p/k.py": "def m(): ...\n",
            "u.py": ("import p.k\nfrom p import k\ndef u():\n    p.k.m()\n    k.m()\n"),
        },
        {"p/__init__.py": ("from t import A\nk = A()\n")},
        {"p/__init__.py": ""},
    ),
}
