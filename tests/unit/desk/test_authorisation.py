"""Every route, tried as every role, on one's own and on another company's things.

A route that is added has to be added to ``ROUTES``: the test that compares both says which one is missing.
"""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi.routing import APIRoute

from callcenter.desk.app import ROUTERS
from callcenter.desk.events import Limits
from callcenter.desk.identity import who_asks
from callcenter.model.access import SCOPES, Role, Scope
from tests.unit.desk.asgi import read
from tests.unit.desk.filled import ACME, GLOBEX, NONE, SECRETS, open_filled
from tests.unit.desk.support import Floor

WITHOUT_TOKEN = "without a token"
IDS = {name: "{" + name + "}" for name in ACME}


@dataclass(frozen=True)
class Route:
    """What a route takes. ``takes``: the scopes; None: nobody needs to be known. ``hidden_from``: roles that hold them
    and are refused all the same. ``query``: what a list is narrowed by, in which the ids stand too.
    """

    takes: frozenset[Scope] | None
    hidden_from: frozenset[Role] = frozenset()
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    streams: bool = False


def of(*scopes: Scope, hidden_from: tuple[Role, ...] = (), **more: Any) -> Route:
    return Route(frozenset(scopes), frozenset(hidden_from), **more)


BY_ALL = {"client": "{client}", "queue": "{queue}", "agent": "{agent}"}
ROUTES: dict[str, Route] = {
    "GET /api/v1/me": of(),
    "GET /api/v1/events": of(Scope.EVENTS_READ, streams=True),
    "GET /api/v1/snapshot": of(Scope.EVENTS_READ),
    "GET /api/v1/calls": of(Scope.CALLS_READ, query=BY_ALL),
    "GET /api/v1/calls/{call}": of(Scope.CALLS_READ),
    "GET /api/v1/calls/{call}/why": of(Scope.CALLS_READ, Scope.AGENTS_READ),
    "GET /api/v1/calls/{call}/trace": of(Scope.CALLS_READ, Scope.SUPERVISE),
    "GET /api/v1/calls/{call}/note": of(Scope.CALLS_READ, hidden_from=(Role.CLIENT,)),
    "PUT /api/v1/calls/{call}/note": of(Scope.CALLS_CONTROL, json={"text": "late again"}),
    "POST /api/v1/calls/{call}/notes": of(Scope.CALLS_CONTROL, json={"text": "late again"}),
    "PUT /api/v1/notes/{note}": of(Scope.CALLS_CONTROL, json={"text": "late again"}),
    "PUT /api/v1/calls/{call}/disposition": of(Scope.CALLS_CONTROL, json={"disposition": "sold"}),
    "GET /api/v1/calls/{call}/fields": of(Scope.CALLS_CONTROL),
    "PUT /api/v1/calls/{call}/fields": of(Scope.CALLS_CONTROL, json={"values": {}}),
    "GET /api/v1/calls/{call}/timeline": of(Scope.CALLS_READ),
    "GET /api/v1/customers/{customer}/timeline": of(Scope.CUSTOMERS_READ, query={"client": "{client}"}),
    "GET /api/v1/customers/{customer}/notes": of(Scope.CUSTOMERS_READ, query={"client": "{client}"}),
    "POST /api/v1/customers/{customer}/notes": of(
        Scope.CALLS_CONTROL, Scope.CUSTOMERS_WRITE, query={"client": "{client}"}, json={"text": "late again"}
    ),
    "GET /api/v1/queues": of(Scope.CALLS_READ),
    "GET /api/v1/queues/{queue}": of(Scope.CALLS_READ),
    "GET /api/v1/queues/{queue}/waiting": of(Scope.CALLS_READ),
    "GET /api/v1/agents": of(Scope.AGENTS_READ),
    "GET /api/v1/agents/{agent}": of(Scope.AGENTS_READ),
    "GET /api/v1/clients": of(Scope.CALLS_READ),
    "GET /api/v1/clients/{client}": of(Scope.CALLS_READ),
    "GET /api/v1/recordings": of(Scope.RECORDINGS_READ, query={**BY_ALL, "call": "{call}"}),
    "GET /api/v1/recordings/{recording}": of(Scope.RECORDINGS_READ),
    "GET /api/v1/recordings/{recording}/about": of(Scope.RECORDINGS_READ),
    "GET /api/v1/reports/calls": of(Scope.REPORTS_READ, Scope.CALLS_READ, query={"client": "{client}"}),
    "GET /api/v1/reports/queues": of(Scope.REPORTS_READ, query={"client": "{client}", "queue": "{queue}"}),
    "GET /api/v1/reports/clients": of(Scope.REPORTS_READ, query={"client": "{client}"}),
    "GET /api/v1/reports/agents": of(Scope.REPORTS_READ, hidden_from=(Role.CLIENT,), query={"agent": "{agent}"}),
    "GET /api/v1/config": of(Scope.CONFIG),
    "POST /api/v1/config/check": of(Scope.CONFIG),
    "POST /api/v1/config/reload": of(Scope.CONFIG, json={}),
}
# What is tried elsewhere, each by who made it: which test it is stands beside it.
ELSEWHERE: dict[str, str] = {
    "GET /api/v1/webhooks": "test_webhook_routes",
    "POST /api/v1/webhooks": "test_webhook_routes",
    "GET /api/v1/webhooks/{webhook}": "test_webhook_routes",
    "PATCH /api/v1/webhooks/{webhook}": "test_webhook_routes",
    "DELETE /api/v1/webhooks/{webhook}": "test_webhook_routes",
    "POST /api/v1/webhooks/{webhook}/secret": "test_webhook_routes",
    "GET /api/v1/webhooks/{webhook}/deliveries": "test_webhook_routes",
    "POST /api/v1/webhooks/{webhook}/deliveries/{delivery}/replay": "test_webhook_routes",
    "POST /api/v1/webhooks/{webhook}/replay": "test_webhook_routes",
    "POST /api/v1/webhooks/{webhook}/test": "test_webhook_routes",
    "GET /api/v1/crms": "test_webhook_routes",
    "GET /api/v1/asyncapi.json": "test_control",
    "POST /api/v1/me/state": "test_control",
    "POST /api/v1/me/wrap_up": "test_control",
    "POST /api/v1/calls": "test_control",
    "POST /api/v1/calls/{call}/answer": "test_control",
    "POST /api/v1/calls/{call}/hold": "test_control",
    "POST /api/v1/calls/{call}/resume": "test_control",
    "POST /api/v1/calls/{call}/transfer": "test_control",
    "POST /api/v1/calls/{call}/consult": "test_control",
    "POST /api/v1/calls/{call}/conference": "test_control",
    "POST /api/v1/calls/{call}/hangup": "test_control",
    "POST /api/v1/calls/{call}/record": "test_control",
    "POST /api/v1/calls/{call}/digits": "test_control",
    "POST /api/v1/calls/{call}/entry": "test_control",
    "POST /api/v1/calls/{call}/move": "test_control",
    "POST /api/v1/calls/{call}/priority": "test_control",
    "POST /api/v1/calls/{call}/take": "test_control",
    "POST /api/v1/calls/{call}/monitor": "test_control",
    "POST /api/v1/agents/{agent}/state": "test_control",
    "POST /api/v1/agents/{agent}/roster": "test_control",
    "GET /api/v1/callbacks": "test_callbacks",
    "POST /api/v1/callbacks": "test_callbacks",
    "GET /api/v1/callbacks/{callback}": "test_callbacks",
    "PATCH /api/v1/callbacks/{callback}": "test_callbacks",
    "DELETE /api/v1/callbacks/{callback}": "test_callbacks",
    "POST /api/v1/callbacks/{callback}/accept": "test_callbacks",
    "POST /api/v1/callbacks/{callback}/decline": "test_callbacks",
    "GET /metrics": "test_metrics",
    "GET /livez": "test_health",
    "GET /readyz": "test_health",
    "GET /api/v1/audit": "test_audit",
    "POST /api/v1/session": "test_session",
    "GET /api/v1/session": "test_session",
    "DELETE /api/v1/session": "test_session",
    "GET /api/v1/customers": "test_customers",
    "GET /api/v1/customers/lookup": "test_customers",
    "GET /api/v1/customers/export": "test_customers",
    "GET /api/v1/customers/{customer}": "test_customers",
    "POST /api/v1/customers": "test_customers",
    "PATCH /api/v1/customers/{customer}": "test_customers",
    "POST /api/v1/customers/{customer}/merge": "test_customers",
    "POST /api/v1/customers/erase": "test_customers",
    "POST /api/v1/customers/import": "test_customers",
    "GET /api/v1/tokens": "test_tokens",
    "POST /api/v1/tokens": "test_tokens",
    "DELETE /api/v1/tokens/{token}": "test_tokens",
    "GET /api/v1/followups": "test_followups",
    "GET /api/v1/followups/figures": "test_followups",
    "POST /api/v1/followups": "test_followups",
    "GET /api/v1/followups/{followup}": "test_followups",
    "PATCH /api/v1/followups/{followup}": "test_followups",
    "POST /api/v1/followups/{followup}/attempts": "test_followups",
    "POST /api/v1/followups/{followup}/done": "test_followups",
    "POST /api/v1/followups/{followup}/cancel": "test_followups",
    "POST /api/v1/followups/{followup}/reopen": "test_followups",
    "POST /api/v1/followups/{followup}/take": "test_followups",
    "POST /api/v1/followups/{followup}/assign": "test_followups",
    "GET /api/v1/do-not-call": "test_followups",
    "POST /api/v1/do-not-call": "test_followups",
    "DELETE /api/v1/do-not-call/{entry}": "test_followups",
    "POST /api/v1/do-not-call/import": "test_followups",
    "POST /public/v1/clients/{client}/call-me": "test_call_me",
    "POST /public/v1/clients/{client}/call-me/{id}/confirm": "test_call_me",
    "GET /public/v1/clients/{client}/call-me/{id}": "test_call_me",
    "POST /public/v1/clients/{client}/call-me/{id}/cancel": "test_call_me",
}
# What is answered to everybody: that the house lives, and who signs in; what Prometheus asks has rules of its own, and
# so has all that says in its path that it is public.
PUBLIC = "/public/"
OPEN = {"GET /livez", "GET /readyz", "POST /api/v1/session", "GET /metrics"}
ROLES: dict[Role, dict[str, Any]] = {
    Role.AGENT: {"agent": "ana"},
    Role.SUPERVISOR: {"clients": {"acme"}},
    Role.CLIENT: {"clients": {"acme"}},
    Role.ADMIN: {},
}


