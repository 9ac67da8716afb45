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
from tests.unit.desk.filled import ACME, GLOBEX, NONE, SECRETS, open_filled, renew
from tests.unit.desk.support import Floor

WITHOUT_TOKEN = "without a token"
IDS = {name: "{" + name + "}" for name in ACME}


@dataclass(frozen=True)
class Route:
    """What a route takes. ``takes``: the scopes; None: nobody needs to be known. ``hidden_from``: roles that hold them
    and are refused all the same. ``query``: what a list is narrowed by, in which the ids stand too, as in ``json``.
    ``of_talk``: agents mean themselves, all others name one. ``refuses``: with which status what is their own is.
    """

    takes: frozenset[Scope] | None
    hidden_from: frozenset[Role] = frozenset()
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    streams: bool = False
    of_talk: bool = False
    refuses: int | None = None


def of(*scopes: Scope, hidden_from: tuple[Role, ...] = (), **more: Any) -> Route:
    return Route(frozenset(scopes), frozenset(hidden_from), **more)


AGENT, CLIENT = {"agent": "{agent}"}, {"client": "{client}"}
CALLER = {"customer": "{customer}", "call": "{call}", "number": "{number}"}
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
    "HEAD /api/v1/recordings/{recording}": of(Scope.RECORDINGS_READ),
    "GET /api/v1/recordings/{recording}/peaks": of(Scope.RECORDINGS_READ),
    "GET /api/v1/recordings/{recording}/about": of(Scope.RECORDINGS_READ),
    "GET /api/v1/reports/calls": of(Scope.REPORTS_READ, Scope.CALLS_READ, query={"client": "{client}"}),
    "GET /api/v1/reports/queues": of(Scope.REPORTS_READ, query={"client": "{client}", "queue": "{queue}"}),
    "GET /api/v1/reports/clients": of(Scope.REPORTS_READ, query={"client": "{client}"}),
    "GET /api/v1/reports/agents": of(Scope.REPORTS_READ, hidden_from=(Role.CLIENT,), query={"agent": "{agent}"}),
    "GET /api/v1/config": of(Scope.CONFIG),
    "POST /api/v1/config/check": of(Scope.CONFIG),
    "POST /api/v1/config/reload": of(Scope.CONFIG, json={}),
    "POST /api/v1/calls": of(Scope.CALLS_CONTROL, json={"to": "201", **AGENT}),
    "POST /api/v1/calls/{call}/answer": of(Scope.CALLS_CONTROL, json={}, of_talk=True),
    "POST /api/v1/calls/{call}/hold": of(Scope.CALLS_CONTROL, json={}, of_talk=True),
    "POST /api/v1/calls/{call}/resume": of(Scope.CALLS_CONTROL, json={}, of_talk=True),
    "POST /api/v1/calls/{call}/transfer": of(Scope.CALLS_CONTROL, json={"to": "201"}, of_talk=True),
    "POST /api/v1/calls/{call}/consult": of(Scope.CALLS_CONTROL, json={"to": "201"}, of_talk=True),
    "POST /api/v1/calls/{call}/conference": of(Scope.CALLS_CONTROL, json={}, of_talk=True),
    "POST /api/v1/calls/{call}/hangup": of(Scope.CALLS_CONTROL, json={}, of_talk=True),
    "POST /api/v1/calls/{call}/record": of(Scope.CALLS_CONTROL, json={"do": "pause"}, of_talk=True),
    "POST /api/v1/calls/{call}/digits": of(Scope.CALLS_CONTROL, json={"digits": "1"}, of_talk=True),
    "POST /api/v1/calls/{call}/entry": of(Scope.CALLS_CONTROL, json={"entry": "pin"}, of_talk=True),
    "POST /api/v1/calls/{call}/move": of(Scope.SUPERVISE, json={"queue": "{queue}"}),
    "POST /api/v1/calls/{call}/priority": of(Scope.SUPERVISE, json={"priority": 1}),
    "POST /api/v1/calls/{call}/take": of(Scope.SUPERVISE, json=AGENT),
    "POST /api/v1/calls/{call}/monitor": of(Scope.SUPERVISE, json={}),
    "POST /api/v1/agents/{agent}/state": of(Scope.AGENTS_CONTROL, json={"chosen": "ready", "why": "x"}),
    "POST /api/v1/agents/{agent}/roster": of(Scope.SUPERVISE, json={"clients": ["{client}"]}),
    "GET /api/v1/callbacks": of(Scope.CALLBACKS_READ, query={**BY_ALL, **CALLER}),
    "POST /api/v1/callbacks": of(Scope.CALLBACKS_WRITE, json={**CLIENT, **CALLER, "queue": "{queue}"}),
    "GET /api/v1/callbacks/{callback}": of(Scope.CALLBACKS_READ),
    "PATCH /api/v1/callbacks/{callback}": of(Scope.CALLBACKS_WRITE, json={"queue": "{queue}"}),
    "DELETE /api/v1/callbacks/{callback}": of(Scope.CALLBACKS_WRITE),
    "POST /api/v1/callbacks/{callback}/accept": of(Scope.CALLBACKS_WRITE, json=AGENT),
    "POST /api/v1/callbacks/{callback}/decline": of(Scope.CALLBACKS_WRITE, json=AGENT),
    "GET /api/v1/followups": of(Scope.FOLLOWUPS_READ, query={**BY_ALL, "customer": "{customer}", "call": "{call}"}),
    "GET /api/v1/followups/figures": of(Scope.FOLLOWUPS_READ, query={**CLIENT, **AGENT}),
    "POST /api/v1/followups": of(
        Scope.FOLLOWUPS_WRITE, json={**CLIENT, **CALLER, **AGENT, "title": "x", "due_at": "tomorrow"}
    ),
    "GET /api/v1/followups/{followup}": of(Scope.FOLLOWUPS_READ),
    "PATCH /api/v1/followups/{followup}": of(Scope.FOLLOWUPS_WRITE, json=CALLER),
    "POST /api/v1/followups/{followup}/attempts": of(Scope.FOLLOWUPS_WRITE, json={"outcome": "busy"}),
    "POST /api/v1/followups/{followup}/done": of(Scope.FOLLOWUPS_WRITE, json={}),
    "POST /api/v1/followups/{followup}/cancel": of(Scope.FOLLOWUPS_WRITE, json={}),
    "POST /api/v1/followups/{followup}/reopen": of(Scope.FOLLOWUPS_WRITE, json={}),
    "POST /api/v1/followups/{followup}/take": of(Scope.FOLLOWUPS_WRITE),
    "POST /api/v1/followups/{followup}/assign": of(Scope.FOLLOWUPS_WRITE, json=AGENT),
    "GET /api/v1/do-not-call": of(Scope.CALLBACKS_READ, query={**CLIENT, "number": "{number}"}),
    "POST /api/v1/do-not-call": of(Scope.CALLBACKS_WRITE, json={**CLIENT, "number": "{number}", "call": "{call}"}),
    "DELETE /api/v1/do-not-call/{entry}": of(Scope.SUPERVISE),
    "POST /api/v1/do-not-call/import": of(Scope.SUPERVISE, json={**CLIENT, "csv": "number\n{number}\n"}),
    "GET /api/v1/customers": of(Scope.CUSTOMERS_READ, query=CLIENT),
    "GET /api/v1/customers/lookup": of(Scope.CUSTOMERS_READ, query={**CLIENT, "number": "{number}"}),
    "GET /api/v1/customers/export": of(Scope.CUSTOMERS_READ, Scope.CUSTOMERS_BULK, query=CLIENT),
    "GET /api/v1/customers/{customer}": of(Scope.CUSTOMERS_READ, query=CLIENT),
    "POST /api/v1/customers": of(Scope.CUSTOMERS_WRITE, json={**CLIENT, "id": "{customer}", "name": "Jo"}),
    "PATCH /api/v1/customers/{customer}": of(Scope.CUSTOMERS_WRITE, query=CLIENT, json={"name": "Jo"}),
    "POST /api/v1/customers/{customer}/merge": of(Scope.CUSTOMERS_WRITE, json={**CLIENT, "other": "{customer}"}),
    "POST /api/v1/customers/erase": of(Scope.CUSTOMERS_ERASE, json={**CLIENT, "customer": "{customer}", "dry": True}),
    # What comes of a file, test_customers tries: another program takes it in.
    "POST /api/v1/customers/import": of(
        Scope.CUSTOMERS_WRITE, Scope.CUSTOMERS_BULK, query={**CLIENT, "dry": "1"}, refuses=415
    ),
    "GET /api/v1/webhooks": of(Scope.WEBHOOKS),
    "POST /api/v1/webhooks": of(Scope.WEBHOOKS, json={**CLIENT, "url": "https://crm.example.com/"}),
    "GET /api/v1/webhooks/{webhook}": of(Scope.WEBHOOKS),
    "PATCH /api/v1/webhooks/{webhook}": of(Scope.WEBHOOKS, json={"description": "the CRM"}),
    "POST /api/v1/webhooks/{webhook}/secret": of(Scope.WEBHOOKS),
    "GET /api/v1/webhooks/{webhook}/deliveries": of(Scope.WEBHOOKS),
    "POST /api/v1/webhooks/{webhook}/deliveries/{delivery}/replay": of(Scope.WEBHOOKS),
    "POST /api/v1/webhooks/{webhook}/replay": of(Scope.WEBHOOKS),
    "POST /api/v1/webhooks/{webhook}/test": of(Scope.WEBHOOKS),
    "DELETE /api/v1/webhooks/{webhook}": of(Scope.WEBHOOKS),
    "GET /api/v1/crms": of(Scope.WEBHOOKS),
    "GET /api/v1/audit": of(Scope.AUDIT_READ, query={**CLIENT, "target": "{customer}"}),
    "GET /api/v1/tokens": of(Scope.TOKENS),
    "POST /api/v1/tokens": of(Scope.TOKENS, json={"name": "new-{token}", "role": "client", "clients": ["{client}"]}),
    "DELETE /api/v1/tokens/{token}": of(Scope.TOKENS),
}
# What names nobody's thing: there is nothing of another's to try. Which test tries the rest of it stands beside it.
ELSEWHERE: dict[str, str] = {
    "GET /api/v1/asyncapi.json": "test_control",
    "POST /api/v1/me/state": "test_control",
    "POST /api/v1/me/wrap_up": "test_control",
    "GET /metrics": "test_metrics",
    "GET /livez": "test_health",
    "GET /readyz": "test_health",
    "POST /api/v1/session": "test_session",
    "GET /api/v1/session": "test_session",
    "DELETE /api/v1/session": "test_session",
    # To everybody, of one company, whose page it is on.
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
ADMIN_OF_ACME = {"clients": {"acme"}}
STRANGERS = [*((role, kwargs) for role, kwargs in ROLES.items() if role is not Role.ADMIN), (Role.ADMIN, ADMIN_OF_ACME)]
DONE = (200, 201, 202, 204)
OF_STATUS = {401: "unauthenticated", 403: "forbidden", 404: "not_found"}


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
                assert (answer.status_code, reason(answer)) == (401, "unauthenticated"), (method, route.path)
                for role, who in people.items():
                    if not takes <= SCOPES[role]:
                        answer = await who.request(method, path)
                        assert (answer.status_code, reason(answer)) == (403, "forbidden"), (method, path, role)
    assert opened == OPEN, "whoever opens a route to everybody says so here"


def filled_in(written: Any, ids: Mapping[str, str]) -> Any:
    """A body with the ids in their places."""
    if isinstance(written, dict):
        return {name: filled_in(value, ids) for name, value in written.items()}
    if isinstance(written, list):
        return [filled_in(each, ids) for each in written]
    return written.format(**ids) if isinstance(written, str) else written


async def ask(
    floor: Floor,
    client: httpx.AsyncClient,
    name: str,
    ids: Mapping[str, str],
    agent: str,
    headers: Mapping[str, str] | None = None,
) -> httpx.Response:
    """Ask by a route of the table for the things of these ids; who is no agent means ``agent``."""
    method, path = name.split(" ")
    route = ROUTES[name]
    body = filled_in(route.json, ids)
    if route.of_talk and agent:
        body = {**body, "agent": agent}
    query = filled_in(dict(route.query), ids)
    answer = await client.request(method, path.format(**ids), params=query, json=body, headers=headers)
    if method != "GET" and ("/webhooks" in path or "/tokens" in path):
        await renew(floor)
    return answer


def reason(answer: httpx.Response) -> str:
    """Why it was refused; an answer to HEAD has no body to say it in."""
    told: str = answer.json()["reason"] if answer.content else OF_STATUS[answer.status_code]
    return told


def same(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[int, str]:
    """An answer without the names that were asked for."""
    text = answer.text
    for value in sorted(ids.values(), key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "-", text)
    return answer.status_code, text


@pytest.mark.parametrize(("role", "kwargs"), [*STRANGERS, (Role.ADMIN, {})])
async def test_what_a_role_may_is_done_and_nothing_else(floor: Floor, role: Role, kwargs: dict[str, Any]) -> None:
    who = await floor.client(role, **kwargs)
    agent = "" if role is Role.AGENT else "ana"
    for name, route in ROUTES.items():
        if route.streams:
            continue
        assert route.takes is not None
        answer = await ask(floor, who, name, ACME, agent)
        if route.takes <= SCOPES[role] and role not in route.hidden_from:
            expected = DONE if route.refuses is None else (route.refuses,)
            assert answer.status_code in expected, (name, answer.text)
            if role is not Role.ADMIN or kwargs:
                assert not [each for each in SECRETS if each in answer.text], (name, answer.text)
        else:
            assert (answer.status_code, reason(answer)) == (403, "forbidden"), name
            assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("role", "kwargs"), STRANGERS, ids=[role.value for role, _ in STRANGERS])
async def test_what_is_anothers_is_answered_as_what_there_is_not(
    floor: Floor, role: Role, kwargs: dict[str, Any]
) -> None:
    who, ida = await floor.client(role, **kwargs), await floor.client(Role.ADMIN)
    agent = "" if role is Role.AGENT else "ana"
    for name, route in ROUTES.items():
        if route.streams or not route.takes or not route.takes <= SCOPES[role] or role in route.hidden_from:
            continue
        others, nothing = await ask(floor, who, name, GLOBEX, agent), await ask(floor, who, name, NONE, agent)
        assert same(others, GLOBEX) == same(nothing, NONE), name
        if "{" in name:
            assert (others.status_code, reason(others)) == (404, "not_found"), name
            assert (await ask(floor, ida, name, GLOBEX, "bob")).status_code in DONE, (name, "it is there")


async def test_a_token_does_no_more_than_its_scopes(floor: Floor) -> None:
    every = frozenset(Scope)
    for name, route in ROUTES.items():
        for missing in route.takes or ():
            who = await floor.client(Role.ADMIN, scopes=set(every - {missing}))
            answer = await ask(floor, who, name, ACME, "ana")
            assert (answer.status_code, reason(answer)) == (403, "forbidden"), (name, missing)


async def test_nobody_is_told_to_show_a_token(floor: Floor) -> None:
    nobody = await floor.client(None)
    for name, route in ROUTES.items():
        answer = await ask(floor, nobody, name, ACME, "ana")
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
