"""Small changes whose effect is felt in another file, by what is imported and which files are."""

from __future__ import annotations

from tests.edits.cases import TWO, TWO_FILES, Case, case, turned

INDENTED = (
    "def a(x):\n    if x:\n        return x\n    if a:\n        x = 1\n    return x\n\n"
    "def f(): ...\n\ndef g():\n    f()\n"
)
IMPORTS: dict[str, Case] = {
    "a re-export is turned to another module": turned(
        {
            **TWO_FILES,
            "pkg/__init__.py": "from a import K\n",
            "u.py": "from pkg import K\ndef u(k: K):\n    k.m()\n    K().m()\n",
        },
        "pkg/__init__.py",
        "from a",
        "from b",
    ),
    "the import of an annotation's class is turned": turned(
        {
            **TWO_FILES,
            "f.py": "from __future__ import annotations\nfrom a import K\ndef f() -> K: ...\n",
            "u.py": "from f import f\ndef u():\n    f().m()\n",
        },
        "f.py",
        "from a",
        "from b",
    ),
    "the import of a base's module is turned": turned(
        {
            **TWO_FILES,
            "c.py": "import a as base\nclass C(base.K): ...\n",
            "u.py": "from c import C\ndef u(c: C):\n    c.m()\n",
        },
        "c.py",
        "import a as",
        "import b as",
    ),
    "a star import is turned": turned(
        {
            **TWO_FILES,
            "s.py": "from a import *\n",
            "u.py": "from s import K\ndef u():\n    K().m()\n",
            "w.py": "from s import *\ndef w():\n    K().m()\n",
        },
        "s.py",
        "from a",
        "from b",
    ),
    "a star import hides a name": turned(
        {
            **TWO_FILES,
            "s.py": "from a import K\n",
            "u.py": "from s import *\ndef u():\n    K().m()\n",
        },
        "s.py",
        "import K\n",
        "import K\nfrom b import *\n",
    ),
    "a name leaves __all__": turned(
        {
            **TWO_FILES,
            "s.py": "from a import K\nX = 1\n__all__ = ['K', 'X']\n",
            "u.py": "from b import K\nfrom s import *\ndef u():\n    K().m()\n    X\n",
        },
        "s.py",
        "'K', ",
        "",
    ),
    "a name gets an underscore that a star import leaves out": turned(
        {
            "s.py": "def f(): ...\ndef g(): ...\n",
            "u.py": "from s import *\ndef u():\n    f()\n    _f()\n    g()\n",
        },
        "s.py",
        "def f()",
        "def _f()",
    ),
    "a module's __getattr__ appears": turned(
        {
            "t.py": TWO,
            "c.py": "from t import A\n",
            "u.py": "import c\ndef u():\n    c.whatever.m()\n",
        },
        "c.py",
        "import A\n",
        "import A\ndef __getattr__(name) -> A: ...\n",
    ),
    "an attribute of a module is a module no more": turned(
        {
            "pkg/__init__.py": "from . import sub\n",
            "pkg/sub.py": "def f(): ...\n",
            "other.py": "def f(): ...\n",
            "u.py": "import pkg\ndef u():\n    pkg.sub.f()\n",
        },
        "pkg/__init__.py",
        "from . import sub",
        "import other as sub",
    ),
    "an import elsewhere makes a submodule known": turned(
        {
            "pkg/__init__.py": "\n",
            "pkg/sub.py": "def f(): ...\n",
            "u.py": "import pkg\ndef u():\n    pkg.sub.f()\n",
        },
        "pkg/__init__.py",
        "\n",
        "import pkg.sub\n",
    ),
    "an import appears under a condition": turned(
        {
            **TWO_FILES,
            "c.py": "from a import K\n",
            "u.py": "from c import K\ndef u():\n    K().m()\n",
        },
        "c.py",
        "from a import K\n",
        "try:\n    from b import K\nexcept ImportError:\n    from a import K\n",
    ),
    "a circle of imports is closed": turned(
        {
            **TWO_FILES,
            "x.py": "import y\nfrom a import K\ndef fx():\n    return K()\n",
            "y.py": "K = None\ndef fy():\n    return K\n",
            "u.py": "from x import fx\nfrom y import fy\ndef u():\n    fx().m()\n    fy().m()\n",
        },
        "y.py",
        "K = None\n",
        "from x import K\n",
    ),
}

PACKAGE: dict[str, str | bytes] = {
    "pk/__init__.py": "W = 1\n",
    "pk/tools.py": "def f(): ...\n",
    "pk/uses.py": "from .tools import f\nfrom pk import W\ndef g():\n    f()\n    return W\n",
}


def _renamed(files: dict[str, str | bytes], old: str, new: str) -> dict[str, str | bytes | None]:
    gone = [path for path in files if path.startswith(old)]
    return dict.fromkeys(gone) | {new + path[len(old) :]: files[path] for path in gone}


