"""Small changes whose effect is felt in another file, each by another way that a type goes."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

Files = Mapping[str, str | bytes | None]
"""Path to text; None: the file goes."""


class Case(Struct, frozen=True):
    """A tree, and what is changed in it, one look after each change."""

    before: dict[str, str | bytes]
    changes: list[Files]
    unseen: bool = False
    """No edge may differ after it, and none does."""
    still: bool = False
    """Every file keeps its time of modification, as what is copied with it or unpacked does."""


TWO = (
    "class A:\n    def m(self): ...\n    def only_a(self): ...\n"
    "class B:\n    def m(self): ...\n    def only_b(self): ...\n"
)
TWO_FILES: dict[str, str | bytes] = {
    "a.py": "class K:\n    def m(self): ...\n",
    "b.py": "class K:\n    def m(self): ...\n",
}
CANARY = "def canary(): ...\ndef asks():\n    canary()\n"


def case(
    before: Mapping[str, str | bytes], *changes: Files, unseen: bool = False, still: bool = False
) -> Case:
    """Each tree has a file that proves the server, and has nothing to do with the rest."""
    return Case({"canary.py": CANARY, **before}, list(changes), unseen, still)


def turned(
    before: Mapping[str, str | bytes], path: str, old: str, new: str, *, unseen: bool = False
) -> Case:
    """One file changes in one place, and back."""
    text = before[path]
    assert isinstance(text, str)
    assert old in text
    return case(before, {path: text.replace(old, new)}, {path: text}, unseen=unseen)


def felt(before: dict[str, str | bytes], path: str, old: str, new: str) -> Case:
    """A change of one place, and back, beside two classes that have a method in common."""
    return turned({"t.py": TWO, **before}, path, old, new)


VALUES: dict[str, Case] = {
    "a variable of a third module has another type": turned(
        {
            "t.py": TWO,
            "v.py": "from t import A, B\nthe = A()\n",
            "w.py": "import v\nother = v.the\n",
            "u.py": "from w import other\ndef u():\n    other.m()\n",
        },
        "v.py",
        "A()",
        "B()",
    ),
    "a function three calls away returns something else": turned(
        {
            "t.py": TWO + "def f():\n    return A()\n",
            "g.py": "from t import f\ndef g():\n    return f()\n",
            "h.py": "import g\nhs = g.g\ndef h():\n    return hs()\n",
            "u.py": "from h import h\ndef u():\n    h().m()\n",
        },
        "t.py",
        "return A()",
        "return B()",
    ),
    "a local variable decides what is returned": turned(
        {
            "t.py": TWO + "def f():\n    x = A()\n    y = x\n    return y\n",
            "u.py": "from t import f\ndef u():\n    f().m()\n",
        },
        "t.py",
        "x = A()",
        "x = B()",
    ),
    "an attribute in __init__ has another type": turned(
        {
            "t.py": TWO,
            "c.py": "from t import A, B\nclass C:\n    def __init__(self):\n        self.x = A()\n",
            "d.py": "from c import C\nclass D(C):\n    def f(self):\n        self.x.m()\n",
            "u.py": "from d import D\ndef u(d: D):\n    d.x.m()\n",
        },
        "c.py",
        "A()",
        "B()",
    ),
    "an attribute in __init__ is removed": turned(
        {
            "t.py": TWO,
            "c.py": (
                "from t import A, B\nclass Base:\n    x = B()\nclass C(Base):\n"
                "    def __init__(self):\n        self.x = A()\n        self.y = A()\n"
            ),
            "u.py": "from c import C\ndef u(c: C):\n    c.x.m()\n    c.y.m()\n",
        },
        "c.py",
        "        self.x = A()\n        self.y = A()\n",
        "        pass\n",
    ),
    "a default value has another type": turned(
        {
            "t.py": TWO,
            "f.py": "from t import A, B\ndef f(x=A()):\n    return x\n",
            "u.py": "from f import f\ndef u():\n    f().m()\n",
        },
        "f.py",
        "x=A()",
        "x=B()",
    ),
    "a constant decides which branch is reached": turned(
        {
            "t.py": TWO,
            "flags.py": "DEBUG = True\n",
            "v.py": (
                "from flags import DEBUG\nif DEBUG:\n    from t import A as K\n"
                "else:\n    from t import B as K\n"
            ),
            "u.py": "from v import K\ndef u():\n    K().m()\n",
        },
        "flags.py",
        "True",
        "False",
    ),
    "a literal decides which overload is meant": turned(
        {
            "t.py": TWO + "MODE = 1\n",
            "f.py": (
                "from typing import overload\nfrom t import A, B\n"
                "@overload\ndef f(x: int) -> A: ...\n@overload\ndef f(x: str) -> B: ...\n"
                "def f(x): ...\n"
            ),
            "u.py": "from f import f\nfrom t import MODE\ndef u():\n    f(MODE).m()\n",
        },
        "t.py",
        "MODE = 1",
        "MODE = ''",
    ),
    "a function does not return any more": turned(
        {
            "t.py": TWO,
            "x.py": "from typing import NoReturn\ndef leave() -> None: ...\n",
            "u.py": (
                "from t import A, B\nfrom x import leave\ndef u(p):\n    k = A()\n"
                "    if p:\n        k = B()\n        leave()\n    k.m()\n"
            ),
        },
        "x.py",
        "-> None",
        "-> NoReturn",
    ),
    "a container holds something else": turned(
        {
            "t.py": TWO,
            "v.py": "from t import A, B\nall_of = [A()]\nby_name = {'x': A()}\n",
            "u.py": (
                "from v import all_of, by_name\ndef u():\n    for each in all_of:\n"
                "        each.m()\n    by_name['x'].m()\n"
            ),
        },
        "v.py",
        "A()",
        "B()",
    ),
    "a field of a dataclass has another type": turned(
        {
            "t.py": TWO,
            "c.py": (
                "from dataclasses import dataclass\nfrom t import A, B\n"
                "@dataclass\nclass C:\n    x: A\n"
            ),
            "u.py": "from c import C\ndef u(c: C):\n    c.x.m()\n",
        },
        "c.py",
        "x: A",
        "x: B",
    ),
    "a type alias means something else": turned(
        {
            "t.py": TWO,
            "y.py": "from t import A, B\nAlias = A\n",
            "f.py": "from y import Alias\ndef f(x: Alias) -> Alias:\n    x.m()\n    return x\n",
            "u.py": "from f import f\ndef u():\n    f(None).m()\n",
        },
        "y.py",
        "Alias = A",
        "Alias = B",
    ),
    "the bound of a type variable changes": turned(
        {
            "t.py": TWO,
            "y.py": "from typing import TypeVar\nfrom t import A, B\nT = TypeVar('T', bound=A)\n",
            "f.py": "from y import T\ndef f(x: T) -> T:\n    x.m()\n    return x\n",
        },
        "y.py",
        "bound=A",
        "bound=B",
    ),
    "a subscript of a generic base changes": turned(
        {
            "t.py": TWO,
            "g.py": (
                "from typing import Generic, TypeVar\nT = TypeVar('T')\n"
                "class G(Generic[T]):\n    def get(self) -> T: ...\n"
            ),
            "h.py": "from g import G\nfrom t import A, B\nclass H(G[A]): ...\n",
            "u.py": "from h import H\ndef u(h: H):\n    h.get().m()\n",
        },
        "h.py",
        "G[A]",
        "G[B]",
    ),
}

CLASSES: dict[str, Case] = {
    "a base of a base changes": turned(
        {
            "t.py": TWO,
            "b.py": "from t import A, B\nclass Middle(A): ...\n",
            "c.py": "from b import Middle\nclass Low(Middle):\n    def f(self): self.m()\n",
            "u.py": "from c import Low\ndef u(low: Low):\n    low.m()\n    low.only_a()\n",
        },
        "b.py",
        "Middle(A)",
        "Middle(B)",
    ),
    "a base gets a base": turned(
        {
            "t.py": TWO,
            "b.py": "from t import A\nclass Middle: ...\n",
            "c.py": (
                "from b import Middle\nclass Low(Middle):\n    def f(self):\n        self.m()\n"
                "        super().m()\n"
            ),
        },
        "b.py",
        "Middle:",
        "Middle(A):",
    ),
    "a method appears between a class and its base": turned(
        {
            "t.py": TWO,
            "b.py": "from t import A\nclass Middle(A):\n    pass\n",
            "c.py": "from b import Middle\nclass Low(Middle): ...\n",
            "u.py": "from c import Low\ndef u():\n    Low().m()\n",
        },
        "b.py",
        "    pass\n",
        "    def m(self): ...\n",
    ),
    "the order of bases changes": turned(
        {
            "t.py": TWO,
            "b.py": "from t import A, B\nclass Both(A, B): ...\n",
            "c.py": "from b import Both\nclass Low(Both):\n    def f(self):\n        self.m()\n",
        },
        "b.py",
        "A, B)",
        "B, A)",
    ),
    "a method goes that only its own file uses": turned(
        {
            "t.py": (
                "class H:\n    def hook(self): ...\nclass R(H):\n    x: int\n"
                "    def __init__(self, a):\n        self.hook()\n        self.x = a\n"
            ),
        },
        "t.py",
        "def hook",
        "def other",
    ),
    "a metaclass gets a property": turned(
        {
            "t.py": TWO,
            "m.py": (
                "from t import A, B\nclass Meta(type):\n    @property\n    def one(cls) -> A: ...\n"
            ),
            "c.py": "from m import Meta\nclass C(metaclass=Meta): ...\n",
            "u.py": "from c import C\ndef u():\n    C.one.m()\n",
        },
        "m.py",
        "-> A",
        "-> B",
    ),
    "a property becomes a method": turned(
        {
            "t.py": TWO,
            "c.py": "from t import A\nclass C:\n    @property\n    def x(self) -> A: ...\n",
            "u.py": "from c import C\ndef u(c: C):\n    c.x.m()\n    c.x().m()\n",
        },
        "c.py",
        "    @property\n",
        "",
    ),
    "what __enter__ returns changes": turned(
        {
            "t.py": TWO,
            "c.py": (
                "from t import A, B\nclass C:\n    def __enter__(self) -> A: ...\n"
                "    def __exit__(self, *args): ...\n"
            ),
            "d.py": "from c import C\nclass D(C): ...\ndef make(): return D()\n",
            "u.py": "from d import make\ndef u():\n    with make() as it:\n        it.m()\n",
        },
        "c.py",
        "-> A",
        "-> B",
    ),
    "what __iter__, __call__ and __getitem__ give changes": turned(
        {
            "t.py": TWO,
            "c.py": (
                "from t import A as K, B\nclass C:\n    def __iter__(self):\n        yield K()\n"
                "    def __call__(self):\n        return K()\n"
                "    def __getitem__(self, key):\n        return K()\n"
            ),
            "u.py": (
                "from c import C\ndef u(c: C):\n    for each in c:\n        each.m()\n"
                "    c().m()\n    c[0].m()\n    [x.m() for x in c]\n"
            ),
        },
        "c.py",
        "import A as K, B",
        "import A, B as K",
    ),
    "__getattr__ appears": turned(
        {
            "t.py": TWO,
            "c.py": "from t import A\nclass C:\n    pass\n",
            "u.py": "from c import C\ndef u(c: C):\n    c.whatever.m()\n",
        },
        "c.py",
        "    pass\n",
        "    def __getattr__(self, name) -> A: ...\n",
    ),
    "a descriptor gives something else": turned(
        {
            "t.py": TWO,
            "d.py": (
                "from t import A, B\nclass D:\n    def __get__(self, instance, owner) -> A: ...\n"
            ),
            "c.py": "from d import D\nclass C:\n    x = D()\n",
            "u.py": "from c import C\ndef u(c: C):\n    c.x.m()\n",
        },
        "d.py",
        "-> A",
        "-> B",
    ),
    "a decorator of another file changes what a function is": turned(
        {
            "t.py": TWO,
            "d.py": "from t import A, B\ndef deco(f) -> A: ...\n",
            "f.py": "from d import deco\n@deco\ndef f(): ...\n",
            "u.py": "from f import f\ndef u():\n    f.m()\n",
        },
        "d.py",
        "-> A",
        "-> B",
    ),
    "a class narrows what a test asks for": turned(
        {
            "t.py": TWO,
            "n.py": "from t import A, B\nclass N(A): ...\n",
            "u.py": (
                "from n import N\ndef u(x: object):\n    if isinstance(x, N):\n        x.m()\n"
            ),
        },
        "n.py",
        "N(A)",
        "N(B)",
    ),
}
