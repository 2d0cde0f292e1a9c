"""The memory of a process that works for months: what it has let go of, the system gets back."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Awaitable, Callable

from enrichd.clock import Clock

_M_ARENA_MAX = -8
_YOUNG_OBJECTS = 20_000
GIVE_BACK_EVERY_S = 60.0


def _libc() -> ctypes.CDLL | None:
    """The C library, where its allocator can be told something: glibc (malloc_trim(3))."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None


_LIBC = _libc()


def share() -> None:
    """One heap of the allocator for all threads; before the first thread, see mallopt(3).

    Otherwise each thread gets one, and each keeps what the largest piece of work took that ever
    came its way: memory would rise for hours.
    """
    if _LIBC is not None:
        _LIBC.mallopt(_M_ARENA_MAX, 1)


def keep() -> None:
    """What is there by now stays, so no collection need look at it again.

    Nor need one come after every 700 objects: answers hold no cycles, and die by themselves.
    """
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)


def give_back() -> None:
    """Collect what is in cycles, then return pages that hold nothing."""
    gc.collect()
    if _LIBC is not None:
        _LIBC.malloc_trim(0)


async def give_back_after_work(
    clock: Clock, generation: Callable[[], object], shrink: Callable[[], Awaitable[None]]
) -> None:
    """Give memory back for ever, and do nothing while nothing is done: see ``generation``.

    What ``shrink`` lets go of, the database's pages, waits until the work has ended. They would be
    read again at once, into other places, and leave gaps that fit nothing else.
    """
    seen, calm = object(), False
    while True:
        await clock.sleep(GIVE_BACK_EVERY_S)
        if (now := generation()) != seen:
            seen, calm = now, False
            give_back()
        elif not calm:
            calm = True
            await shrink()
            give_back()
