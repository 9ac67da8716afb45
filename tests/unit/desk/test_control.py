"""What agents and supervisors do over HTTP: which command each route is, for whom, and who is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # it comes without types
import pytest
import pytest_asyncio

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.routes.control import router
from callcenter.model.access import SCOPES, Role, Scope
from tests.unit.desk.support import Floor, open_floor
from tests.unit.publish.test_asyncapi import OFFICIAL

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Order:
    """A request, the scope that it takes, and the command that it is; ``by_agent``: as ana asks, who is one."""

    path: str
    body: Any
    takes: Scope
    do: str
    fields: Mapping[str, Any]

    @property
    def by_agent(self) -> bool:
        return self.takes is Scope.CALLS_CONTROL


OWN = {"agent": "ana"}
C1 = {"call": "c1", **OWN}
CONTROL, SUPERVISE, AGENTS = Scope.CALLS_CONTROL, Scope.SUPERVISE, Scope.AGENTS_CONTROL
ORDERS = (
    Order("/me/state", {"chosen": "not_ready", "reason": "lunch"}, CONTROL, "state",
          {"chosen": "not_ready", "reason": "lunch", **OWN}),
    Order("/me/wrap_up", {"disposition": "solved"}, CONTROL, "wrap_up_done", {"disposition": "solved", **OWN}),
    Order("/me/wrap_up", {"do": "extend"}, CONTROL, "wrap_up_extend", OWN),
    Order("/calls", {"to": "+14155550100"}, CONTROL, "dial", {"to": "+14155550100", **OWN}),
    Order("/calls/c1/answer", None, CONTROL, "answer", C1),
    Order("/calls/c1/hold", None, CONTROL, "hold", {"call": "c1", **OWN}),
    Order("/calls/c1/resume", {}, CONTROL, "resume", {"call": "c1", **OWN}),
    Order("/calls/c1/transfer", {"to": "ben"}, CONTROL, "transfer", {"call": "c1", "to": "ben", **OWN}),
    Order("/calls/c1/consult", {"to": "ben"}, CONTROL, "consult", {"to": "ben", **C1}),
    Order("/calls/c1/consult", {"do": "swap"}, CONTROL, "consult_swap", C1),
    Order("/calls/c1/conference", None, CONTROL, "consult_join", C1),
    Order("/calls/c1/hangup", None, CONTROL, "hang_up", {"call": "c1", **OWN}),
    Order("/calls/c1/record", {"do": "pause"}, CONTROL, "record_pause", C1),
    Order("/calls/c1/digits", {"digits": "12#"}, CONTROL, "send_digits", {"digits": "12#", **C1}),
    Order("/calls/c1/entry", {"entry": "pin"}, CONTROL, "entry_start", {"entry": "pin", **C1}),
    Order("/calls/c1/entry", {"entry": None}, CONTROL, "entry_cancel", C1),
    Order("/calls/c1/move", {"queue": "sales"}, SUPERVISE, "move", {"call": "c1", "queue": "sales"}),
    Order("/calls/c1/priority", {"priority": 7}, SUPERVISE, "priority", {"call": "c1", "priority": 7}),
    Order("/calls/c1/take", {"agent": "ana"}, SUPERVISE, "take", {"call": "c1", "agent": "ana"}),
    Order("/calls/c1/monitor", {"mode": "barge"}, SUPERVISE, "supervise", {"call": "c1", "mode": "barge"}),
    Order("/agents/ana/state", {"chosen": "not_ready", "reason": "break", "why": "training"}, AGENTS, "state",
          {"agent": "ana", "chosen": "not_ready", "reason": "break", "why": "training"}),
    Order("/agents/ana/roster", {"skills": {"english": 4}}, SUPERVISE, "roster",
          {"agent": "ana", "skills": {"english": 4}}),
)  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def floor(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Floor]:
    async with open_floor(tmp_path_factory.mktemp("desk")) as made:
        made.answers |= {order.do: {"call": "c9"} if order.do == "dial" else {} for order in ORDERS}
        yield made


async def test_every_route_is_here() -> None:
    wanted = {
        path for order in ORDERS for path in [order.path.replace("/c1/", "/{call}/").replace("/ana/", "/{agent}/")]
    }
    there = {route.path.removeprefix("/api/v1") for route in router.routes if hasattr(route, "path")}
    assert there - {"/asyncapi.json"} == wanted


@pytest.mark.parametrize("order", ORDERS, ids=lambda order: f"{order.path} {order.do}")
async def test_each_is_one_command_for_who_asks_and_nobody_else_may(order: Order, floor: Floor) -> None:
    """With a key it is the same again; each role that may not is refused before the switch is asked."""
    role = Role.AGENT if order.by_agent else Role.SUPERVISOR
    client = await floor.client(role)
    answer = await client.post(f"/api/v1{order.path}", json=order.body, headers={"Idempotency-Key": order.path})
    assert answer.status_code == (202 if order.path == "/calls" else 200), answer.text
    assert answer.json() == ({"call": "c9"} if order.do == "dial" else {"pending": False})
    asked = floor.asked[-1]
    assert (asked.do, dict(asked.fields)) == (order.do, dict(order.fields))
    assert asked.actor.role is role
    assert asked.id
    before = len(floor.asked)
    for other in Role:
        if order.takes not in SCOPES[other]:
            refused = await (await floor.client(other)).post(f"/api/v1{order.path}", json=order.body)
            assert refused.status_code == 403, other
    narrowed = await floor.client(role, scopes={Scope.CALLS_READ})
    assert (await narrowed.post(f"/api/v1{order.path}", json=order.body)).status_code == 403
    nobody = await floor.client(None)
    assert (await nobody.post(f"/api/v1{order.path}", json=order.body)).status_code == 401
    assert len(floor.asked) == before


async def test_a_supervisor_names_the_agent_or_hangs_up_on_the_caller(floor: Floor) -> None:
    sue = await floor.client(Role.SUPERVISOR)
    assert (await sue.post("/api/v1/calls/c1/hold", json={"agent": "ana"})).status_code == 200
    assert dict(floor.asked[-1].fields) == {"call": "c1", "agent": "ana"}
    unnamed = await sue.post("/api/v1/calls/c1/hold")
    assert (unnamed.status_code, unnamed.json()["field"]) == (409, "agent")
    assert (await sue.post("/api/v1/calls/c1/hangup")).status_code == 200
    assert dict(floor.asked[-1].fields) == {"call": "c1"}


async def test_what_is_wrong_is_told_by_its_field(floor: Floor) -> None:
    ana, sue = await floor.client(Role.AGENT), await floor.client(Role.SUPERVISOR)
    for client, path, body in (
        (ana, "/me/state", {"chosen": "asleep"}),
        (ana, "/calls", {}),
        (ana, "/calls", {"to": "ben", "color": "red"}),
        (ana, "/calls/c1/consult", {"do": "swap", "to": "ben"}),
        (ana, "/calls/c1/consult", {}),
        (sue, "/calls/c1/priority", {"priority": -1}),
        (sue, "/agents/ana/state", {"chosen": "ready"}),
    ):
        answer = await client.post(f"/api/v1{path}", json=body)
        assert answer.status_code == 422, (path, body)
        assert answer.headers["content-type"] == "application/problem+json"


async def test_the_switchs_refusal_is_told_in_its_words(floor: Floor) -> None:
    floor.answers["hold"] = CommandError("the agent talks to no caller now", Reason.CONFLICT)
    answer = await (await floor.client(Role.AGENT)).post("/api/v1/calls/c1/hold")
    assert (answer.status_code, answer.json()["reason"]) == (409, "conflict")
    assert answer.json()["detail"] == "the agent talks to no caller now"
    floor.answers["hold"] = {"pending": True}
    answer = await (await floor.client(Role.AGENT)).post("/api/v1/calls/c1/hold")
    assert answer.json() == {"pending": True}


async def test_the_asyncapi_document_is_served_to_whoever_is_known(floor: Floor) -> None:
    answer = await (await floor.client(Role.CLIENT)).get("/api/v1/asyncapi.json")
    jsonschema.Draft7Validator(OFFICIAL).validate(answer.json())
    assert (await (await floor.client(None)).get("/api/v1/asyncapi.json")).status_code == 401
