"""HTTP as aiohttp speaks it, but for what can't be read: that is refused in the API's own words."""

from __future__ import annotations

from http import HTTPStatus

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from enrichd.api.answers import CODES, Problem, ProblemDocument, answer

HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Of every answer."""


class Protocol(RequestHandler):
    """One connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """No route and no middleware is asked about such a request."""
        super().handle_error(request, status, exc, message)
        known = HTTPStatus(status) if status in CODES else HTTPStatus.BAD_REQUEST
        text = "this is a bug in enrichd"
        if known < HTTPStatus.INTERNAL_SERVER_ERROR:
            text = f"the request can't be read: {' '.join((message or 'it is no HTTP').split())}"
        refusal = answer(ProblemDocument(Problem(text, None, CODES[known])), known, HEADERS)
        refusal.force_close()
        return refusal
