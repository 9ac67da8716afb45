"""``/session``: sign in, and out again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel, ConfigDict, Field

from callcenter.desk.desk import Desk
from callcenter.desk.identity import (
    COOKIE,
    PLAIN_COOKIE,
    TheDesk,
    address_of,
    is_secure,
    login,
    requires,
    same_origin,
    secret_of,
    too_many,
    unauthenticated,
)
from callcenter.desk.passwords import LONGEST_PASSWORD, TooOften
from callcenter.desk.problems import Problem
from callcenter.desk.sessions import Session, csrf_token
from callcenter.model.access import MAX_USER, Actor, Role

log = structlog.get_logger()

router = APIRouter(prefix="/api/v1", tags=["session"])
_basic = HTTPBasic(auto_error=False, scheme_name="password", description="user and password, to sign in only")


class Credentials(BaseModel):
    """Who signs in: agents and supervisors with their password for MQTT (or that for the desk), users of the desk."""

    model_config = ConfigDict(extra="forbid")

    user: str = Field(min_length=1, max_length=MAX_USER)
    password: str = Field(min_length=1, max_length=LONGEST_PASSWORD)


class SignedIn(BaseModel):
    """Who is signed in. ``csrf`` goes in ``X-CSRF-Token`` with every request that changes something."""

    user: str
    role: Role
    csrf: str
    ends_at: datetime = Field(description="when they must sign in again in any case")
    idle_s: float = Field(description="and after so many seconds without a request")


@router.post("/session", status_code=201)
async def sign_in(
    request: Request,
    response: Response,
    desk: TheDesk,
    basic: Annotated[HTTPBasicCredentials | None, Depends(_basic)],
    credentials: Credentials | None = None,
) -> SignedIn:
    """Sign in, by a body or by HTTP Basic: the answer sets a cookie. There is one answer for all that is wrong."""
    same_origin(desk, request)
    if credentials is None and basic is not None:
        credentials = Credentials.model_construct(user=basic.username, password=basic.password)
    if credentials is None:
        raise Problem(422, "invalid", "say who signs in: user and password", "user")
    address = address_of(request)
    try:
        right = await desk.passwords.check(credentials.user[:MAX_USER], credentials.password, address)
    except TooOften as error:
        raise too_many(error.wait) from None
    actor = login(desk, credentials.user)
    if not right or actor is None:
        log.warning("sign-in refused", user=credentials.user[:MAX_USER], address=address)
        raise unauthenticated("user or password is wrong")
    # Whoever planted a cookie before gains nothing: the session is always a new one.
    secret, session = await desk.sessions.begin(actor.user, address)
    log.info("signed in", user=actor.user, role=actor.role, address=address)
    secure = is_secure(desk, request)
    response.set_cookie(
        COOKIE if secure else PLAIN_COOKIE, secret, path="/", secure=secure, httponly=True, samesite="strict"
    )
    return _signed_in(desk, actor, secret, session)


@router.get("/session")
async def session(request: Request, desk: TheDesk, actor: Annotated[Actor, requires()]) -> SignedIn:
    """Who is signed in by the cookie, for a page that was loaded again."""
    secret = secret_of(desk, request)
    found = await desk.sessions.find(secret) if secret else None
    if secret is None or found is None or found.user != actor.user:
        raise Problem(404, "not_found", "nobody is signed in: a token was shown")
    return _signed_in(desk, actor, secret, found)


@router.delete("/session", status_code=204)
async def sign_out(request: Request, response: Response, desk: TheDesk, actor: Annotated[Actor, requires()]) -> None:
    """Sign out: the cookie serves no more."""
    secret = secret_of(desk, request)
    if secret is not None:
        await desk.sessions.end(secret)
    secure = is_secure(desk, request)
    response.delete_cookie(
        COOKIE if secure else PLAIN_COOKIE, path="/", secure=secure, httponly=True, samesite="strict"
    )


def _signed_in(desk: Desk, actor: Actor, secret: str, session: Session) -> SignedIn:
    idle = desk.settings.desk.session.idle
    return SignedIn(user=actor.user, role=actor.role, csrf=csrf_token(secret), ends_at=session.ends_at, idle_s=idle)
