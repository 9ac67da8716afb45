"""Who asks: a program by its token; what they may is checked here, for every route, before anything is done.

A route says what it takes: ``actor: Annotated[Actor, requires(Scope.CUSTOMERS_READ)]``. Whose data it is a route asks
of the actor (``actor.sees(client)``); what they do not see is answered as if it were not there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from callcenter.config import Settings
from callcenter.control.protocol import Reason
from callcenter.desk.desk import Desk
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Role, Scope

_bearer = HTTPBearer(auto_error=False, scheme_name="token", description="a token, as `callcenter token create` made it")


async def the_desk(request: Request) -> Desk:
    """The desk whose app was asked."""
    desk: Desk = request.app.state.desk
    return desk


TheDesk = Annotated[Desk, Depends(the_desk)]


async def who_asks(desk: TheDesk, bearer: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]) -> Actor:
    """Who asks. Raises Problem (401) for nobody."""
    if bearer is None:
        raise unauthenticated("show a token: Authorization: Bearer cct_...")
    token = await desk.tokens.find(bearer.credentials)
    actor = None if token is None else as_of_now(desk.settings, token.actor)
    if actor is None:
        raise unauthenticated("this token does not serve: it is unknown, revoked or over")
    return actor


def requires(*scopes: Scope) -> Any:
    """The dependency of a route that takes these scopes; without any: that somebody is known at all."""

    async def check(actor: Annotated[Actor, Depends(who_asks)]) -> Actor:
        for scope in scopes:
            if not actor.may(scope):
                raise Problem(
                    403, Reason.FORBIDDEN, f"this takes the scope {scope}, which you do not hold", scope=scope
                )
        return actor

    checked: Callable[..., Awaitable[Actor]] = check
    return Depends(checked)


def unauthenticated(detail: str) -> Problem:
    """Nobody is known to ask."""
    return Problem(401, "unauthenticated", detail, headers={"WWW-Authenticate": 'Bearer realm="callcenter"'})


def as_of_now(settings: Settings, actor: Actor) -> Actor | None:
    """The same as the configuration in force has it: an agent sees no company that they do not serve any more.

    None: the agent is gone.
    """
    if not actor.agent:
        return actor
    agent = settings.plan.agents.get(actor.agent)
    if agent is None:
        return None
    if actor.role is not Role.AGENT:
        return actor
    return replace(actor, clients=agent.clients if actor.clients is None else agent.clients & actor.clients)
