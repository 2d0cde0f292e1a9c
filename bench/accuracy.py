"""How right a graph's edges are, by an index of scip-python, on what both see in the repository."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.scip import Place, ScipIndex, Site
from bench.trees import python_files

_Function = ast.FunctionDef | ast.AsyncFunctionDef
Targets = Mapping[Site, set[Place]]
"""Where each site leads."""
_CALLABLE_OR_TYPE = re.compile(r"(?:^|[/#.`])([^/#.`()]+)(?:\(\)\.|#)$")


class Call(NamedTuple):
    """Some definition calls another; line -1: the module itself."""

    caller: Place
    callee: Place


@dataclass(frozen=True)
class Score:
    """Shares of what the oracle and the judged say that are said by both."""

    precision: float
    recall: float
    of: int

    def __str__(self) -> str:
        return f"precision {self.precision:.3f}, recall {self.recall:.3f} of {self.of:,}"


class Oracle:
    """What scip-python says of the sites of functions, methods and classes of the repository."""

    def __init__(self, root: Path, index: ScipIndex) -> None:
        self.texts = Texts(root)
        self.targets: dict[Site, set[Place]] = {}
        for site, symbol in index.uses:
            found = _CALLABLE_OR_TYPE.search(symbol)
            places = index.definitions.get(symbol)
            # A symbol that does not bear the name at its site is the oracle's own error.
            if found and places and self.texts.stands_at(site, found[1]):
                self.targets[site] = {self.texts.definition(each) for each in places}

    def judge(self, targets: Targets) -> Score:
        """Of what is said of single sites."""
        both = [site for site in self.targets if targets.get(site)]
        right = sum(bool(self.targets[site] & targets[site]) for site in both)
        return Score(_share(right, len(both)), _share(right, len(self.targets)), len(self.targets))

    def calls(self, targets: Targets) -> set[Call]:
        """Who calls whom, by what is said of the sites of calls."""
        return {
            Call(self.texts.owner(site), place)
            for site in self.texts.calls
            for place in targets.get(site, ())
        }

    def judge_calls(self, calls: set[Call]) -> Score:
        """Of what is said of callers and callees, whatever the sites."""
        known = self.calls(self.targets)
        right = len(known & calls)
        return Score(_share(right, len(calls)), _share(right, len(known)), len(known))


class Texts:
    """The sources as Python's own parser sees them: where calls stand, and in which definition."""

    def __init__(self, root: Path) -> None:
        self.calls: set[Site] = set()
        self._lines: dict[str, list[bytes]] = {}
        self._implementation: dict[Place, int] = {}
        self._definitions: dict[str, list[tuple[int, int, int, str]]] = defaultdict(list)
        for file in python_files(root):
            path = file.relative_to(root).as_posix()
            content = file.read_bytes()
            self._lines[path] = content.split(b"\n")
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse(content)
            except (SyntaxError, ValueError):
                continue
            self._take(path, tree)

    def _take(self, path: str, tree: ast.Module) -> None:
        for scope in ast.walk(tree):
            if isinstance(scope, ast.Call):
                self._take_call(path, scope.func)
            named: dict[str, list[_Function]] = defaultdict(list)
            for node in ast.iter_child_nodes(scope):
                if isinstance(node, _Function):
                    named[node.name].append(node)
                if isinstance(node, _Function | ast.ClassDef):
                    first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                    end = node.end_lineno or node.lineno
                    self._definitions[path].append((first - 1, node.lineno - 1, end - 1, node.name))
            for siblings in named.values():
                for each in filter(_is_overload, siblings):
                    self._implementation[Place(path, each.lineno - 1)] = siblings[-1].lineno - 1

    def _take_call(self, path: str, called: ast.expr) -> None:
        match called:
            case ast.Name(lineno=line, col_offset=column):
                self.calls.add(Site(path, line - 1, column))
            case ast.Attribute(attr=name, end_lineno=int(line), end_col_offset=int(end)):
                self.calls.add(Site(path, line - 1, end - len(name.encode())))
            case _:
                pass

    def stands_at(self, site: Site, name: str) -> bool:
        """Whether the name stands there; never in lines where bytes are not characters."""
        lines = self._lines.get(site.path, [])
        line = lines[site.line] if site.line < len(lines) else b""
        wanted = name.encode()
        return line.isascii() and line[site.column : site.column + len(wanted)] == wanted

    def owner(self, site: Site) -> Place:
        """The innermost definition whose body the site stands in."""
        around = [
            (end - first, line)
            for first, line, end, _ in self._definitions[site.path]
            if line <= site.line <= end
        ]
        return Place(site.path, min(around)[1] if around else -1)

    def definition(self, place: Place, name: str | None = None) -> Place:
        """The same definition by the line of its name; an overload counts for what it overloads.

        Others give the line of the first decorator.
        """
        for first, line, _, own in self._definitions[place.path]:
            if first <= place.line <= line and name in {None, own}:
                place = Place(place.path, line)
                break
        return place._replace(line=self._implementation.get(place, place.line))


def targets_of_export(lines: Iterable[bytes], texts: Texts) -> dict[Site, set[Place]]:
    """What `enrichd export` says of sites, as far as it leads to places of the repository."""
    found: dict[Site, set[Place]] = defaultdict(set)
    for line in lines:
        edge = json.loads(line)
        target, at = edge["target"], edge["site"]
        if edge["relation"] in {"contains", "overrides"} or target["external"]:
            continue
        site = Site(at["file"], at["line"] - 1, at["column"] - 1)
        found[site].add(texts.definition(Place(target["file"], target["line"] - 1)))
    return found


def _is_overload(function: _Function) -> bool:
    last = [ast.unparse(each).rpartition(".")[2] for each in function.decorator_list]
    return "overload" in last


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
