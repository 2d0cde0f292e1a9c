"""How the API answers: JSON, and for everything that goes wrong a status and one shape of it."""

from __future__ import annotations

from enum import StrEnum
from http import HTTPStatus
from typing import assert_never

import msgspec
import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from enrichd.errors import EnrichdError, ExitCode
from enrichd.query.answers import SymbolView
from enrichd.query.select import AmbiguousSymbol

_log = structlog.get_logger()


class Code(StrEnum):
    """What went wrong, for programs."""

    BAD_REQUEST = "bad_request"
    UNAUTHORIZED = "unauthorized"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    WRONG_METHOD = "wrong_method"
    AMBIGUOUS = "ambiguous"
    TOO_LARGE = "too_large"
    BAD_VALUE = "bad_value"
    INTERNAL = "internal"
    UNAVAILABLE = "unavailable"


CODES = {
    HTTPStatus.BAD_REQUEST: Code.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED: Code.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN: Code.FORBIDDEN,
    HTTPStatus.NOT_FOUND: Code.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Code.WRONG_METHOD,
    HTTPStatus.CONFLICT: Code.AMBIGUOUS,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: Code.TOO_LARGE,
    HTTPStatus.UNPROCESSABLE_ENTITY: Code.BAD_VALUE,
    HTTPStatus.INTERNAL_SERVER_ERROR: Code.INTERNAL,
    HTTPStatus.SERVICE_UNAVAILABLE: Code.UNAVAILABLE,
}


class Refused(Exception):
    """A request that is not served: what the client is told about it."""

    def __init__(
        self,
        status: HTTPStatus,
        message: str,
        *,
        hint: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.headers = headers


class Problem(msgspec.Struct, frozen=True):
    """What went wrong; programs can rely on `code`."""

    message: str
    hint: str | None
    """What to do about it."""
    code: Code
    candidates: list[SymbolView] | msgspec.UnsetType = msgspec.UNSET
    """The symbols that an ambiguous name may stand for."""


class ProblemDocument(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    error: Problem


def answer(
    document: object, status: HTTPStatus = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> web.Response:
    """The document as JSON."""
    return web.Response(
        body=msgspec.json.encode(document),
        status=status,
        headers=headers,
        content_type="application/json",
    )


@web.middleware
async def explain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost: whatever a handler raises ends here, but for a client that went away."""
    try:
        response = await handler(request)
    except Refused as refused:
        response = _explained(refused)
    except EnrichdError as error:
        response = _told(error)
    except web.HTTPException as error:
        response = _worded(request, error)
    except (web.RequestPayloadError, HttpProcessingError) as error:
        message = f"the body can't be read: {error}"
        response = _explained(Refused(HTTPStatus.BAD_REQUEST, message))
    except ConnectionError:
        raise
    except Exception:
        _log.exception(
            "a request failed",
            action="request_failed",
            method=request.method,
            route=_route(request),
        )
        response = _explained(
            Refused(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "this is a bug in enrichd",
                hint="the daemon's log has the details",
            )
        )
    _log.debug(
        "answered",
        action="request_answered",
        method=request.method,
        route=_route(request),
        status=response.status,
    )
    return response


def _explained(refused: Refused) -> web.Response:
    problem = Problem(refused.message, refused.hint, CODES[refused.status])
    return answer(ProblemDocument(problem), refused.status, refused.headers)


def _told(error: EnrichdError) -> web.Response:
    """The answer to an error that a person could meet on the command line."""
    if isinstance(error, AmbiguousSymbol):
        status = HTTPStatus.CONFLICT
        problem = Problem(error.message, error.hint, CODES[status], error.candidates)
        return answer(ProblemDocument(problem), status)
    return _explained(Refused(status_of(error.exit_code), error.message, hint=error.hint))


def status_of(exit_code: ExitCode) -> HTTPStatus:
    """What an exit code is in HTTP."""
    match exit_code:
        case ExitCode.NO:
            return HTTPStatus.NOT_FOUND
        case ExitCode.USAGE:
            return HTTPStatus.UNPROCESSABLE_ENTITY
        case ExitCode.UNAVAILABLE | ExitCode.IO | ExitCode.LOCKED:
            return HTTPStatus.SERVICE_UNAVAILABLE
        case ExitCode.PERMISSION:
            return HTTPStatus.FORBIDDEN
        case ExitCode.OK | ExitCode.SOFTWARE | ExitCode.CONFIG:
            return HTTPStatus.INTERNAL_SERVER_ERROR
        case _:
            assert_never(exit_code)


def _worded(request: web.Request, error: web.HTTPException) -> web.Response:
    """aiohttp's own refusals in our shape."""
    headers = None
    if isinstance(error, web.HTTPNotFound):
        message = f"there is nothing at {request.path}"
    elif isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        message = f"{request.method} is not offered here, only {allowed}"
        headers = {"Allow": allowed}
    elif isinstance(error, web.HTTPRequestEntityTooLarge):
        message = f"the body is larger than {request.client_max_size} bytes"
    else:
        raise error
    return _explained(Refused(HTTPStatus(error.status), message, headers=headers))


def _route(request: web.Request) -> str:
    """The pattern of the route: it names nothing that the user has."""
    resource = request.match_info.route.resource
    return resource.canonical if resource else "none"
