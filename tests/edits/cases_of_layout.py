"""Small changes of where a server looks for modules, and of how their files are kept."""

from __future__ import annotations

from tests.edits.cases import TWO, Case, case, turned

LAYOUT: dict[str, Case] = {
    "pyproject.toml asks for another Python": case(
        {
            "v.py": (
                "import sys\n"
                "from t import A, B\n"
                "if sys.version_info >= (3, 10):\n"
                "    k = A()\n"
                "else:\n"
                "    k = B()\n"
            ),
            "u.py": ("from v import k\ndef u():\n    k.m()\n"),
            "t.py": TWO,
            "pyproject.toml": ('[project]\nname="x"\nversion="1"\nrequires-python=">=3.11"\n'),
        },
        {"pyproject.toml": ('[project]\nname="x"\nversion="1"\nrequires-python=">=3.8"\n')},
    ),
    "ty.toml names another root": case(
        {"lib/x.py": "def f(): ...\n", "u.py": ("from x import f\ndef u():\n    f()\n")},
        {"ty.toml": ('[environment]\nroot = [".", "./lib"]\n')},
        {"ty.toml": None},
    ),
    "a folder src appears": case(
        {"u.py": ("from x import f\ndef u():\n    f()\n")},
        {"src/x.py": "def f(): ...\n"},
        {"src/x.py": None},
    ),
    "the folder src becomes a package": case(
        {
            "src/x.py": "def f(): ...\n",
            "u.py": ("from x import f\nfrom src.x import f as g\ndef u():\n    f()\n    g()\n"),
        },
        {"src/__init__.py": ""},
        {"src/__init__.py": None},
    ),
    "the folder tests becomes a package": case(
        {
            "tests/x.py": "def f(): ...\n",
            "tests/u.py": (
                "from x import f\nfrom tests.x import f as g\ndef u():\n    f()\n    g()\n"
            ),
        },
        {"tests/__init__.py": ""},
        {"tests/__init__.py": None},
    ),
    "a folder python appears": case(
        {"u.py": ("from x import f\ndef u():\n    f()\n")},
        {"python/x.py": "def f(): ...\n"},
        {"python/x.py": None},
    ),
    "a package of stubs appears": case(
        {"x/__init__.py": "def f(): ...\n", "u.py": ("from x import f\ndef u():\n    f()\n")},
        {"x-stubs/__init__.pyi": ("def f(): ...\ndef g(): ...\n")},
        {"x-stubs/__init__.pyi": None},
    ),
    "a folder hides an installed package": case(
        {
            "u.py": (
                "import click\nfrom click import command\ndef u():\n    command(click.echo())\n"
            )
        },
        {"click/__init__.py": ("def command(): ...\ndef echo(): ...\n")},
        {"click/__init__.py": None},
    ),
    "a virtual environment appears": case(
        {"u.py": ("import foo_bar\ndef u():\n    foo_bar.f()\n")},
        {
            ".venv/pyvenv.cfg": ("home = /usr/bin\nversion = 3.11\n"),
            ".venv/lib/python3.11/site-packages/foo_bar.py": "def f(): ...\n",
            ".venv/bin/python": "",
        },
    ),
    "a file is named in small letters": case(
        {
            "Abc.py": "def f(): ...\n",
            "u.py": ("from Abc import f\nfrom abc_ import g\ndef u():\n    f()\n"),
        },
        {"Abc.py": None, "abc.py": "def f(): ...\n"},
        {"abc.py": None, "Abc.py": "def f(): ...\n"},
    ),
    "a file becomes a folder": case(
        {
            "x.py": "def f(): ...\n",
            "u.py": ("from x import f\nfrom x.y import g\ndef u():\n    f()\n    g()\n"),
        },
        {"x.py": None, "x/y.py": "def g(): ...\n"},
        {"x/y.py": None, "x.py": "def f(): ...\n"},
    ),
    "a stub takes the place of a module": case(
        {"x.py": "def f(): ...\n", "u.py": ("from x import f\ndef u():\n    f()\n")},
        {"x.py": None, "x.pyi": "def f(): ...\n"},
        {"x.pyi": None, "x.py": "def f(): ...\n"},
    ),
    "a stub appears in a package": case(
        {
            "x/__init__.py": "from x.y import f\n",
            "x/y.py": "def f(): ...\n",
            "u.py": ("from x import f\ndef u():\n    f()\n"),
        },
        {"x/__init__.pyi": "def f(): ...\n"},
        {"x/__init__.pyi": None},
    ),
    "a file says it is in Latin-1": case(
        {"x.py": "def f(): ...\n", "u.py": ("from x import f\ndef u():\n    f()\n")},
        {"x.py": b"# -*- coding: latin-1 -*-\ns = '\xe9'\ndef f(): ...\n"},
    ),
    "a package imports its own module": turned(
        {"p/__init__.py": "\n", "p/b.py": "class P: ...\n", "p/f.py": "from . import b\n"},
        "p/__init__.py",
        "\n",
        "from p.b import P\n",
    ),
    "a file with relative imports is hidden by a package": case(
        {"s/__init__.py": "", "s/i.py": "class I: ...\n", "s/x.py": "from .i import I\n"},
        {"s/x/__init__.py": ""},
        {"s/x/__init__.py": None},
    ),
    "a file changes and keeps its time": case(
        {"t.py": TWO, "u.py": "from t import A\n\ndef u():\n    A().m()\n    A().only_a()\n"},
        {"t.py": "\n\n\n" + TWO.replace("only_a", "other")},
        {"t.py": TWO},
        still=True,
    ),
    "a file is emptied and filled again": case(
        {"x.py": "def f(): ...\n", "u.py": ("from x import f\ndef u():\n    f()\n")},
        {"x.py": ""},
        {"x.py": "def f(): ...\n"},
    ),
}
