"""Telling systemd how the daemon is: sd_notify(3) over the socket that NOTIFY_SOCKET names.

Outside systemd everything here does nothing, and nothing here ever raises: a daemon that serves
is worth more than a message that it does.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping

from enrichd.clock import Clock

_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """One datagram a message; a path and an abstract socket (``@name``) are both understood."""

    def __init__(self, address: str | None, clock: Clock) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address
        self._clock = clock

    @classmethod
    def take(cls, environ: MutableMapping[str, str], clock: Clock) -> Notifier:
        """A notifier for the address in ``environ``, which is taken out of it.

        With ``os.environ`` this is unsetenv(3) for the process: a language server or a parser
        that is started later does not inherit what would let it speak for the daemon. Read
        ``watchdog_interval_s`` first: what it looks at is taken out as well.
        """
        address = environ.get("NOTIFY_SOCKET")
        for name in _VARIABLES:
            environ.pop(name, None)
        return cls(address, clock)

    def ready(self, status: str = "") -> None:
        """The daemon serves; also the end of a reload."""
        self._send("READY=1", *_status(status))

    def starting(self, text: str, within_s: float) -> None:
        """It is not ready yet, for this reason, and tells more within so many seconds."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(within_s * 1_000_000)}", *_status(text))

    def status(self, text: str) -> None:
        """One line for ``systemctl status``."""
        self._send(*_status(text))

    def watchdog(self) -> None:
        """The event loop turns. To be sent only from it."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """A reload begins; ``ready`` ends it."""
        # systemd compares this with CLOCK_MONOTONIC, which is what Clock.monotonic() is here.
        self._send("RELOADING=1", f"MONOTONIC_USEC={int(self._clock.monotonic() * 1_000_000)}")

    def stopping(self) -> None:
        """The daemon is on its way out."""
        self._send("STOPPING=1")

    def _send(self, *assignments: str) -> None:
        if not self._address or not assignments:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as to:
                to.setblocking(False)  # a manager that doesn't read must not stop the loop
                to.sendto("\n".join(assignments).encode(errors="replace"), self._address)
        except (OSError, ValueError):
            pass


def watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    """How often to call ``watchdog``: twice in the time allowed. None: systemd doesn't watch us."""
    try:
        allowed_us = int(environ["WATCHDOG_USEC"])
        pid = int(environ.get("WATCHDOG_PID") or os.getpid())
    except (KeyError, ValueError):
        return None
    return allowed_us / 2_000_000 if allowed_us > 0 and pid == os.getpid() else None


def _status(text: str) -> tuple[str, ...]:
    return (f"STATUS={' '.join(text.split())}",) if text else ()
