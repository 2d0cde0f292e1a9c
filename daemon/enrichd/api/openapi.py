"""The description of the API in OpenAPI 3.1, made from the routes as they are declared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from msgspec import Struct, inspect

from enrichd.api.answers import CODES, ProblemDocument
from enrichd.api.docstrings import FieldTexts
from enrichd.api.routing import AMBIGUOUS, CHANGES, JSON, NOT_FOUND, Content, Route

Json = dict[str, Any]

_REFS = "#/components/schemas/{name}"
_ANYWHERE = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.SERVICE_UNAVAILABLE,
    }
)
"""What any request may be refused with."""
_REFUSALS = {
    HTTPStatus.BAD_REQUEST: "It can't be read: a body that breaks off, or that is not JSON.",
    HTTPStatus.UNAUTHORIZED: "It changes something, came over TCP, and bears no valid token.",
    HTTPStatus.FORBIDDEN: "A foreign Host, Origin or user; or the system refused a file.",
    NOT_FOUND: "What it names is not there: a workspace, a symbol, a job, a server.",
    AMBIGUOUS: "The name stands for several symbols: `candidates` are those to choose from.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A parameter is unknown, missing, or can't be taken so.",
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "Not just now: the daemon is stopping, or has too much to do, or a file or the database "
        "can't be used. Ask again."
    ),
}
_UNSET = (msgspec.NODEFAULT, msgspec.NODEFAULT)
"""What a field has for a default that may be left out of an answer."""
_ABOUT = """\
What enrichd knows of your repositories, and what it can be told.

Reading is open to this machine. Over TCP, what changes something needs the token; on the Unix \
socket the daemon's own user and root are let in without one. Whatever can be got has a HEAD, too. \
A method that a path does not offer is answered with 405 and `Allow`, an unknown path with 404. \
Every refusal is a `ProblemDocument`. Lines and columns begin at 1, columns count UTF-8 bytes, \
times are UTC. Answers may get more fields; `schema_version` rises when one changes its meaning."""


def described(routes: Iterable[Route], *, version: str, servers: Mapping[str, str]) -> Json:
    """The document; ``servers`` are the addresses that the API is at, and what they are."""
    listed = list(routes)
    schemas, names = _schemas(listed)
    paths: dict[str, Json] = {}
    for route in listed:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas, names)
    for route in listed:
        if not route.takes_body:
            schemas.pop(names[route.asks], None)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "enrichd",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": url, "description": text} for url, text in servers.items()],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": {_name(status): _refusal(status, names) for status in _REFUSALS},
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "What the file of `[daemon] token_file` holds.",
                }
            },
        },
    }


def _schemas(routes: list[Route]) -> tuple[Json, dict[type[Struct], str]]:
    """Every schema by its name, and the names by what they describe."""
    asked = {route.asks for route in routes}
    given = {
        kind
        for route in routes
        for kind in (*(each.kind for each in route.answers.values() if each), *route.messages)
        if kind is not None
    }
    found = _with_parts([*asked, *given, ProblemDocument])
    kinds = sorted(found, key=lambda kind: kind.__qualname__)  # always the same document
    refs, schemas = msgspec.json.schema_components(kinds, ref_template=_REFS)
    names = {kind: ref["$ref"].rpartition("/")[2] for kind, ref in zip(kinds, refs, strict=True)}
    texts = FieldTexts()
    for kind, name in names.items():
        for field, text in texts.of(kind).items():
            schemas[name]["properties"].get(field, {}).setdefault("description", text)
        if kind in asked:
            schemas[name] |= getattr(kind, "law", {})
        else:
            _say_what_is_always_there(schemas[name], found[kind])
    return dict(sorted(schemas.items())), names