# Filling it takes longer than all the rest.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def floor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Floor]:
    async with open_filled(tmp_path_factory.mktemp("desk")) as made:
        made.desk.hub.limits = Limits(heartbeat=0.01)
        yield made


def there() -> Iterator[str]:
    """Every route that is served."""
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            for method in sorted(route.methods or ()):
                yield f"{method} {route.path}"


async def test_every_route_is_tried() -> None:
    kinds = {name for name in ROUTES if name.startswith("GET /api/v1/reports/")}
    known = {*ROUTES, *ELSEWHERE, "GET /api/v1/reports/{kind}"} - kinds
    assert set(there()) == known, "add what is missing to ROUTES, or to ELSEWHERE with the test that tries it"


def declared(route: APIRoute) -> frozenset[Scope] | None:
    """The scopes that a route says it takes, wherever it says so; None: it takes nobody to be known."""
    found: set[Scope] | None = None
    waiting = list(route.dependant.dependencies)
    while waiting:
        dependency = waiting.pop()
        waiting += dependency.dependencies
        call = dependency.call
        if call is who_asks:
            found = found or set()
        scopes = inspect.getclosurevars(call).nonlocals.get("scopes", ()) if inspect.isfunction(call) else ()
        found = {*(found or ()), *scopes} if scopes else found
    return None if found is None else frozenset(found)


