"""The route that describes all the others, itself among them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from http import HTTPStatus

import msgspec
from aiohttp import web

from enrichd import __version__
from enrichd.api.listening import authority
from enrichd.api.routing import JSON, Content, Nothing, Route, raw


class Description:
    """The document is made when it is asked for, and once."""

    def __init__(self, routes: Iterable[Route], address: tuple[str, int] | None) -> None:
        """``address`` is where the API is on TCP."""
        self.route = raw(
            "/api/v1/openapi.json",
            "This description",
            self._answer,
            asks=Nothing,
            answers={HTTPStatus.OK: Content()},
        )
        self._routes = (*routes, self.route)
        self._address = address
        self._document: bytes | None = None

    async def _answer(self, _: web.Request, __: Nothing) -> web.Response:
        if self._document is None:
            self._document = await asyncio.to_thread(self._made)
        return web.Response(body=self._document, content_type=JSON)

    def _made(self) -> bytes:
        from enrichd.api.openapi import described  # noqa: PLC0415  (few ask)

        servers = {"http://localhost": "On the Unix socket, whatever the name."}
        if self._address is not None:
            servers = {f"http://{authority(*self._address)}": "On this machine."} | servers
        return msgspec.json.encode(described(self._routes, version=__version__, servers=servers))