def _with_parts(kinds: Iterable[type[Struct]]) -> dict[type[Struct], inspect.StructType]:
    """These and all that they are made of."""
    found: dict[type[Struct], inspect.StructType] = {}
    waiting: list[object] = [inspect.type_info(kind) for kind in kinds]
    while waiting:
        info = waiting.pop()
        if isinstance(info, inspect.StructType):
            if info.cls in found:
                continue
            found[info.cls] = info
            waiting += [field.type for field in info.fields]
        else:
            waiting += getattr(info, "types", ()) or getattr(info, "item_types", ())
            parts = ("type", "item_type", "key_type", "value_type")
            waiting += [getattr(info, part) for part in parts if hasattr(info, part)]
    return found


def _say_what_is_always_there(schema: Json, info: inspect.StructType) -> None:
    """A default is for those who make an answer: whoever reads one finds every field."""
    schema["required"] = [
        field.encode_name
        for field in info.fields
        if field.required or (field.default, field.default_factory) != _UNSET
    ]
    for each in schema["properties"].values():
        each.pop("default", None)


def _operation(route: Route, schemas: Json, names: dict[type[Struct], str]) -> Json:
    asks = schemas[names[route.asks]]
    in_body = route.takes_body
    said: Json = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [
            _parameter(name, "path" if name in route.in_path else "query", asks)
            for name in asks["properties"]
            if name in route.in_path or not in_body
        ],
        "responses": _responses(route, names),
    }
    if in_body:
        for name in route.in_path:
            del asks["properties"][name]
        asks["required"] = [each for each in asks["required"] if each not in route.in_path]
        schema = {"$ref": _REFS.format(name=names[route.asks])}
        said["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if route.method in CHANGES:
        said["security"] = [{"token": []}, {}]
    if route.messages:
        said["x-websocket-messages"] = [
            {"$ref": _REFS.format(name=names[each])} for each in route.messages
        ]
    return said


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/api/v1").replace("{", "by_"))
    return "_".join((route.method.lower(), *words))


def _parameter(name: str, place: str, asks: Json) -> Json:
    """A text in a URL can't be null: a parameter is left out, or says something."""
    schema = dict(asks["properties"][name])
    told = schema.pop("description", None)
    if schema.get("default", ...) is None:
        del schema["default"]
    if choices := [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]:
        del schema["anyOf"]
        schema |= choices[0] if len(choices) == 1 else {"anyOf": choices}
        told = told or schema.pop("description", None)
    said: Json = {"name": name, "in": place, "schema": schema}
    if told:
        said["description"] = told
    if place == "path" or name in asks["required"]:
        said["required"] = True
    return said


def _responses(route: Route, names: dict[type[Struct], str]) -> Json:
    refused = _ANYWHERE | route.refuses
    if route.method in CHANGES:
        refused |= {HTTPStatus.UNAUTHORIZED}
    said: Json = {
        str(status.value): {"$ref": f"#/components/responses/{_name(status)}"} for status in refused
    }
    for status, content in route.answers.items():
        kinds = [content.kind] if content and content.kind else []
        if status in refused:
            kinds.append(ProblemDocument)
        said[str(status.value)] = _response(status.phrase, content, kinds, names)
    return dict(sorted(said.items()))


def _response(
    text: str,
    content: Content | None,
    kinds: list[type[Struct]],
    names: dict[type[Struct], str],
) -> Json:
    said: Json = {"description": text}
    if content is not None:
        refs = [{"$ref": _REFS.format(name=names[kind])} for kind in kinds]
        schema = refs[0] if len(refs) == 1 else {"anyOf": refs} if refs else {}
        said["content"] = {media_type: {"schema": schema} for media_type in content.media_types}
    return said


def _refusal(status: HTTPStatus, names: dict[type[Struct], str]) -> Json:
    said = _response(_REFUSALS[status], Content(), [ProblemDocument], names)
    if status is HTTPStatus.UNAUTHORIZED:
        said["headers"] = {"WWW-Authenticate": {"schema": {"type": "string"}}}
    return said


def _name(status: HTTPStatus) -> str:
    """Not HTTPStatus's own: Python 3.13 changed some of them."""
    return "".join(word.capitalize() for word in CODES[status].split("_"))
