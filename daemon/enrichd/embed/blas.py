"""One thread of BLAS a process: several wait for each other, in spins, on cores that are shared."""

from __future__ import annotations

import os

ENVIRONMENT = {
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "TOKENIZERS_PARALLELISM": "false",
}
"""What the libraries read when they are loaded."""


def keep_to_one_thread() -> None:
    """To be called before numpy is imported for the first time; a person's own choice counts."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
