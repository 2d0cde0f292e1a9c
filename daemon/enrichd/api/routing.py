"""What a route is: one declaration, by which requests are checked and clients are told of it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar

from aiohttp import HttpVersion11, hdrs, web
from msgspec import Struct

from enrichd.api.answers import answer
from enrichd.api.parameters import from_body, from_query

A = TypeVar("A", bound=Struct)
R = TypeVar("R", bound=Struct)

NOT_FOUND = HTTPStatus.NOT_FOUND
"""What the request names is not there: a workspace, a symbol, a job, a server."""
AMBIGUOUS = HTTPStatus.CONFLICT
"""A name stands for several symbols; the answer lists them."""

JSON = "application/json"
CHANGES = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH, hdrs.METH_DELETE})
_WITH_BODY = frozenset({hdrs.METH_POST, hdrs.METH_PUT, hdrs.METH_PATCH})


class Nothing(Struct, frozen=True, forbid_unknown_fields=True):
    """What a route asks that takes no parameters."""


class Content(Struct, frozen=True):
    """The body of an answer, of one of these types; ``kind`` is what it holds, if it is JSON."""

    media_types: tuple[str, ...] = (JSON,)
    kind: type[Struct] | None = None


class Route(Struct, frozen=True):
    """A method and a path, what they ask, and every answer that they give.

    The fields of ``asks`` that stand in the path are read from there, the others from the query,
    or, where the method sends one, from the JSON object in the body.
    """

    method: str
    path: str
    summary: str
    asks: type[Struct]
    handle: Callable[[web.Request, Any], Awaitable[web.StreamResponse]]
    answers: Mapping[HTTPStatus, Content | None]
    """None: an answer without a body."""
    refuses: frozenset[HTTPStatus] = frozenset()
    """Beside what any request may be refused for."""
    messages: tuple[type[Struct], ...] = ()
    """What a WebSocket says after it has been accepted, as JSON texts."""

    @property
    def in_path(self) -> tuple[str, ...]:
        """The names of the parameters that stand in the path."""
        return tuple(re.findall(r"{(\w+)}", self.path))

    @property
    def takes_body(self) -> bool:
        """Whether what it asks stands in a body."""
        return self.method in _WITH_BODY and len(self.asks.__struct_fields__) > len(self.in_path)

    def definition(self) -> web.RouteDef:
        """The route as aiohttp takes it; what can be got has a head, too."""
        make = web.get if self.method == hdrs.METH_GET else partial(web.route, self.method)
        return make(self.path, self._served, expect_handler=_go_on)

    async def _served(self, request: web.Request) -> web.StreamResponse:
        take = from_body if self.takes_body else from_query
        return await self.handle(request, await take(request, self.asks))


async def _go_on(request: web.Request) -> None:
    """Say so to who waits for it; other expectations are none of ours and may be left unmet."""
    waits = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
    if waits and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # no part of the answer


def get(
    path: str,
    summary: str,
    ask: Callable[[A], Awaitable[R]],
    *,
    asks: type[A],
    gives: type[R],
    refuses: tuple[HTTPStatus, ...] = (),
) -> Route:
    """A question that is answered with a JSON document."""
    return _json(hdrs.METH_GET, path, summary, ask, asks, gives, HTTPStatus.OK, refuses)


def post(
    path: str,
    summary: str,
    ask: Callable[[A], Awaitable[R]],
    *,
    asks: type[A],
    gives: type[R],
    status: HTTPStatus = HTTPStatus.OK,
    refuses: tuple[HTTPStatus, ...] = (),
) -> Route:
    """Something to be done, told in the body, and answered with a JSON document."""
    return _json(hdrs.METH_POST, path, summary, ask, asks, gives, status, refuses)


def delete(
    path: str,
    summary: str,
    do: Callable[[A], Awaitable[None]],
    *,
    asks: type[A],
    refuses: tuple[HTTPStatus, ...] = (),
) -> Route:
    """Something to be removed; there is nothing more to say about it."""

    async def handle(_: web.Request, asked: A) -> web.StreamResponse:
        await do(asked)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    return Route(
        method=hdrs.METH_DELETE,
        path=path,
        summary=summary,
        asks=asks,
        handle=handle,
        answers={HTTPStatus.NO_CONTENT: None},
        refuses=frozenset(refuses),
    )


def raw(
    path: str,
    summary: str,
    handle: Callable[[web.Request, A], Awaitable[web.StreamResponse]],
    *,
    asks: type[A],
    answers: Mapping[HTTPStatus, Content | None],
    refuses: tuple[HTTPStatus, ...] = (),
    messages: tuple[type[Struct], ...] = (),
) -> Route:
    """A GET that makes its answer by itself: no JSON, a status of its own, a WebSocket (101)."""
    return Route(
        method=hdrs.METH_GET,
        path=path,
        summary=summary,
        asks=asks,
        handle=handle,
        answers=answers,
        refuses=frozenset(refuses),
        messages=messages,
    )


def _json(
    method: str,
    path: str,
    summary: str,
    ask: Callable[[A], Awaitable[R]],
    asks: type[A],
    gives: type[R],
    status: HTTPStatus,
    refuses: tuple[HTTPStatus, ...],
) -> Route:
    async def handle(_: web.Request, asked: A) -> web.StreamResponse:
        return answer(await ask(asked), status)

    return Route(
        method=method,
        path=path,
        summary=summary,
        asks=asks,
        handle=handle,
        answers={status: Content(kind=gives)},
        refuses=frozenset(refuses),
    )
