"""The routes about what runs leave behind: what went wrong, how well files parsed."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from enrichd.api.daemon import Daemon
from enrichd.api.parameters import Glob, Limit, Offset, Text
from enrichd.api.routing import NOT_FOUND, Route, get, post
from enrichd.query import errors, parse_health
from enrichd.query.select import chosen
from enrichd_tracker.model import ErrorStatus, ErrorType, ParseStatus

Since = Annotated[
    float, Meta(ge=0, le=1e12, description="Seen at that time or later, in seconds since 1970.")
]


Before = Annotated[
    str,
    Meta(
        pattern=errors.PLACE,
        description="The `next` of the page before: pages by it never shift.",
        extra={"expected": "the `next` of the page before"},
    ),
]

ErrorId = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,18}$",
        description="The `id` of an error.",
        extra={"expected": "the id of an error"},
    ),
]


class ErrorFilter(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which errors of a workspace."""

    workspace: Text
    error_type: ErrorType | None = None
    language: Text | None = None
    path: Glob | None = None
    status: errors.ErrorStatus = errors.ErrorStatus.OPEN
    since: Since | None = None

    def wanted(self) -> errors.Wanted:
        """The same for the query."""
        return errors.Wanted(
            self.workspace, self.error_type, self.language, self.path, self.status, self.since
        )


class ErrorsPage(ErrorFilter, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """And how many of them."""

    limit: Limit = 100
    offset: Offset = 0
    before: Before | None = None


class Verdict(StrEnum):
    """What is said of an error: that it may stay, or that it may not."""

    IGNORED = "ignored"
    OPEN = "open"


class ErrorVerdict(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An error of a workspace, by its id, and what is said of it."""

    workspace: Text
    id: ErrorId
    status: Verdict


class ParsePage(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which files of a workspace, and how many of them."""

    workspace: Text
    status: ParseStatus | None = None
    language: Text | None = None
    path: Glob | None = None
    limit: Limit = 100
    offset: Offset = 0


class RunRoutes:
    """The handlers, around the daemon whose database they read."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    def table(self) -> Iterable[Route]:
        """What each asks and gives."""
        return (
            get(
                "/api/v1/indexing/batch/errors/{workspace}",
                "What went wrong while indexing, last seen first",
                self._errors,
                asks=ErrorsPage,
                gives=errors.ErrorList,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/indexing/batch/errors/{workspace}/summary",
                "How many indexing errors there are of each type",
                self._summary,
                asks=ErrorFilter,
                gives=errors.ErrorSummary,
                refuses=(NOT_FOUND,),
            ),
            post(
                "/api/v1/indexing/batch/errors/{workspace}/{id}",
                "Ignore an indexing error, or open it again",
                self._judge,
                asks=ErrorVerdict,
                gives=errors.OneError,
                refuses=(NOT_FOUND,),
            ),
            get(
                "/api/v1/parse-results/{workspace}",
                "How well the files of a workspace parsed",
                self._parse_results,
                asks=ParsePage,
                gives=parse_health.ParseResults,
                refuses=(NOT_FOUND,),
            ),
        )

    async def _errors(self, asked: ErrorsPage) -> errors.ErrorList:
        return await self._daemon.store.read(
            lambda reader: errors.errors(
                reader,
                asked.wanted(),
                limit=asked.limit,
                offset=asked.offset,
                before=asked.before,
            )
        )

    async def _judge(self, asked: ErrorVerdict) -> errors.OneError:
        store, error_id = self._daemon.store, int(asked.id)
        workspace = await store.read(lambda reader: chosen(reader, asked.workspace)[0])
        await store.set_error_status(workspace.id, error_id, ErrorStatus(asked.status))
        return await store.read(lambda reader: errors.error(reader, error_id, asked.workspace))

    async def _summary(self, asked: ErrorFilter) -> errors.ErrorSummary:
        return await self._daemon.store.read(lambda reader: errors.summary(reader, asked.wanted()))

    async def _parse_results(self, asked: ParsePage) -> parse_health.ParseResults:
        return await self._daemon.store.read(
            lambda reader: parse_health.parse_results(
                reader,
                asked.workspace,
                status=asked.status,
                language=asked.language,
                path=asked.path,
                limit=asked.limit,
                offset=asked.offset,
            )
        )
