"""How well files parsed, as numbers."""

from __future__ import annotations


def clean_ratio(ok: int, partial: int, error: int) -> float | None:
    """The share that parsed cleanly, of those that can be parsed; None where there are none."""
    total = ok + partial + error
    return ok / total if total else None
