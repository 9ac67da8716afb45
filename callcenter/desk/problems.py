"""Problems: what went wrong, as RFC 9457 has it, with the reason in a word and the field that is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.switch import SwitchAway
from callcenter.runtime.encoding import json_text
from callcenter.storage.database import StorageError

MEDIA_TYPE = "application/problem+json"
STATUS: Mapping[Reason, HTTPStatus] = {
    Reason.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Reason.FORBIDDEN: HTTPStatus.FORBIDDEN,
    Reason.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Reason.CONFLICT: HTTPStatus.CONFLICT,
    Reason.TOO_MANY: HTTPStatus.TOO_MANY_REQUESTS,
    Reason.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
}
# Seconds after which it may go better: the switch is back, a slot is free.
RETRY_AFTER = 1

log = structlog.get_logger()


class Problem(Exception):
    """What is answered in place of a result. ``reason`` is for programs, ``detail`` one sentence for people."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        field: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = HTTPStatus(status)
        self.reason = str(reason)
        self.detail = detail
        self.field = field
        self.headers = dict(headers or {})
        self.more = more

    @classmethod
    def of(cls, error: CommandError) -> Problem:
        """A command that the switch did not do."""
        later = error.reason in (Reason.TOO_MANY, Reason.UNAVAILABLE)
        headers = {"Retry-After": str(RETRY_AFTER)} if later else None
        return cls(STATUS[error.reason], error.reason.value, str(error), error.field, headers=headers, **error.details)

    def response(self) -> Response:
        """As it is sent."""
        body = {
            **self.more,
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "reason": self.reason,
        }
        if self.field is not None:
            body["field"] = self.field
        return Response(json_text(body), self.status, self.headers, MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """What is not there, or not theirs to see: the answer is the same."""
    return Problem(404, Reason.NOT_FOUND, f"there is no such {what}")


class ProblemBody(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(default="about:blank")
    title: str
    status: int
    detail: str = Field(description="one sentence for people")
    reason: str = Field(description="the same for programs: invalid, forbidden, not_found, conflict, ...")
    field: str | None = Field(default=None, description="which field of the request is wrong")


PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ProblemBody, "description": "It was asked wrongly, or is not theirs"},
    "5XX": {"model": ProblemBody, "description": "It cannot be done now"},
}
"""The answers that every route may give."""


def handle_problems(app: FastAPI) -> None:
    """Let the app answer every error as a problem."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(CommandError)
    async def refused(_: Request, error: CommandError) -> Response:
        return Problem.of(error).response()

    @app.exception_handler(SwitchAway)
    async def away(_: Request, error: SwitchAway) -> Response:
        log.warning("the switch is away", detail=str(error))
        return _unavailable("the switch is away").response()

    @app.exception_handler(StorageError)
    async def no_database(_: Request, error: StorageError) -> Response:
        log.error("the desk's database fails", detail=str(error))
        return _unavailable("the database cannot be read at the moment").response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return _invalid(error).response()

    @app.exception_handler(HTTPException)
    async def other(_: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        reason = Reason.NOT_FOUND if status is HTTPStatus.NOT_FOUND else status.phrase.lower().replace(" ", "_")
        detail = "there is nothing under this path" if status is HTTPStatus.NOT_FOUND else str(error.detail)
        return Problem(status, reason, detail, headers=error.headers).response()


def _unavailable(detail: str) -> Problem:
    return Problem(503, Reason.UNAVAILABLE, detail, headers={"Retry-After": str(RETRY_AFTER)})


def _invalid(error: RequestValidationError) -> Problem:
    """Every field that is wrong; what was sent is not repeated."""
    found = [(".".join(str(step) for step in each["loc"][1:]), str(each["msg"])) for each in error.errors()]
    if any(each["type"] == "json_invalid" for each in error.errors()):
        return Problem(400, Reason.INVALID, "the body is not JSON")
    field, message = found[0]
    errors = [{"field": name, "detail": text} for name, text in found]
    return Problem(422, Reason.INVALID, f"{field}: {message}" if field else message, field or None, errors=errors)
