"""What a bench gives: one figure a row."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=False)
class Figure:
    """A ratio, or a share in per cent; smaller is better."""

    bench: str
    what: str
    value: float
    budget: float | None = None
    note: str = ""
