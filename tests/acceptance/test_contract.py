"""What is promised in words: commands, options, keys, examples."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from tests.running import Place

from enrichd.cli.main import COMMANDS, root

TOP = Path(__file__).parents[2]
PROMISED = {
    "index",
    "run",
    "status",
    "servers",
    "wait",
    "symbols",
    "callers",
    "callees",
    "references",
    "explain",
    "failures",
    "retry",
    "workspaces",
    "verify",
    "doctor",
    "config",
    "export",
}


def leaves(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that does something."""
    if not isinstance(command, click.Group):
        yield path
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


def shown(path: Path) -> Iterator[list[str]]:
    """The `enrichd` commands in the code blocks of a paper."""
    for block in re.findall(r"```[^\n]*\n(.*?)```", path.read_text(), re.DOTALL):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            text = line.strip().removeprefix("$ ")
            if text.startswith("enrichd "):
                yield shlex.split(re.split(r"\s\||\s>|\s&&|\s2>", text)[0], comments=True)[1:]


def test_every_command_that_is_promised_is_there() -> None:
    assert COMMANDS.keys() >= PROMISED


@pytest.mark.parametrize("words", [(), *leaves(root)], ids=" ".join)
def test_every_command_has_help_with_an_example(place: Place, words: tuple[str, ...]) -> None:
    said = place.run(*words, "--help")
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("Usage: enrichd")
    assert "Examples:" in said.out
    for line in said.out.partition("Examples:")[2].splitlines():
        if line.strip().startswith("enrichd "):
            # a wide gap sets the explanation apart from the command
            assert_is_a_command(shlex.split(re.split(r" \||   ", line.strip())[0])[1:])


def test_every_command_in_the_papers_exists_with_its_options() -> None:
    papers = [TOP / "README.md", *sorted(TOP.glob("systemd/*.md")), *sorted(TOP.glob("docs/*.md"))]
    found = [words for paper in papers for words in shown(paper)]
    assert found, "README shows no command"
    for words in found:
        assert_is_a_command(words)


def assert_is_a_command(words: list[str]) -> None:
    command: click.Command = root
    options: set[str] = set()
    for word in words:
        options |= {name for each in command.params for name in each.opts}
        if isinstance(command, click.Group) and not word.startswith("-"):
            found = command.get_command(click.Context(command), word)
            assert found is not None, words
            command = found
        elif re.match(r"--?[a-z]", word):
            known = {name for each in command.params for name in each.opts} | options
            assert word.partition("=")[0] in known | {"--help", "-h", "--version"}, words


def everything() -> str:
    """The config.toml of the house with every key that is only a comment made one that holds."""
    text = (TOP / "config.toml").read_text()
    return re.sub(r"^# (\[\[?\w|[a-z_]+ = )", r"\1", text, flags=re.MULTILINE)


def test_every_key_of_config_toml_is_accepted_and_shown(place: Place) -> None:
    place.config.write_text(everything())
    said = place.run("config", "check", place.config)
    assert (said.code, said.out) == (0, f"ok: {place.config}\n"), said
    keys = set(re.findall(r"^([a-z_]+) = ", everything(), re.MULTILINE))
    shown_keys = set(re.findall(r"^([a-z_]+) = ", place.run("config", "show").out, re.MULTILINE))
    assert keys - {"python"} == shown_keys - {"servers"}  # a section there, a table here


def test_config_toml_as_it_is_says_nothing_but_the_defaults(place: Place) -> None:
    place.config.write_text((TOP / "config.toml").read_text())
    defaults = Place(place.folder / "none")
    defaults.folder.mkdir()

    def values(said: str) -> dict[str, str]:
        found = re.findall(r"^([a-z_]+) = (.*?)  # ", said, re.MULTILINE)
        return {key: value for key, value in found if "/" not in value}

    assert values(place.run("config", "show").out) == values(defaults.run("config", "show").out)


def test_a_flag_wins_over_the_environment_and_that_over_the_file(place: Place) -> None:
    place.config.write_text('[daemon]\ndatabase = "file.db"\n')
    by_file = place.run("config", "show").out
    assert f'database = "{place.folder}/file.db"  # {place.config}' in by_file
    by_variable = place.run("config", "show", more={"ENRICHD_DATABASE": "/variable.db"}).out
    assert 'database = "/variable.db"  # ENRICHD_DATABASE' in by_variable
    said = place.run("verify", "--db", "/flag.db", more={"ENRICHD_DATABASE": "/variable.db"})
    assert "there is no database at /flag.db" in said.err


def test_a_command_that_is_misspelt_is_refused_with_the_one_that_was_meant(place: Place) -> None:
    said = place.run("calers", "f")
    assert (said.code, said.out) == (64, "")
    assert "did you mean callers?" in said.err
