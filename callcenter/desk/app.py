"""The desk's web application: every route, and what holds for all of them."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI

from callcenter import __version__
from callcenter.desk.description import describe
from callcenter.desk.desk import Desk
from callcenter.desk.gate import Gate
from callcenter.desk.problems import PROBLEMS, handle_problems
from callcenter.desk.routes import (
    agents,
    audit,
    call_me,
    callbacks,
    calls,
    clients,
    configuration,
    control,
    do_not_call,
    events,
    followups,
    health,
    interactions,
    me,
    metrics,
    queues,
    recordings,
    reports,
    session,
    tokens,
    webhooks,
)
from callcenter.desk.routes.customers import router as customers_router

ROUTERS: tuple[APIRouter, ...] = (
    audit.router,
    callbacks.router,
    health.router,
    call_me.router,
    do_not_call.router,
    followups.router,
    me.router,
    events.router,
    calls.router,
    queues.router,
    agents.router,
    clients.router,
    recordings.router,
    customers_router,
    reports.router,
    configuration.router,
    control.router,
    session.router,
    interactions.router,
    tokens.router,
    metrics.router,
    webhooks.router,
)  # fmt: skip
"""All that is served, a noun a line."""


def create_app(desk: Desk) -> FastAPI:
    """The application of one desk."""
    app = FastAPI(title="callcenter", version=__version__, openapi_url="/api/v1/openapi.json", docs_url=None,
                  redoc_url=None)  # fmt: skip
    app.state.desk = desk
    app.add_middleware(Gate, desk=desk)
    handle_problems(app)
    for router in ROUTERS:
        app.include_router(router, responses=PROBLEMS)
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]  # as FastAPI would have it
    return app