_PART: dict[str, str | bytes] = {
    "p/__init__.py": "",
    "p/s.py": "def f(): ...\n",
    "u.py": "from p import s\ndef u():\n    s.f()\n    s.later()\n",
    "p/v.py": "from . import s as z\ndef v():\n    z.f()\n    z.later()\n",
}
FILES: dict[str, Case] = {
    "a name appears in a module that is imported from its package": turned(
        _PART, "p/s.py", "def f(): ...\n", "def f(): ...\ndef later(): ...\n"
    ),
    "a module that is imported from its package is renamed": case(
        _PART, _renamed(_PART, "p/s.py", "p/t.py"), {"p/t.py": None, "p/s.py": "def f(): ...\n"}
    ),
    "a file is renamed and back": case(
        {"a.py": "def f(): ...\n", "u.py": "from a import f\ndef u():\n    f()\n"},
        {"a.py": None, "z.py": "def f(): ...\n"},
        {"z.py": None, "a.py": "def f(): ...\n"},
    ),
    "a file is deleted and restored": case(
        {"a.py": TWO, "b.py": "from a import A\n", "u.py": "from b import A\ndef u(a: A): a.m()\n"},
        {"b.py": None},
        {"b.py": "from a import A\n"},
    ),
    "two files change their contents": case(
        {
            "a.py": "class K:\n    def m(self): ...\n    def a(self): ...\n",
            "b.py": "class K:\n    def b(self): ...\n    def m(self): ...\n",
            "u.py": "from a import K\nfrom b import K as L\ndef u(k: K, l: L):\n"
            "    k.m()\n    k.a()\n    l.m()\n    l.b()\n",
        },
        {
            "a.py": "class K:\n    def b(self): ...\n    def m(self): ...\n",
            "b.py": "class K:\n    def m(self): ...\n    def a(self): ...\n",
        },
    ),
    "a package appears in front of a module": case(
        {"x.py": "def f(): ...\n", "u.py": "from x import f\nimport x\ndef u():\n    x.f()\n"},
        {"x/__init__.py": "def f(): ...\n"},
        {"x/__init__.py": None},
    ),
    "a module appears in front of a folder without __init__": case(
        {"x/y.py": "def f(): ...\n", "u.py": "from x.y import f\ndef u():\n    f()\n"},
        {"x.py": "def f(): ...\n"},
        {"x.py": None},
    ),
    "a folder becomes a package": case(
        {
            "x/y.py": "def f(): ...\n",
            "u.py": "import x.y\nfrom x import y\ndef u():\n    x.y.f()\n",
        },
        {"x/__init__.py": "from b import y\n", "b.py": "class y:\n    def f(self): ...\n"},
        {"x/__init__.py": None},
    ),
    "a stub appears beside a module": case(
        {"x.py": "def f(): ...\n", "u.py": "from x import f\ndef u():\n    f()\n"},
        {"x.pyi": "def f(): ...\ndef g(): ...\n"},
        {"x.pyi": None},
    ),
    "a file appears in front of the standard library": case(
        {"u.py": "import json\nfrom json import dumps\ndef u():\n    dumps(json.loads(''))\n"},
        {"json.py": "def dumps(x): ...\ndef loads(x): ...\n"},
        {"json.py": None},
    ),
    "a class of the standard library is hidden by a file": case(
        {
            "v.py": "from enum import Enum\nclass V(Enum):\n    ONE = 1\n",
            "u.py": "from v import V\ndef u():\n    V.ONE.name.own()\n",
        },
        {"enum.py": "from t import A\nclass Enum:\n    name: A\n", "t.py": TWO},
        {"t.py": TWO.replace("only_a", "own")},
    ),
    "a package is renamed": case(
        PACKAGE,
        _renamed(PACKAGE, "pk/", "pl/"),
        _renamed({f"pl/{path[3:]}": text for path, text in PACKAGE.items()}, "pl/", "pk/"),
    ),
    "a package is added": case(
        {"u.py": "import canary\ndef u():\n    canary.canary()\n"},
        {**PACKAGE},
        {"u.py": "from pk.tools import f\ndef u():\n    f()\n"},
    ),
    "a folder inside a package is renamed": case(
        {"top/__init__.py": "", **{f"top/{path}": text for path, text in PACKAGE.items()}},
        _renamed({f"top/{path}": text for path, text in PACKAGE.items()}, "top/pk/", "top/pl/"),
    ),
    "a module becomes a package": case(
        {"x.py": "def f(): ...\n", "u.py": "import x\ndef u():\n    x.f()\n"},
        {"x.py": None, "x/__init__.py": "def f(): ...\n"},
        {"x/__init__.py": None, "x.py": "def f(): ...\n"},
    ),
    "the name of an unknown import is given to a file": case(
        {"u.py": "from later import thing\ndef u():\n    thing.m()\n    thing().m()\n"},
        {"later.py": "from t import A as thing\n"},
        {"t.py": TWO},
        {"t.py": None},
    ),
}

