"""Small changes of a function's parameters, felt by those who do not use the function."""

from __future__ import annotations

from tests.edits.cases import TWO, Case, felt, turned

_USER = "from v import k\ndef u():\n    k.m()\n"
_GENERIC = "from typing import Callable, TypeVar\nfrom t import A, B\nT = TypeVar('T')\n"
_APPLIED = f"{_GENERIC}def apply(f: Callable[[T], object]) -> T: ...\n"

PARAMETERS: dict[str, Case] = {
    "a type variable goes to another parameter": felt(
        {
            "f.py": f"{_GENERIC}def f(x: T, y: object) -> T: ...\n",
            "v.py": "from f import f\nfrom t import A, B\nk = f(A(), B())\n",
            "u.py": _USER,
        },
        "f.py",
        "x: T, y: object",
        "x: object, y: T",
    ),
    "a type variable of another file goes to another parameter": felt(
        {
            "w.py": "from typing import TypeVar\nT = TypeVar('T')\n",
            "f.py": "from w import T\ndef f(x: T, y: object) -> T: ...\n",
            "v.py": "from f import f\nfrom t import A, B\nk = f(A(), B())\n",
            "u.py": _USER,
        },
        "f.py",
        "x: T, y: object",
        "x: object, y: T",
    ),
    "a type variable in quotes goes to another parameter": felt(
        {
            "f.py": f"{_GENERIC}def f(x: T, y: object) -> 'T': ...\n",
            "v.py": "from f import f\nfrom t import A, B\nk = f(A(), B())\n",
            "u.py": _USER,
        },
        "f.py",
        "x: T, y: object",
        "x: object, y: T",
    ),
    "a type parameter goes to another parameter": felt(
        {
            "pyproject.toml": "[project]\nname = 'x'\nversion = '1'\nrequires-python = '>=3.12'\n",
            "f.py": "class T: ...\ndef f[T](x: T, y: object) -> list[T]: ...\n",
            "v.py": "from f import f\nfrom t import A, B\nk = f(A(), B())[0]\n",
            "u.py": _USER,
        },
        "f.py",
        "x: T, y: object",
        "x: object, y: T",
    ),
    "an attribute is what a generic function gives": felt(
        {
            "f.py": f"{_GENERIC}def f(x: T, y: object) -> T: ...\n",
            "v.py": (
                "from f import f\nfrom t import A, B\n"
                "class V:\n    def __init__(self):\n        self.k = f(A(), B())\n"
            ),
            "u.py": "from v import V\ndef u():\n    V().k.m()\n",
        },
        "f.py",
        "x: T, y: object",
        "x: object, y: T",
    ),
    "a method of a generic class takes something else": felt(
        {
            "f.py": (
                "from typing import Generic\n"
                f"{_GENERIC}class N(Generic[T]):\n    def __init__(self, x: T, y: object): ...\n"
                "    def get(self) -> T: ...\n"
            ),
            "v.py": "from f import N\nfrom t import A, B\nk = N(A(), B()).get()\n",
            "u.py": _USER,
        },
        "f.py",
        "x: T, y: object",
        "x: object, y: T",
    ),
    "overloads change places": felt(
        {
            "f.py": (
                "from typing import overload\nfrom t import A, B\n"
                "@overload\ndef f(x: int) -> A: ...\n"
                "@overload\ndef f(x: str) -> B: ...\n"
                "def f(x): ...\n"
            ),
            "v.py": "from f import f\nk = f(1)\n",
            "u.py": _USER,
        },
        "f.py",
        "x: int) -> A: ...\n@overload\ndef f(x: str",
        "x: str) -> A: ...\n@overload\ndef f(x: int",
    ),
    "what is handed to a function takes something else": felt(
        {
            "f.py": "from t import A, B\ndef f(x: A): ...\n",
            "v.py": f"from f import f\n{_APPLIED}k = apply(f)\n",
            "u.py": _USER,
        },
        "f.py",
        "x: A",
        "x: B",
    ),
    "what is handed to a function beside a call takes something else": felt(
        {
            "f.py": "from t import A, B\ndef f(x: A) -> None: ...\n",
            "v.py": f"from f import f\n{_APPLIED}k = (f(A()), apply(f))[1]\n",
            "u.py": _USER,
        },
        "f.py",
        "x: A",
        "x: B",
    ),
    "what is handed on under another name takes something else": felt(
        {
            "f.py": "from t import A, B\ndef f(x: A): ...\n",
            "g.py": "from f import f\ng = f\n",
            "v.py": f"from g import g\n{_APPLIED}k = apply(g)\n",
            "u.py": _USER,
        },
        "f.py",
        "x: A",
        "x: B",
    ),
    "a method that is handed on takes something else": felt(
        {
            "f.py": "from t import A, B\nclass F:\n    def f(self, x: A): ...\n",
            "v.py": (
                f"from f import F\n{_APPLIED}class V:\n"
                "    def __init__(self):\n        self.k = apply(F().f)\n"
            ),
            "u.py": "from v import V\ndef u():\n    V().k.m()\n",
        },
        "f.py",
        "x: A",
        "x: B",
    ),
    "a decorator makes of a function what it takes": felt(
        {
            "f.py": f"{_APPLIED}@apply\ndef f(x: A): ...\n",
            "v.py": "from f import f\nk = f\n",
            "u.py": _USER,
        },
        "f.py",
        "f(x: A)",
        "f(x: B)",
    ),
    "a decorator keeps what a function takes": felt(
        {
            "f.py": (
                f"{_GENERIC}class N:\n    def __init__(self, f: object): ...\n"
                "def keep(f: Callable[[T], object]) -> Callable[[], T]: ...\n"
                "@keep\ndef f(x: A): ...\n"
            ),
            "v.py": "from f import f\nk = f()\n",
            "u.py": _USER,
        },
        "f.py",
        "f(x: A)",
        "f(x: B)",
    ),
    "a function narrows its other argument": felt(
        {
            "f.py": (
                "from typing import TypeGuard\nfrom t import A\n"
                "def f(x: object, y: object) -> TypeGuard[A]: ...\n"
            ),
            "v.py": (
                "from f import f\nfrom t import A, B\n"
                "def get() -> B: ...\none = get()\nk = one if f(y=1, x=one) else get()\n"
            ),
            "u.py": _USER,
        },
        "f.py",
        "x: object, y: object",
        "y: object, x: object",
    ),
    "a callback takes something else": turned(
        {
            "t.py": TWO,
            "f.py": (
                "from typing import Callable\nfrom t import A, B\n"
                "def f(x: Callable[[A], object]) -> None: ...\n"
            ),
            "v.py": "from f import f\ndef v():\n    f(lambda p: p.m())\n",
            "u.py": "from v import v\ndef u():\n    v()\n",
        },
        "f.py",
        "[[A]",
        "[[B]",
    ),
    "an attribute holds what an attribute takes": felt(
        {
            "f.py": "from t import A, B\ndef f(x: A): ...\n",
            "w.py": (
                "from f import f\nclass W:\n    def __init__(self):\n        self.cb = f\n"
                "        self.done = f(1)\n"
            ),
            "v.py": f"from w import W\n{_APPLIED}k = apply(W().cb)\n",
            "u.py": _USER,
        },
        "f.py",
        "x: A",
        "x: B",
    ),
    "a call that does not fit gives what it gave": turned(
        {
            "t.py": TWO,
            "f.py": "class C:\n    def m(self): ...\n\ndef f(x) -> C: ...\ndef g(x): ...\n",
            "v.py": "from f import f, g\nk = f(1)\nn = g(1)\n",
            "w.py": "from v import k, n\nclass W:\n    def __init__(self):\n"
            "        self.k = k\n        self.f = f(1)\n        self.n = n\n",
            "u.py": (
                "from v import k\nfrom w import W\ndef u():\n    k.m()\n"
                "    W().k.m()\n    W().f.m()\n    W().n.m()\n"
            ),
        },
        "f.py",
        "f(x) -> C: ...\ndef g(x)",
        "f(x, y) -> C: ...\ndef g(*, z)",
        unseen=True,
    ),
    "a function that is one of two takes more": turned(
        {
            "t.py": TWO,
            "f.py": "class C:\n    def m(self): ...\n\ndef f(x) -> C: ...\ndef g(x) -> C: ...\n",
            "v.py": (
                "import f\nimport random\nh = f.f if random.random() else f.g\nk = h(1)\n"
                "try:\n    from f import f as i\nexcept ImportError:\n    from f import g as i\n"
                "n = i(1)\n"
            ),
            "u.py": "from v import k, n\ndef u():\n    k.m()\n    n.m()\n",
        },
        "f.py",
        "f(x)",
        "f(x, y)",
        unseen=True,
    ),
}
