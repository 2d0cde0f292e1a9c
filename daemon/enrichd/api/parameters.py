"""What a request says, as values: read from the query or the body, or refused with the reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Annotated, TypeVar

import msgspec
from aiohttp import web
from msgspec import Meta
from msgspec.structs import fields

from enrichd.api.answers import Refused
from enrichd.errors import UsageError
from enrichd.query.select import MAX_TEXT_CHARS
from enrichd.settings import WORKSPACE_NAME, did_you_mean

P = TypeVar("P", bound=msgspec.Struct)

Text = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
"""What a person types; anything longer is no name of anything."""

SymbolText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        pattern=r"^\s*[^\s\x00][^\x00]*$",
        description="A symbol: its uid, its qualified name, or path:line[:column].",
        extra={"expected": "a uid, a qualified name, or path:line[:column]"},
    ),
]

SymbolPattern = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        pattern=r"^[^\x00]+$",
        description="A name, a part of one in any case, or a glob over the whole name.",
        extra={"expected": "a name, a part of one, or a glob such as 'get_*'"},
    ),
]

Glob = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        description="A glob over the paths of files, relative to the root of the workspace.",
    ),
]

GlobOrFolder = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        description="A folder, or a glob over the paths of files, relative to the root.",
    ),
]

AbsolutePath = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        pattern=r"^/[^\x00]*$",
        extra={"expected": "an absolute path"},
    ),
]

WorkspaceName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TEXT_CHARS,
        pattern=rf"^{WORKSPACE_NAME.pattern}(?![\s\S])",
        extra={"expected": 'letters, digits, ".", "_" and "-"'},
    ),
]
"""What a workspace can be called."""

Limit = Annotated[int, Meta(ge=1, le=1000, description="How many rows a page has at most.")]

Offset = Annotated[
    int, Meta(ge=0, le=2**63 - 1, description="How many rows to leave out before it.")
]
"""At most what a database can count to."""


class BadValue(Refused):
    """A parameter that is understood but can't be taken: which, and why."""

    def __init__(self, name: str, reason: str, *, hint: str | None = None) -> None:
        super().__init__(HTTPStatus.UNPROCESSABLE_ENTITY, f"{name}: {reason}", hint=hint)


@contextmanager
def about(name: str) -> Iterator[None]:
    """A UsageError from here is about this parameter."""
    try:
        yield
    except UsageError as error:
        raise BadValue(name, error.message, hint=error.hint) from error


async def from_query(request: web.Request, kind: type[P]) -> P:
    """The parameters in the path, and those after the question mark; each may be given once."""
    given = _in_query(request)
    found = _converted(given | request.match_info, kind, strict=False)
    for name, value in given.items():
        if value and getattr(found, name) is None:  # msgspec takes "null" for it
            raise BadValue(name, f"expected {_wanted(kind, name)}, got {value}")
    return found


async def from_body(request: web.Request, kind: type[P]) -> P:
    """The parameters in the path, and the JSON object in the body, whatever its content type."""
    for name in _in_query(request):
        raise BadValue(name, "it belongs into the body")
    body = await request.read()
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        reason = "it is empty" if not body else str(error)
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not JSON: {reason}") from error
    if request.match_info and isinstance(document, dict):
        document |= request.match_info
    return _converted(document, kind, strict=True)


def _in_query(request: web.Request) -> dict[str, str]:
    given = request.query
    for name in given:
        if len(given.getall(name)) > 1 or name in request.match_info:
            raise BadValue(name, "is given more than once")
    return dict(given)


def _converted(document: object, kind: type[P], *, strict: bool) -> P:
    try:
        return msgspec.convert(document, kind, strict=strict)
    except msgspec.ValidationError as error:
        raise _explained(str(error), kind) from error


def _explained(problem: str, kind: type[msgspec.Struct]) -> BadValue:
    """msgspec's words, "Expected `int` <= 9 - at `$.limit`", as a name and a reason.

    What a type can't say is said in ``__post_init__``, as ``ValueError("name: what is wrong")``;
    what a pattern means, as ``Meta(extra={"expected": "a path"})``.
    """
    text, _, place = problem.partition(" - at `$")
    if missing := re.fullmatch(r"Object missing required field `(\w+)`", text):
        return BadValue(missing[1], "is missing")
    if unknown := re.fullmatch(r"Object contains unknown field `(.*)`", text, re.DOTALL):
        known = [each.encode_name for each in fields(kind)]
        return BadValue(unknown[1], f"unknown parameter{did_you_mean(unknown[1], known)}")
    if law := re.fullmatch(r"(\w+): (.*)", text, re.DOTALL):
        return BadValue(law[1], law[2])
    named = re.match(r"\.(\w+)", place)
    name = named[1] if named else ""
    if wrong := re.fullmatch(r"Invalid enum value '?(.*?)'?", text, re.DOTALL):
        return BadValue(name, f"expected {_wanted(kind, name)}, got {wrong[1]}")
    if " matching regex " in text:
        return BadValue(name, f"expected {_wanted(kind, name)}")
    reason = text[:1].lower() + text[1:].replace("`", "").replace(" | null", "")
    return BadValue(name or "the body", reason)


def _wanted(kind: type[msgspec.Struct], name: str) -> str:
    """What a field takes, in words: its choices, or what its type says for ``expected``."""
    from msgspec import inspect  # noqa: PLC0415  (only when something is wrong)

    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    [field] = [each for each in info.fields if each.encode_name == name]
    types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
    types = tuple(each.item_type if isinstance(each, inspect.ListType) else each for each in types)
    for each in types:
        if isinstance(each, inspect.EnumType):
            return " or ".join(str(member.value) for member in each.cls)
        if isinstance(each, inspect.LiteralType):
            return " or ".join(str(value) for value in each.values)
        if isinstance(each, inspect.Metadata) and each.extra:
            return str(each.extra["expected"])
    return "a value"
