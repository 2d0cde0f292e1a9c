"""The shapes on the wire that are read by the thousand, decoded straight from JSON by msgspec."""

from __future__ import annotations

from enum import StrEnum
from typing import Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Raw, Struct, field

T = TypeVar("T")


class Ending(StrEnum):
    """Why a connection is over; only the first two are the server's own doing."""

    CRASHED = "crashed"  # the process or one of its pipes ended
    GARBLED = "garbled"  # it did not speak the protocol
    HUNG = "hung"  # it was given up: it answered nothing
    STOPPED = "stopped"  # enrichd ended it


class Answered(Struct, Generic[T], frozen=True):
    """The server answered."""

    result: T


class Refused(Struct, frozen=True):
    """The server answered with an error, or so that the answer can't be read."""

    code: int
    message: str


class TimedOut(Struct, frozen=True):
    """No answer came in time; the request was cancelled, a late answer is dropped."""


class Died(Struct, frozen=True):
    """The connection ended before the answer came."""

    reason: str
    ending: Ending = Ending.CRASHED


Reply: TypeAlias = Answered[T] | Refused | TimedOut | Died


class Target(Struct, frozen=True, gc=False):
    """Where an answer points: the start of the name, column in the server's own units."""

    uri: str
    line: int
    character: int


class ErrorObject(Struct, gc=False):
    """JSON-RPC's error."""

    code: int
    message: str = ""


class Message(Struct, gc=False):
    """Any message from a server: request (method and id), notification (method), or response."""

    id: int | str | None = None
    method: str | None = None
    params: Raw = Raw()
    result: Raw = Raw()
    error: ErrorObject | None = None


class _Start(Struct, gc=False):
    line: int
    character: int


class _Range(Struct, gc=False):
    start: _Start


class _Place(Struct, gc=False):
    """Location and LocationLink in one, since which of them comes is the server's choice."""

    uri: str | None = None
    range: _Range | None = None
    target_uri: str | None = field(default=None, name="targetUri")
    target_range: _Range | None = field(default=None, name="targetSelectionRange")


UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises on JSON that is broken, of another shape, or nested too deep."""

decode_message = msgspec.json.Decoder(Message).decode
_decode_places = msgspec.json.Decoder(list[_Place] | _Place | None).decode


def read_targets(result: Raw) -> list[Target]:
    """The targets of a definition-like answer: Location, LocationLink, null, one or an array."""
    places = _decode_places(result)
    if places is None:
        return []
    if isinstance(places, _Place):
        places = [places]
    return [_target(place) for place in places]


def _target(place: _Place) -> Target:
    uri = place.target_uri or place.uri
    where = place.target_range or place.range
    if uri is None or where is None:
        raise msgspec.ValidationError("neither a Location nor a LocationLink")
    start = where.start
    return Target(uri, start.line, start.character)
