"""Reads a SCIP index as far as it is needed here: which site leads to which definition.

The fields' numbers are those of scip.proto: Index.documents = 2; Document.relative_path = 1,
occurrences = 2; Occurrence.range = 1, symbol = 2, symbol_roles = 3, of which bit 1 is Definition.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_DEFINITION = 1


class Site(NamedTuple):
    """Where a name stands; 0-based, the column in bytes of a line that is all ASCII."""

    path: str
    line: int
    column: int


class Place(NamedTuple):
    """The line of a definition's name; 0-based."""

    path: str
    line: int


@dataclass
class ScipIndex:
    """An index, by its own symbols."""

    definitions: dict[str, set[Place]] = field(default_factory=lambda: defaultdict(set))
    uses: list[tuple[Site, str]] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> ScipIndex:
        """What stands in the file, but for local symbols."""
        index = cls()
        for document in _messages(memoryview(file.read_bytes()), 2):
            path = ""
            occurrences = []
            for number, value in _fields(document):
                if number == 1:
                    path = bytes(_bytes(value)).decode()
                elif number == 2:
                    occurrences.append(_bytes(value))
            for occurrence in occurrences:
                index._add(path, occurrence)
        return index

    def _add(self, path: str, occurrence: memoryview) -> None:
        symbol, roles, place = "", 0, memoryview(b"")
        for number, value in _fields(occurrence):
            if number == 1:
                place = _bytes(value)
            elif number == 2:
                symbol = bytes(_bytes(value)).decode()
            elif number == 3 and isinstance(value, int):
                roles = value
        if symbol.startswith("local "):
            return
        line, column = _two_numbers(place)
        if roles & _DEFINITION:
            self.definitions[symbol].add(Place(path, line))
        else:
            self.uses.append((Site(path, line, column), symbol))


def _bytes(value: int | memoryview) -> memoryview:
    assert isinstance(value, memoryview)
    return value


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    return (_bytes(value) for number, value in _fields(data) if number == wanted)


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    at, size = 0, len(data)
    while at < size:
        key, at = _number(data, at)
        kind = key & 7
        value, at = _number(data, at)
        if kind == 2:
            yield key >> 3, data[at : at + value]
            at += value
        elif kind == 0:
            yield key >> 3, value
        else:
            raise ValueError(f"a field of wire type {kind} is not known here")


def _number(data: memoryview, at: int) -> tuple[int, int]:
    byte = data[at]
    at += 1
    if byte < 128:
        return byte, at
    value, shift = byte & 127, 7
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _two_numbers(data: memoryview) -> tuple[int, int]:
    first, at = _number(data, 0)
    return first, _number(data, at)[0]
