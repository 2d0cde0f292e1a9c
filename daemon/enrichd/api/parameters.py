"""What a request says, as values: read from the query or the body, or refused with the reason."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from msgspec.structs import fields

from enrichd.api.answers import Refused
from enrichd.query.select import MAX_TEXT_CHARS
from enrichd.settings import did_you_mean

P = TypeVar("P", bound=msgspec.Struct)

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
"""What a person types; anything longer is no name of anything."""

Limit = Annotated[int, msgspec.Meta(ge=1, le=1000)]
"""Of how many rows a page has at most."""

Offset = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
"""How many rows to leave out; at most what a database can count to."""


class BadValue(Refused):
    """A parameter that is understood but can't be taken: which, and why."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {reason}")


def from_query(request: web.Request, kind: type[P]) -> P:
    """The parameters after the question mark; each may be given once."""
    given = request.query
    for name in given:
        if len(given.getall(name)) > 1:
            raise BadValue(name, "is given more than once")
    return _converted(dict(given), kind, strict=False)


async def from_body(request: web.Request, kind: type[P]) -> P:
    """The JSON object in the body, whatever its content type is called."""
    body = await request.read()
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = "it is empty" if not body else str(error)
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {reason}") from error
    return _converted(document, kind, strict=True)


def _converted(document: object, kind: type[P], *, strict: bool) -> P:
    try:
        return msgspec.convert(document, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind) from error


def _explained(problem: str, kind: type[msgspec.Struct]) -> BadValue:
    """msgspec's words, "Expected `int` <= 9 - at `$.limit`", as a name and a reason.

    What a type can't say is said in ``__post_init__``, as ``ValueError("name: what is wrong")``.
    """
    text, _, place = problem.partition(" - at `$")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return BadValue(missing[1], "is missing")
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text, re.DOTALL):
        known = [each.encode_name for each in fields(kind)]
        return BadValue(unknown[1], f"unknown parameter{did_you_mean(unknown[1], known)}")
    if law := re.fullmatch(r"(\w+): (.*)", text, re.DOTALL):
        return BadValue(law[1], law[2])
    reason = text[:1].lower() + text[1:].replace("`", "").replace(" | null", "")
    return BadValue(place.strip("`.") or "the body", reason)
