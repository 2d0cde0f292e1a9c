"""A repository chooses no program, and writes nowhere but into its own folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.integration.sources.origins import (
    Origin,
    fetched,
    git,
    names,
    refused,
    tree,
)


async def test_no_program_of_a_repositorys_choice_or_of_a_filters_is_run(
    origin: Origin, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\necho $0 $* >> {ran}\ncat\n")
    program.chmod(0o755)
    templates = tmp_path / "templates" / "hooks"
    templates.mkdir(parents=True)
    for hook in ("post-checkout", "post-merge", "reference-transaction", "post-index-change"):
        (templates / hook).symlink_to(program)
    config = tmp_path / "gitconfig"
    config.write_text(
        f"[init]\n\ttemplateDir = {templates.parent}\n[core]\n\thooksPath = {templates}\n"
        f"\tfsmonitor = {program}\n\tautocrlf = true\n"
        f'[filter "lfs"]\n\tsmudge = {program}\n\tprocess = {program}\n\trequired = true\n'
        f'[filter "own"]\n\tsmudge = {program}\n\tclean = {program}\n'
    )
    attributes = (
        "*.py filter=own text eol=crlf ident\n*.bin filter=lfs\n"
        "*.txt working-tree-encoding=ISO-8859-1\n"
    )
    files = {
        ".gitattributes": attributes,
        "a.py": "# $Id$\n",
        "l.bin": "pointer\n",
        "t.txt": "grün\n",
    }
    (origin.work / ".git/info/attributes").write_text("* -filter -text !working-tree-encoding\n")
    origin.commit(files)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".gitconfig").symlink_to(config)
    for _ in range(2):
        found = await fetched(origin, sources / "x")
        assert tree(sources / "x") == {**files, "pkg/b.py": "b = 1\n"}
    assert found.changed is False
    assert not ran.exists()


async def test_variables_of_git_lead_nowhere_else(
    origin: Origin, sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "init", "-q", str(elsewhere))
    monkeypatch.setenv("GIT_DIR", str(elsewhere / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(elsewhere))
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch /nowhere")
    await fetched(origin, sources / "x")
    monkeypatch.undo()
    assert tree(sources / "x")["a.py"] == "a = 1\n"
    assert names(elsewhere) == [".git"]


async def test_a_link_out_of_the_tree_stays_a_link_and_nothing_is_written_through_it(
    origin: Origin, sources: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b.py").write_text("precious\n")
    (origin.work / "out").symlink_to(outside)
    (origin.work / "file.py").symlink_to(outside / "b.py")
    origin.commit()
    await fetched(origin, sources / "x")
    assert (sources / "x/out").is_symlink()
    git(origin.work, "rm", "-q", "out", "file.py")
    origin.commit({"out/b.py": "theirs\n", "file.py": "theirs\n"})
    await fetched(origin, sources / "x")
    (sources / "x/untracked").symlink_to(outside)
    shutil.rmtree(sources / "x/pkg")
    (sources / "x/pkg").symlink_to(outside)
    await fetched(origin, sources / "x")
    assert tree(sources / "x")["out/b.py"] == "theirs\n"
    assert tree(outside) == {"b.py": "precious\n"}


async def test_objects_that_do_harm_are_refused(origin: Origin, sources: Path) -> None:
    blob = git(origin.bare, "hash-object", "-w", "--stdin")
    raw = b"100644 ..\0" + bytes.fromhex(blob)
    made = git(origin.bare, "hash-object", "-t", "tree", "-w", "--stdin", "--literally", given=raw)
    commit = git(origin.bare, "commit-tree", "-m", "x", made)
    git(origin.bare, "update-ref", "refs/heads/main", commit)
    error = await refused(origin, sources / "x")
    assert "hasDotdot" in error.message
    assert "broken or harmful" in (error.hint or "")
    assert names(sources) == []


async def test_what_git_wrote_in_its_youth_is_taken(origin: Origin, sources: Path) -> None:
    tree_id = git(origin.work, "rev-parse", "HEAD^{tree}")
    raw = (
        f"tree {tree_id}\nauthor A <a> 1313584730 +051800\ncommitter A <a> 1313584730 +0000\n\nx\n"
    )
    kind = ("-t", "commit", "--literally")
    made = git(origin.bare, "hash-object", *kind, "-w", "--stdin", given=raw.encode())
    git(origin.bare, "update-ref", "refs/heads/main", made)
    assert (await fetched(origin, sources / "x")).commit == made