async def test_every_route_refuses_who_is_nobody_and_who_lacks_what_it_says_that_it_takes(floor: Floor) -> None:
    """Also those that are tried elsewhere, and before anything else is looked at: no id is there, and no body right."""
    people = {role: await floor.client(role, **kwargs) for role, kwargs in ROLES.items()}
    nobody = await floor.client(None)
    opened = set()
    for router in ROUTERS:
        for route in router.routes:
            assert isinstance(route, APIRoute)
            path = re.sub(r"\{[^}]+\}", "none", route.path)
            takes = declared(route)
            for method in route.methods or ():
                if takes is None and not path.startswith(PUBLIC):
                    opened.add(f"{method} {route.path}")
                if takes is None:
                    continue
                answer = await nobody.request(method, path)
                assert (answer.status_code, answer.json()["reason"]) == (401, "unauthenticated"), (method, route.path)
                for role, who in people.items():
                    if not takes <= SCOPES[role]:
                        answer = await who.request(method, path)
                        assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden"), (method, path, role)
    assert opened == OPEN, "whoever opens a route to everybody says so here"


async def ask(client: httpx.AsyncClient, name: str, ids: Mapping[str, str]) -> httpx.Response:
    """Ask by a route of the table for the things of these ids."""
    method, path = name.split(" ")
    route = ROUTES[name]
    query = {key: value.format(**ids) for key, value in route.query.items()}
    return await client.request(method, path.format(**ids), params=query, json=route.json)


