"""A workspace full of traps: nothing of it is run, and nothing of it says what is run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.running import Daemon, Place, running, write_tree

GOOD = "def helper():\n    return 1\n\n\ndef caller():\n    return helper()\n"
PROGRAMS = ["ty", "python", "python3", "node", "sh", "env", "enrichd"]
MODULES = [
    "enrichd",
    "enrichd_tracker",
    "sitecustomize",
    "usercustomize",
    "msgspec",
    "tree_sitter",
    "tree_sitter_python",
    "ctypes",
    "signal",
    "json",
    "tomllib",
    "conftest",
    "setup",
]


class Traps:
    """Programs and settings in a workspace that leave a mark behind when they are run or used."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        self.marks = folder / "marks"
        self.marks.mkdir()
        write_tree(self.root, {"good.py": GOOD, ".venv/pyvenv.cfg": "home = /usr/bin\n"})

    def program(self, *places: str) -> None:
        for place in places:
            path = self.root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\ntouch {self.marks}/{place.replace('/', '_')}\n")
            path.chmod(0o755)

    def module(self, *names: str) -> None:
        for name in names:
            mark = self.marks / f"module_{name}"
            text = f"open({str(mark)!r}, 'w').close()\nraise SystemExit(9)\n"
            write_tree(self.root, {f"{name}.py": text})

    def settings(self) -> None:
        own = json.dumps([str(self.root / "trap")])
        config = (
            f'[enrich.servers]\npython = "trap"\n[[server]]\nname = "trap"\n'
            f'languages = ["python"]\ncommand = {own}\n[[server]]\nname = "ty"\ncommand = {own}\n'
        )
        editor = {"ty.path": [str(self.root / "trap")], "python.defaultInterpreterPath": "./trap"}
        self.program("trap")
        write_tree(
            self.root,
            {
                "config.toml": config,
                "enrichd.toml": config,
                ".enrichd/config.toml": config,
                ".config/enrichd/config.toml": config,
                "enrichd/config.toml": config,
                ".vscode/settings.json": json.dumps(editor),
                ".env": f"ENRICHD_CONFIG={self.root}/config.toml\n",
                "ty.toml": '[environment]\npython = "./.venv"\nextra-paths = ["."]\n',
                "pyproject.toml": f'[tool.ty.environment]\npython = "./trap"\n[tool.enrichd]\n'
                f"command = {own}\n",
            },
        )

    def repository(self) -> None:
        if shutil.which("git") is None:
            pytest.skip("there is no git here")
        subprocess.run(["git", "init", "-q"], cwd=self.root, check=True)
        self.program(".git/hooks/post-index-change", ".git/hooks/fsmonitor-watchman", "fsmonitor")
        for key, value in {
            "core.fsmonitor": "./fsmonitor",
            "core.hooksPath": ".git/hooks",
            "core.pager": "./fsmonitor",
            "alias.ls-files": "!./fsmonitor",
            "filter.trap.clean": "./fsmonitor",
        }.items():
            subprocess.run(["git", "config", key, value], cwd=self.root, check=True)
        write_tree(self.root, {".gitattributes": "*.py filter=trap\n"})

    @property
    def sprung(self) -> list[str]:
        return sorted(each.name for each in self.marks.iterdir())


@pytest.fixture
def traps(tmp_path: Path) -> Traps:
    return Traps(tmp_path)


def servers(daemon: Daemon) -> list[Any]:
    """Those that run."""
    return [each for each in daemon.status()["servers"] if each["pid"] is not None]


def check(place: Place, traps: Traps, path: str | None = None) -> None:
    """Index and serve it from within, as somebody does who stands in it."""
    more = {} if path is None else {"PATH": path}
    place.configure(traps.root)
    said = place.run("index", ".", "--json", cwd=traps.root, more=more)
    assert said.code == 0, said
    assert said.json["server"].startswith("ty ")
    assert place.ask("callers", "helper")["count"] == 1
    with running(place, more) as daemon:
        daemon.wait_until_settled()
        daemon.wait_until("its server runs", lambda: servers(daemon))
        [server] = servers(daemon)
        command = place.processes()[server["pid"]]
        assert not command.startswith(str(traps.root)), command
        assert daemon.terminate()[0] == 0
    assert traps.sprung == []


def test_its_settings_choose_no_program(place: Place, traps: Traps) -> None:
    traps.settings()
    check(place, traps)


def test_its_modules_are_imported_by_nobody(place: Place, traps: Traps) -> None:
    traps.module(*MODULES)
    check(place, traps)


def test_its_virtual_environment_supplies_no_program(place: Place, traps: Traps) -> None:
    for folder in (".venv/bin", "node_modules/.bin", "bin", "."):
        traps.program(*(f"{folder}/{name}" for name in PROGRAMS))
    check(place, traps)


def test_its_repository_runs_no_program(place: Place, traps: Traps) -> None:
    traps.repository()
    check(place, traps)


def test_a_server_is_not_taken_from_it_even_where_path_leads_into_it(
    place: Place, traps: Traps
) -> None:
    """An activated environment; a PATH with relative parts."""
    traps.program(".venv/bin/ty", "ty")
    folders = [traps.root / ".venv" / "bin", ".", "", ".venv/bin", os.environ["PATH"]]
    check(place, traps, os.pathsep.join(map(str, folders)))


def test_no_program_is_found_in_any_workspace(place: Place, traps: Traps) -> None:
    """Not git, and no server for another workspace either."""
    traps.repository()
    traps.program("bin/git", "bin/ty", "bin/python3", "bin/uname")
    more = {"PATH": os.pathsep.join([str(traps.root / "bin"), os.environ["PATH"]])}
    other = write_tree(place.folder / "other", {"good.py": GOOD})
    place.configure(traps.root, other)
    with running(place, more) as daemon:
        daemon.wait_until_settled(workspaces=2)
        assert place.run("doctor", more=more).code == 0
        assert daemon.terminate()[0] == 0
    assert traps.sprung == []
