"""Names that are written out are the protocol's own."""

from __future__ import annotations

from enum import IntEnum

import pytest
from lsprotocol import types

from enrichd.lsp import protocol

METHODS = [name for name in vars(protocol) if name.isupper()]


@pytest.mark.parametrize("name", METHODS)
def test_a_method_is_named_as_in_the_protocol(name: str) -> None:
    assert getattr(protocol, name) == getattr(types, name)


@pytest.mark.parametrize("codes", ["ErrorCodes", "LSPErrorCodes", "FileChangeType"])
def test_numbers_are_those_of_the_protocol_and_none_is_missing(codes: str) -> None:
    ours: type[IntEnum] = getattr(protocol, codes)
    theirs = {each.name: each.value for each in getattr(types, codes)}
    assert {each.name: each.value for each in ours} == theirs
