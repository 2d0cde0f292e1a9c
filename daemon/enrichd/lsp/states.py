"""The life of one server as a table: every state, every event, and what follows."""

from __future__ import annotations

from enum import StrEnum
from typing import assert_never

from msgspec import Struct


class ServerState(StrEnum):
    """Where a server stands."""

    STOPPED = "stopped"
    STARTING = "starting"
    WARMING = "warming"
    READY = "ready"
    DEGRADED = "degraded"
    BACKING_OFF = "backing off"
    UNAVAILABLE = "unavailable"

    @property
    def servable(self) -> bool:
        """Whether it may be asked."""
        match self:
            case ServerState.READY | ServerState.DEGRADED:
                return True
            case (
                ServerState.STOPPED
                | ServerState.STARTING
                | ServerState.WARMING
                | ServerState.BACKING_OFF
                | ServerState.UNAVAILABLE
            ):
                return False
            case _:
                assert_never(self)


class Event(StrEnum):
    """What can happen to a server."""

    WANTED = "wanted"  # it is time to look for its command
    FOUND = "found"
    MISSING = "missing"
    INITIALIZED = "initialized"
    PROVED = "proved"  # the canary was answered rightly
    OVERDUE = "overdue"  # its time is up: it answers, but the canary never came back right
    SILENT = "silent"  # it answers nothing at all
    DIED = "died"
    TOO_BIG = "too big"  # it takes more memory than it may
    TOO_BIG_AGAIN = "too big again"  # and was of no use before: starting it afresh is no help
    REPLACED = "replaced"  # its program is another one than the one that failed
    ASKED = "asked"  # a person wants it started afresh
    STOPPED = "stopped"


class Effect(StrEnum):
    """What the supervisor does next; the last of a transition leads to the next event."""

    LOOK = "look for the command"
    SPAWN = "spawn and initialize"
    PROVE = "ask the canary"
    SERVE = "let work in"
    END_POLITELY = "shutdown, exit, TERM, KILL"
    KILL = "KILL at once"
    BACK_OFF = "wait for the next start"
    LOOK_LATER = "wait for the command to be installed"
    FORGIVE = "forget its deaths"
    REST = "nothing more"


class Transition(Struct, frozen=True):
    """The state to be in, and what to do, in order."""

    state: ServerState
    effects: tuple[Effect, ...]


class ImpossibleEvent(Exception):
    """An event came that can't happen in that state: a bug of the supervisor."""

    def __init__(self, state: ServerState, event: Event) -> None:
        super().__init__(f"{event} while {state}")


_S, _V, _E = ServerState, Event, Effect

_GIVE_UP = Transition(_S.BACKING_OFF, (_E.KILL, _E.BACK_OFF))
_LIVING: dict[Event, Transition] = {
    _V.DIED: _GIVE_UP,
    _V.SILENT: _GIVE_UP,
    _V.ASKED: Transition(_S.STARTING, (_E.END_POLITELY, _E.FORGIVE, _E.LOOK)),
    _V.STOPPED: Transition(_S.STOPPED, (_E.END_POLITELY, _E.REST)),
}
_SERVING: dict[Event, Transition] = {
    **_LIVING,
    _V.TOO_BIG: Transition(_S.STARTING, (_E.END_POLITELY, _E.LOOK)),
    _V.TOO_BIG_AGAIN: Transition(_S.BACKING_OFF, (_E.END_POLITELY, _E.BACK_OFF)),
}
_STOPPED: dict[Event, Transition] = {
    _V.WANTED: Transition(_S.STARTING, (_E.LOOK,)),
    _V.STOPPED: Transition(_S.STOPPED, (_E.REST,)),
}
_RESTING: dict[Event, Transition] = {
    **_STOPPED,
    _V.REPLACED: Transition(_S.STARTING, (_E.FORGIVE, _E.LOOK)),
    _V.ASKED: Transition(_S.STARTING, (_E.FORGIVE, _E.LOOK)),
}

TABLE: dict[ServerState, dict[Event, Transition]] = {
    _S.STOPPED: _STOPPED,
    _S.UNAVAILABLE: _RESTING,
    _S.BACKING_OFF: _RESTING,
    _S.STARTING: {
        **_LIVING,
        _V.FOUND: Transition(_S.STARTING, (_E.SPAWN,)),
        _V.MISSING: Transition(_S.UNAVAILABLE, (_E.LOOK_LATER,)),
        _V.INITIALIZED: Transition(_S.WARMING, (_E.PROVE,)),
    },
    _S.WARMING: {
        **_LIVING,
        _V.PROVED: Transition(_S.READY, (_E.SERVE,)),
        _V.OVERDUE: Transition(_S.DEGRADED, (_E.SERVE,)),
    },
    _S.DEGRADED: {
        **_SERVING,
        _V.PROVED: Transition(_S.READY, (_E.SERVE,)),
    },
    _S.READY: _SERVING,
}


def step(state: ServerState, event: Event) -> Transition:
    """What follows when ``event`` happens in ``state``. Raises ImpossibleEvent."""
    try:
        return TABLE[state][event]
    except KeyError:
        raise ImpossibleEvent(state, event) from None