def same(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[int, str]:
    """An answer without the names that were asked for."""
    text = answer.text
    for value in sorted(ids.values(), key=len, reverse=True):
        text = re.sub(rf"\b{re.escape(value)}\b", "-", text)
    return answer.status_code, text


@pytest.mark.parametrize("role", ROLES)
async def test_what_a_role_may_is_done_and_nothing_else(floor: Floor, role: Role) -> None:
    who = await floor.client(role, **ROLES[role])
    for name, route in ROUTES.items():
        if route.streams:
            continue
        assert route.takes is not None
        answer = await ask(who, name, ACME)
        if route.takes <= SCOPES[role] and role not in route.hidden_from:
            assert answer.status_code in (200, 201), (name, answer.text)
            if role is not Role.ADMIN:
                assert not [each for each in SECRETS if each in answer.text], (name, answer.text)
        else:
            assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden"), name
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("role", [each for each in ROLES if each is not Role.ADMIN])
async def test_what_is_anothers_is_answered_as_what_there_is_not(floor: Floor, role: Role) -> None:
    who, ida = await floor.client(role, **ROLES[role]), await floor.client(Role.ADMIN)
    for name, route in ROUTES.items():
        if route.streams or not route.takes or not route.takes <= SCOPES[role] or role in route.hidden_from:
            continue
        others, nothing = await ask(who, name, GLOBEX), await ask(who, name, NONE)
        assert same(others, GLOBEX) == same(nothing, NONE), name
        if "{" in name:
            assert (others.status_code, others.json()["reason"]) == (404, "not_found"), name
            assert (await ask(ida, name, GLOBEX)).status_code in (200, 201), (name, "it is there")


async def test_a_token_does_no_more_than_its_scopes(floor: Floor) -> None:
    every = frozenset(Scope)
    for name, route in ROUTES.items():
        for missing in route.takes or ():
            who = await floor.client(Role.ADMIN, scopes=set(every - {missing}))
            answer = await ask(who, name, ACME)
            assert (answer.status_code, answer.json()["reason"]) == (403, "forbidden"), (name, missing)


async def test_nobody_is_told_to_show_a_token(floor: Floor) -> None:
    nobody = await floor.client(None)
    for name, route in ROUTES.items():
        answer = await ask(nobody, name, ACME)
        assert answer.status_code == (401 if route.takes is not None else 200), name


async def test_the_stream_tells_each_what_is_theirs(floor: Floor) -> None:
    """The stream does not end by itself: it is read until it has told what there is."""
    last = f"id: {floor.stream.seq}\n"
    hub = asyncio.create_task(floor.desk.hub.run())
    for role, kwargs in ROLES.items():
        who = await floor.token(role, **kwargs)
        lines = (await read(floor.app, "/api/v1/events?after=0", who, lambda answer: last in answer.text)).text
        if Scope.EVENTS_READ not in SCOPES[role]:
            assert "forbidden" in lines
            continue
        assert "+14155550100" in lines
        assert (not [each for each in SECRETS if each in lines]) == (role is not Role.ADMIN), role
    hub.cancel()
    await asyncio.wait({hub})
