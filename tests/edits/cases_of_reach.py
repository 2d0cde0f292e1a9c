"""Small changes of which code is reached at all."""

from __future__ import annotations

from tests.edits.cases import Case, case, felt, turned


def _chosen(text: str) -> Case:
    """The module `v` binds `k`, to which class of object hangs on a constant of another file."""
    return felt(
        {
            "flags.py": "DEBUG = True\nMODE = 1\n",
            "v.py": f"from flags import DEBUG, MODE\nfrom t import A, B\n{text}",
            "v1.py": "from t import A\nk = A()\n",
            "v2.py": "from t import B\nk = B()\n",
            "u.py": "from v import k\ndef u():\n    k.m()\n",
        },
        "flags.py",
        "DEBUG = True\nMODE = 1",
        "DEBUG = False\nMODE = 2",
    )


REACHED: dict[str, Case] = {
    "a condition chooses a variable": _chosen("if DEBUG:\n    k = A()\nelse:\n    k = B()\n"),
    "a condition in a condition chooses": _chosen(
        "if 1:\n    if DEBUG:\n        k = A()\n    else:\n        k = B()\n"
    ),
    "a condition chooses a class": _chosen(
        "if DEBUG:\n    class C(A): ...\nelse:\n    class C(B): ...\nk = C()\n"
    ),
    "an elif chooses": _chosen(
        "if not MODE:\n    pass\nelif DEBUG:\n    k = A()\nelse:\n    k = B()\n"
    ),
    "a while chooses": _chosen("k = B()\nwhile DEBUG:\n    k = A()\n    break\n"),
    "a match chooses": _chosen(
        "match MODE:\n    case 1:\n        k = A()\n    case _:\n        k = B()\n"
    ),
    "a conditional expression chooses": _chosen("k = A() if DEBUG else B()\n"),
    "a condition overrides": _chosen("k = A()\nif not DEBUG:\n    k = B()\n"),
    "a condition ends the module": _chosen("k = A()\nif DEBUG:\n    raise SystemExit\nk = B()\n"),
    "a condition in a class chooses": _chosen(
        "class C:\n    if DEBUG:\n        x = A()\n    else:\n        x = B()\nk = C().x\n"
    ),
    "a condition in a method chooses an attribute": _chosen(
        "class C:\n"
        "    def __init__(self):\n"
        "        if DEBUG:\n"
        "            self.x = A()\n"
        "        else:\n"
        "            self.x = B()\n"
        "k = C().x\n"
    ),
    "a condition by another name chooses": _chosen(
        "D = DEBUG\nif D:\n    k = A()\nelse:\n    k = B()\n"
    ),
    "a condition on an attribute chooses": _chosen(
        "import flags\nif flags.DEBUG:\n    k = A()\nelse:\n    k = B()\n"
    ),
    "a condition deletes": _chosen("k = A()\nif not DEBUG:\n    del k\n"),
    "a condition around try chooses": _chosen(
        "if DEBUG:\n"
        "    try:\n"
        "        from t import A as K\n"
        "    except ImportError:\n"
        "        pass\n"
        "else:\n"
        "    from t import B as K\n"
        "k = K()\n"
    ),
    "a condition around star imports chooses": _chosen(
        "if DEBUG:\n    from v1 import *\nelse:\n    from v2 import *\n"
    ),
    "a module calls what does not return any more": felt(
        {
            "x.py": ("from typing import NoReturn\ndef leave() -> None: ...\n"),
            "v.py": ("from x import leave\nfrom t import A, B\nk = A()\nleave()\nk = B()\n"),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "x.py",
        "-> None",
        "-> NoReturn",
    ),
    "a branch of a module calls what does not return any more": felt(
        {
            "x.py": ("from typing import NoReturn\ndef leave() -> None: ...\n"),
            "v.py": (
                "from x import leave\n"
                "from t import A, B\n"
                "k = A()\n"
                "if input():\n"
                "    k = B()\n"
                "    leave()\n"
            ),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
        },
        "x.py",
        "-> None",
        "-> NoReturn",
    ),
    "a method does not return any more": felt(
        {
            "x.py": (
                "from typing import NoReturn\nclass X:\n    def leave(self) -> None: ...\nx = X()\n"
            ),
            "u.py": (
                "from t import A, B\n"
                "from x import x\n"
                "def u(p):\n"
                "    k = A()\n"
                "    if p:\n"
                "        k = B()\n"
                "        x.leave()\n"
                "    k.m()\n"
            ),
        },
        "x.py",
        "-> None",
        "-> NoReturn",
    ),
}

_C = "class C:\n    def m(self): ...\n"
_USE = "def use(c: C):\n    c.m()\n"
_HEIR = "class D(C):\n    def k(self):\n        self.m()\n"
_MADE = "k = C()\ndef use():\n    k.m()\n"
_BASE = (
    "class Base:\n    def run(self): ...\n    def stop(self):\n        self.run()\n"
    "def after():\n    return Base()\n"
)
ORDER: dict[str, Case] = {
    "a class comes after the function that is annotated with it": case(
        {"a.py": _C + _USE}, {"a.py": _USE + _C}, {"a.py": _C + _USE}
    ),
    "a class comes after its heir": case(
        {"a.py": _C + _HEIR}, {"a.py": _HEIR + _C}, {"a.py": _C + _HEIR}
    ),
    "a class comes after the variable that is made of it": case(
        {"a.py": _C + _MADE, "u.py": "from a import k\ndef u():\n    k.m()\n"},
        {"a.py": _MADE + _C, "u.py": "from a import k\ndef u():\n    k.m()\n"},
    ),
    "a line is indented by three more": turned(
        {
            "base.py": _BASE,
            "use.py": (
                "from base import Base, after\ndef u(b: Base):\n    b.stop()\n    after().run()\n"
            ),
        },
        "base.py",
        "    def stop",
        "       def stop",
    ),
}
"""What nobody's text says: where something stands."""
