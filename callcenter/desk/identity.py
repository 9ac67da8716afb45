"""Who asks: a program by its token, somebody who signed in by a cookie; what they may is checked here, before anything
is done.

A route says what it takes: ``actor: Annotated[Actor, requires(Scope.CUSTOMERS_READ)]``. Whose data it is a route asks
of the actor (``actor.sees(client)``); what they do not see is answered as if it were not there.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import APIKeyCookie, HTTPAuthorizationCredentials, HTTPBearer

from callcenter.control.protocol import Reason
from callcenter.desk.desk import Desk
from callcenter.desk.gate import own_origins
from callcenter.desk.problems import Problem
from callcenter.desk.sessions import csrf_token
from callcenter.model.access import Actor, Role, Scope

# With the prefix browsers take it from an encrypted page of this host alone (RFC 6265bis 4.1.3.2).
COOKIE, PLAIN_COOKIE = "__Host-callcenter", "callcenter"
CSRF_HEADER = "X-CSRF-Token"
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# Bits of an address of IPv6 that say in whose network it is (RFC 4291 2.5.1); the rest its owner chooses.
IPV6_NETWORK = 64

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="a token, as `callcenter token create` made it")
_cookie = APIKeyCookie(
    name=COOKIE,
    auto_error=False,
    scheme_name="session",
    description=f"the cookie of `POST /api/v1/session`; methods that change take its `{CSRF_HEADER}` too",
)


async def the_desk(request: Request) -> Desk:
    """The desk whose app was asked."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(the_desk)]


async def who_asks(
    request: Request,
    desk: TheDesk,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)],
    _: Annotated[str | None, Security(_cookie)] = None,
) -> Actor:
    """Who asks. Raises Problem: 401 for nobody, 403 for a page that is not ours, 429 for who asks too much."""
    if bearer is not None:
        actor = await _by_token(desk, bearer.credentials)
        word = "this token does not serve: it is unknown, revoked or over"
    else:
        actor = await _by_cookie(desk, request)
        word = "sign in by POST /api/v1/session, or show a token: Authorization: Bearer cct_..."
    if actor is None:
        limit(desk, f"address {address_of(request)}")
        raise unauthenticated(word)
    limit(desk, f"{actor.role} {actor.user}")
    return actor


async def still_asks(desk: Desk, request: Request) -> Actor | None:
    """Who asks by a request that goes on for long, as it is by now; None when they may no more. It counts as no other.

    Raises StorageError.
    """
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    return await (_by_token(desk, shown.strip()) if scheme.lower() == "bearer" else _by_cookie(desk, request))


def requires(*scopes: Scope) -> Any:
    """The dependency of a route that takes these scopes; without any: that somebody is known at all."""

    async def check(actor: Annotated[Actor, Depends(who_asks)]) -> Actor:
        for scope in scopes:
            if not actor.may(scope):
                detail = f"this takes the scope {scope}, which you do not hold"
                raise Problem(403, Reason.FORBIDDEN, detail, scope=scope)
        return actor

    checked: Callable[..., Awaitable[Actor]] = check
    return Depends(checked)


def limit(desk: Desk, whose: str) -> None:
    """Count a request of somebody's. Raises Problem (429) when there were too many."""
    wait = desk.rates.take(whose)
    if wait:
        raise too_many(wait)


def too_many(wait: float) -> Problem:
    """Somebody asks too much: in ``wait`` seconds they may again."""
    headers = {"Retry-After": str(max(1, math.ceil(wait)))}
    return Problem(429, Reason.TOO_MANY, f"that is too much: ask again in {max(1, math.ceil(wait))} s", headers=headers)


def unauthenticated(detail: str) -> Problem:
    """Nobody is known to ask."""
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="callcenter"'})


def address_of(request: Request) -> str:
    """From where it is asked; of IPv6 the network, for one machine has many addresses of it."""
    host = request.client.host if request.client is not None else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False).network_address)


def is_secure(desk: Desk, request: Request) -> bool:
    """Whether browsers reach us by TLS."""
    return request.url.scheme == "https" or desk.settings.desk.public_url.startswith("https:")


def secret_of(desk: Desk, request: Request) -> str | None:
    """The value of the session's cookie."""
    return request.cookies.get(COOKIE if is_secure(desk, request) else PLAIN_COOKIE)


def same_origin(desk: Desk, request: Request) -> None:
    """Raises Problem (403) for a page that is not ours. Programs that are no browsers say nothing of a page."""
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    own = own_origins(desk.settings.desk.public_url, request.url.scheme, request.headers.get("host", ""))
    if (origin is not None and origin.lower() not in own) or site not in (None, "same-origin", "none"):
        raise Problem(403, Reason.FORBIDDEN, "a page from elsewhere asks here with a token, never with a cookie")


async def _by_token(desk: Desk, shown: str) -> Actor | None:
    token = await desk.tokens.find(shown)
    return None if token is None else as_of_now(desk, token.actor)


async def _by_cookie(desk: Desk, request: Request) -> Actor | None:
    secret = secret_of(desk, request)
    session = await desk.sessions.find(secret) if secret else None
    actor = None if session is None else login(desk, session.user)
    if secret is None or actor is None:
        return None
    if request.method not in SAFE:
        same_origin(desk, request)
        shown = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(shown.encode(), csrf_token(secret).encode()):
            detail = f"show the token that POST /api/v1/session gave in {CSRF_HEADER}"
            raise Problem(403, Reason.FORBIDDEN, detail, CSRF_HEADER)
    return actor


def login(desk: Desk, user: str) -> Actor | None:
    """Who somebody is who signs in by that name, as the configuration and the roster in force have it; None: nobody."""
    if (served := _served(desk, user)) is not None:
        return Actor(user, Role.AGENT, served, agent=user)
    if (supervisor := desk.settings.calls.supervisors.get(user)) is not None:
        return Actor(user, Role.SUPERVISOR, supervisor.clients, agent=supervisor.agent)
    if (other := desk.settings.desk.users.get(user)) is not None:
        return Actor(user, other.role, other.clients)
    return None


def as_of_now(desk: Desk, actor: Actor) -> Actor | None:
    """The same as the configuration and the roster in force have it: an agent sees the companies that they serve now,
    one that they are lent to as well, and none that they do not serve any more.

    None: the agent is gone.
    """
    if not actor.agent:
        return actor
    served = _served(desk, actor.agent)
    if served is None:
        return None
    if actor.role is not Role.AGENT:
        return actor
    return replace(actor, clients=served if actor.clients is None else served & actor.clients)


def _served(desk: Desk, agent: str) -> frozenset[str] | None:
    """The companies that an agent serves now; None: there is no such agent."""
    return desk.hub.whose.floor.agents.get(agent)