_KEPT = "from t import A\ndef u(a: A):\n    a.m()\n    return A()\n"
TEXTS: dict[str, Case] = {
    "a broken file is mended": case(
        {
            "t.py": TWO + "def f():\n    return A()\n",
            "u.py": "from t import f, A\ndef u():\n    f().m()\n    A().only_a()\n",
        },
        {"t.py": "class A(\n\ndef f(:\n    return A(\n"},
        {"t.py": TWO + "def f():\n    return A()\n"},
    ),
    "a file is broken in the middle": case(
        {
            "t.py": TWO,
            "c.py": "from t import A\nclass C(A):\n    def n(self):\n        self.m()\n",
            "u.py": "from c import C\ndef u():\n    C().m()\n    C().n()\n",
        },
        {"c.py": "from t import A\nclass C(A:\n    def n(self):\n        self.m(\n"},
        {"c.py": "from t import A\nclass C(A):\n    def n(self):\n        self.m()\n"},
    ),
    "a stray indent hides what comes after it": case(
        {"t.py": INDENTED, "u.py": "from t import f, g\ndef u():\n    f()\n    g()\n"},
        {"t.py": INDENTED.replace("    if a", "       if a")},
        {"t.py": INDENTED},
    ),
    "a body is missing": case(
        {
            "t.py": "def a(x):\n    return x\n\ndef f(): ...\n",
            "u.py": "from t import f\ndef u():\n    f()\n",
        },
        {"t.py": "def a(x):\n\ndef f(): ...\n"},
    ),
    "a file is no text any more": case(
        {"t.py": TWO, "u.py": "from t import A\ndef u():\n    A().m()\n"},
        {"t.py": b"\xff\xfe\x00" + TWO.encode()},
        {"t.py": TWO},
    ),
    "a file gets other line ends": case(
        {"t.py": TWO, "u.py": "from t import A\ndef u():\n    A().m()\n"},
        {
            "t.py": TWO.replace("\n", "\r\n"),
            "u.py": "from t import A\r\ndef u():\r\n    A().m()\r\n",
        },
        {"t.py": b"\xef\xbb\xbf" + TWO.encode()},
        unseen=True,
    ),
    "a definition of the same name comes last": turned(
        {
            "t.py": TWO + "def f() -> A: ...\ndef g(): ...\n",
            "u.py": "from t import f\ndef u():\n    f().m()\n",
        },
        "t.py",
        "def g(): ...",
        "def f() -> B: ...",
    ),
    "two of one name change places": turned(
        {
            "t.py": TWO + "class K(A): ...\nclass K(B): ...\n",
            "u.py": "from t import K\ndef u():\n    K().m()\n",
        },
        "t.py",
        "class K(A): ...\nclass K(B): ...\n",
        "class K(B): ...\nclass K(A): ...\n",
    ),
    "a name is bound once more by a loop": turned(
        {
            "t.py": TWO + "k = A()\nall_of = [B()]\npass\n",
            "u.py": "from t import k\ndef u():\n    k.m()\n",
        },
        "t.py",
        "pass\n",
        "for k in all_of: ...\n",
    ),
    "a global is set in a function": turned(
        {
            "t.py": TWO + "k = None\ndef set_it():\n    pass\n",
            "u.py": "from t import k\ndef u():\n    k.m()\n",
        },
        "t.py",
        "    pass\n",
        "    global k\n    k = A()\n",
    ),
    "lines are put above the uses": case({"t.py": TWO, "u.py": _KEPT}, {"u.py": f"\n\n{_KEPT}"}),
    "a name is deleted": turned(
        {
            "t.py": TWO + "k = A()\npass\n",
            "u.py": "from t import k\ndef u():\n    k.m()\n",
        },
        "t.py",
        "pass\n",
        "del k\n",
    ),
}
QUIET: dict[str, Case] = {
    "a comment is added": case({"t.py": TWO, "u.py": _KEPT}, {"t.py": TWO + "# a remark\n"}),
    "a comment behind code is added": case(
        {"t.py": TWO, "u.py": _KEPT}, {"u.py": _KEPT.replace("return A()", "return A()  # é")}
    ),
    "a docstring is changed": case(
        {"t.py": f'"""One."""\n{TWO}', "u.py": _KEPT}, {"t.py": f'"""Two."""\n{TWO}'}
    ),
    "lines are put above": case({"t.py": TWO, "u.py": _KEPT}, {"t.py": f"# one\n\n# two\n{TWO}"}),
    "a comment is put above imports": case(
        {"t.py": TWO, "u.py": _KEPT}, {"u.py": f"# one\n{_KEPT}"}, {"u.py": f"\n\n{_KEPT}"}
    ),
    "a file is saved as it is": case({"t.py": TWO, "u.py": _KEPT}, {"t.py": TWO, "u.py": _KEPT}),
}
"""Changes of text that no name hangs on: nothing is asked at all."""
