"""The system's limit on how many folders can be watched.

The library that watches says nothing when it is reached: it goes on with those it got. So one more
is asked for, of the system itself.
"""

from __future__ import annotations

import ctypes
import errno
import os

_ATTRIBUTES = 0x4  # IN_ATTRIB of inotify(7)

WATCHES = "fs.inotify.max_user_watches"
INSTANCES = "fs.inotify.max_user_instances"
ENOUGH = {WATCHES: 524_288, INSTANCES: 1_024}
"""What to set them to."""


def no_more_watches(folder: str) -> bool:
    """Whether the limit keeps another folder from being watched."""
    libc = ctypes.CDLL(None, use_errno=True)
    instance = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if instance < 0:
        return False  # another limit: whoever watches already is not concerned
    try:
        added = libc.inotify_add_watch(instance, os.fsencode(folder), _ATTRIBUTES)
        return added < 0 and ctypes.get_errno() == errno.ENOSPC
    finally:
        os.close(instance)
