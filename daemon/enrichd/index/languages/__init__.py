"""The languages that can be indexed: data read from one folder each, without a branch in code."""

from __future__ import annotations

import importlib
import re
from functools import cache, cached_property
from importlib.resources import files

import msgspec
from msgspec import Struct
from tree_sitter import Language as Grammar
from tree_sitter import Parser, Query

from enrichd_tracker.model import SymbolKind


class DefinitionRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What a definition captured as ``@symbol.<name>`` is; it opens a scope of the same name."""

    kind: SymbolKind
    within: dict[str, SymbolKind] = {}
    """Its kind where it stands directly in a scope of the given name."""


class ScopeRule(Struct, frozen=True, forbid_unknown_fields=True):
    """How names behave in the scopes of one name."""

    symbols: bool = False
    """Variables that are bound here are symbols; elsewhere they are locals."""
    hidden: bool = False
    """Names that are bound here can't be seen from the scopes inside."""
    transparent: bool = False
    """Definitions that stand here are bound in the scope around it."""
    hoists: bool = False
    """A ``@bind.hoisted`` in here binds in the scope around it."""


class MarkRule(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``@mark.<name>`` on a definition's name changes."""

    becomes: dict[SymbolKind, SymbolKind] = {}
    overload: bool = False


class LanguageData(Struct, frozen=True, forbid_unknown_fields=True):
    """What ``language.toml`` says."""

    name: str
    """tree-sitter's name."""
    grammar: str
    """The import package that holds the grammar."""
    suffixes: list[str]
    definitions: dict[str, DefinitionRule]
    scopes: dict[str, ScopeRule]
    marks: dict[str, MarkRule] = {}
    package_files: list[str] = []
    """A folder that holds one of these is a package and a part of its modules' names."""
    constant: str = r"(?!)"
    """A variable whose name matches this from start to end is a constant."""
    builtins: list[str] = []
    implicit: str = r"(?!)"
    """A member whose name matches this from start to end is used without being named."""
    entries: str = r"(?!)"
    """A definition whose name matches this from start to end is called by tools."""
    decorator: str = r"(?!)"
    """Finds the names of decorators in what stands before a definition, as its group."""
    plain_decorators: list[str] = []
    """These only change what they decorate; any other may hand it to somebody."""
    tests: str = r"(?!)"
    """Found in the paths of files that are tests."""
    never: str = r"(?!)"
    """A function in whose heading this is found may not return."""


class Language:
    """One language: its data, and the grammar and query, which are loaded when first used."""

    def __init__(self, data: LanguageData, query_text: str) -> None:
        self.data = data
        self.name = data.name
        self.builtins = frozenset(data.builtins)
        self.package_files = frozenset(data.package_files)
        self._constant = re.compile(data.constant)
        self._implicit = re.compile(data.implicit)
        self._entries = re.compile(data.entries)
        self._decorator = re.compile(data.decorator.encode(), re.MULTILINE)
        self._plain_decorators = frozenset(data.plain_decorators)
        self._tests = re.compile(data.tests)
        self._never = re.compile(data.never.encode())
        self._query_text = query_text

    def is_constant(self, name: str) -> bool:
        """Whether a variable of that name is meant never to change."""
        return self._constant.fullmatch(name) is not None

    def is_implicit(self, name: str) -> bool:
        """Whether a member of that name is used without being named (an operator)."""
        return self._implicit.fullmatch(name) is not None

    def is_entry(self, name: str) -> bool:
        """Whether a definition of that name is called by tools."""
        return self._entries.fullmatch(name) is not None

    def is_test(self, path: str) -> bool:
        """Whether a file at that path, relative to the root, is a test or belongs to tests."""
        return self._tests.search(path) is not None

    def registers(self, decorators: bytes) -> bool:
        """Whether one of the decorators may hand what it decorates to somebody."""
        names = (found.decode().rpartition(".")[2] for found in self._decorator.findall(decorators))
        return any(name not in self._plain_decorators for name in names)

    def may_never_return(self, heading: bytes) -> bool:
        """Whether a function with that heading may be declared not to return."""
        return self._never.search(heading) is not None

    @cached_property
    def grammar(self) -> Grammar:
        return Grammar(importlib.import_module(self.data.grammar).language())

    @cached_property
    def parser(self) -> Parser:
        return Parser(self.grammar)

    @cached_property
    def part_parser(self) -> Parser:
        """For parts of a text: its ``included_ranges`` are set before each use."""
        return Parser(self.grammar)

    @cached_property
    def query(self) -> Query:
        """Everything that extraction wants to know about a tree, asked at once."""
        return Query(self.grammar, self._query_text)

    @cached_property
    def error_query(self) -> Query:
        """Asked only of a tree that says that it has errors."""
        return Query(self.grammar, "(ERROR) @error (MISSING) @missing")


@cache
def languages() -> dict[str, Language]:
    """Every language by tree-sitter's name of it."""
    found = {}
    for folder in files(__name__).iterdir():
        description = folder / "language.toml"
        if not description.is_file():
            continue
        data = msgspec.toml.decode(description.read_bytes(), type=LanguageData)
        query_text = (folder / "symbols.scm").read_text("utf-8")
        found[data.name] = Language(data, query_text)
    return dict(sorted(found.items()))


def suffixes() -> dict[str, str]:
    """The language of each file name suffix."""
    return {
        suffix: language.name
        for language in languages().values()
        for suffix in language.data.suffixes
    }


@cache
def other_suffixes() -> dict[str, str]:
    """The same for the programming languages that are known by name only."""
    text = (files(__name__) / "others.toml").read_bytes()
    others = msgspec.toml.decode(text, type=dict[str, list[str]])
    known = suffixes()
    return {
        suffix: language
        for language, theirs in others.items()
        for suffix in theirs
        if suffix not in known and language not in languages()
    }
