from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from enrichd.lsp.profiles import BUILT_IN, merge
from enrichd.lsp.python_environment import adapt, inspect


def make(root: Path, *files: str, **papers: str) -> None:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    for name, text in papers.items():
        (root / name.replace("_", ".")).write_text(text)


def roots(root: Path) -> list[str]:
    return [os.path.relpath(each, root) for each in inspect(root).source_roots]


@pytest.mark.parametrize("file", ["src/flask/__init__.py", "src/flask/app.py", "src/six.py"])
def test_src_is_a_source_root_when_it_holds_packages_or_modules(tmp_path: Path, file: str) -> None:
    make(tmp_path, file)
    assert roots(tmp_path) == ["src"]


def test_src_that_is_a_package_itself_or_holds_no_python_is_none(tmp_path: Path) -> None:
    make(tmp_path / "package", "src/__init__.py", "src/app.py")
    make(tmp_path / "other", "src/main.c", "src/lib/main.c")
    assert roots(tmp_path / "package") == []
    assert roots(tmp_path / "other") == []


@pytest.mark.parametrize(
    "text",
    [
        '[tool.setuptools.packages.find]\nwhere = ["lib"]',
        '[tool.setuptools.package-dir]\n"" = "lib"',
        '[tool.hatch.build.targets.wheel]\npackages = ["lib/thing"]',
        '[tool.hatch.build.targets.wheel]\nsources = ["lib"]',
        '[tool.hatch.build]\nsources = {"lib" = ""}',
        '[[tool.poetry.packages]]\ninclude = "thing"\nfrom = "lib"',
        '[tool.pdm.build]\npackage-dir = "lib"',
        '[tool.uv.build-backend]\nmodule-root = "lib"',
    ],
)
def test_what_the_build_backend_is_told_is_believed(tmp_path: Path, text: str) -> None:
    make(tmp_path, "lib/thing/__init__.py", pyproject_toml=text)
    assert roots(tmp_path) == ["lib"]


def test_setup_cfg_is_believed_too(tmp_path: Path) -> None:
    make(tmp_path, "lib/thing.py", setup_cfg="[options]\npackage_dir =\n    = lib\n")
    assert roots(tmp_path) == ["lib"]


@pytest.mark.parametrize(
    "text",
    [
        "[tool.setuptools.packages.find]\nwhere = 5",
        '[tool.setuptools.packages.find]\nwhere = ["nowhere", "..", "/etc", ".", "out", "file"]',
        "tool = 5",
        "not toml at all [",
        '[tool.hatch.build.targets.wheel]\npackages = ["thing"]',
    ],
)
def test_what_makes_no_sense_or_leads_outside_is_passed_over(tmp_path: Path, text: str) -> None:
    make(tmp_path, "outside/thing.py")
    make(tmp_path / "root", "file", "thing/__init__.py", pyproject_toml=text)
    (tmp_path / "root" / "out").symlink_to(tmp_path / "outside")
    assert roots(tmp_path / "root") == []


@pytest.mark.parametrize("name", [".venv", "venv", "my-env"])
def test_a_virtual_environment_inside_the_workspace_is_found(tmp_path: Path, name: str) -> None:
    make(tmp_path, f"{name}/pyvenv.cfg", f"{name}/lib/python3.11/site-packages/x.py")
    python = inspect(tmp_path)
    assert python.virtual_environment == str(tmp_path / name)
    assert python.site_packages == [str(tmp_path / name / "lib/python3.11/site-packages")]


def test_an_environment_outside_the_workspace_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "elsewhere/pyvenv.cfg")
    root = tmp_path / "root"
    root.mkdir()
    (root / ".venv").symlink_to(tmp_path / "elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
    assert inspect(root).virtual_environment is None


def test_a_pipe_in_place_of_a_paper_blocks_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pyproject.toml")
    assert roots(tmp_path) == []


def test_without_an_environment_of_its_own_ty_is_given_ours_whoever_started_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(tmp_path, "src/flask/__init__.py")
    for path in ("/usr/bin", "/opt/other/bin"):
        monkeypatch.setenv("PATH", path)
        settings = adapt(BUILT_IN["ty"], tmp_path).settings["ty"]
        assert settings["configuration"] == {"environment": {"python": sys.prefix}}


def test_ty_is_told_only_what_it_cannot_know(tmp_path: Path) -> None:
    make(tmp_path, "src/flask/__init__.py")
    where = '[tool.setuptools.packages.find]\nwhere = ["lib"]'
    make(tmp_path, "lib/x.py", "env/pyvenv.cfg", pyproject_toml=where)
    environment = adapt(BUILT_IN["ty"], tmp_path).settings["ty"]["configuration"]["environment"]
    assert environment == {
        "extra-paths": [str(tmp_path / "lib")],
        "python": str(tmp_path / "env"),
    }


@pytest.mark.parametrize(
    "papers",
    [
        {"pyproject_toml": '[tool.ty.environment]\npython = "other"'},
        {"ty_toml": '[environment]\npython = "other"'},
    ],
)
def test_the_projects_own_word_about_its_python_stands(
    tmp_path: Path, papers: dict[str, str]
) -> None:
    make(tmp_path, "env/pyvenv.cfg", **papers)
    assert adapt(BUILT_IN["ty"], tmp_path).settings == BUILT_IN["ty"].settings


def test_basedpyright_is_given_paths_and_never_the_workspaces_interpreter(tmp_path: Path) -> None:
    make(tmp_path, "src/x.py", ".venv/pyvenv.cfg", ".venv/lib/python3.12/site-packages/y.py")
    settings = adapt(BUILT_IN["basedpyright"], tmp_path).settings
    assert settings["basedpyright"]["analysis"]["extraPaths"] == [
        str(tmp_path / "src"),
        str(tmp_path / ".venv/lib/python3.12/site-packages"),
    ]
    assert settings["python"]["pythonPath"] == sys.executable
    assert settings["basedpyright"]["analysis"]["autoSearchPaths"] is True


def test_what_the_user_says_wins(tmp_path: Path) -> None:
    make(tmp_path, "env/pyvenv.cfg")
    own = {"ty": {"configuration": {"environment": {"python": "/usr"}}}}
    adapted = adapt(merge(BUILT_IN["ty"], {"settings": own}), tmp_path)
    assert adapted.settings["ty"]["configuration"]["environment"]["python"] == "/usr"


def test_other_servers_are_left_alone(tmp_path: Path) -> None:
    make(tmp_path, "src/x.py", ".venv/pyvenv.cfg")
    other = merge(None, {"name": "zuban", "languages": ["python"], "command": ["zuban"]})
    assert adapt(other, tmp_path) is other
