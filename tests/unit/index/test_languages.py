"""The languages that are known by name only: who has which suffix."""

from __future__ import annotations

from importlib.resources import files

import msgspec

from enrichd.index.languages import languages, other_suffixes, suffixes


def test_a_suffix_belongs_to_one_language() -> None:
    text = (files("enrichd.index.languages") / "others.toml").read_bytes()
    others = msgspec.toml.decode(text, type=dict[str, list[str]])
    listed = [suffix for theirs in others.values() for suffix in theirs]
    assert len(listed) == len(set(listed))
    assert all(suffix.startswith(".") and suffix.count(".") == 1 for suffix in listed)
    assert list(others) == sorted(others)


def test_what_is_parsed_is_in_no_other_language() -> None:
    others = other_suffixes()
    assert not others.keys() & suffixes().keys()
    assert not set(others.values()) & languages().keys()
    assert (others[".rb"], others[".hs"], others[".cs"]) == ("ruby", "haskell", "c_sharp")


def test_text_without_symbols_is_in_no_language() -> None:
    text = {".md", ".rst", ".txt", ".json", ".yaml", ".toml", ".html", ".css", ".xml", ".png"}
    assert not text & (other_suffixes().keys() | suffixes().keys())
