"""``/me/state``, ``/calls`` and what is ordered of one, ``/agents/{agent}/state``: what agents and supervisors do.

Each is a command of the switch, the same as over MQTT: done at once, once for each ``Idempotency-Key``, or refused in
words. An agent orders for himself; a supervisor for the ``agent`` that she names, or of a call.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from callcenter import __version__
from callcenter.control.protocol import Reason
from callcenter.desk.asked import Name
from callcenter.desk.commands import command
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Role, Scope
from callcenter.model.states import Intent, SupervisionMode
from callcenter.publish.asyncapi import document

router = APIRouter(prefix="/api/v1", tags=["control"])

Controls = Annotated[Actor, requires(Scope.CALLS_CONTROL)]
Supervises = Annotated[Actor, requires(Scope.SUPERVISE)]
CommandsAgents = Annotated[Actor, requires(Scope.AGENTS_CONTROL)]

Target = Annotated[str, Field(min_length=1, max_length=128, description="an agent, a queue, or a number",
                              examples=["ben", "sales", "+14155550100"])]  # fmt: skip
Slug = Annotated[str, Field(min_length=1, max_length=64)]


class Body(BaseModel):
    """What a request says; what it says besides is a mistake."""

    model_config = ConfigDict(extra="forbid")


class OfAgent(Body):
    """An order in somebody's talk."""

    agent: Slug | None = Field(default=None, description="for whom, of a supervisor's; without, who asks")


class To(OfAgent):
    """An order that names somebody."""

    to: Target


class ChosenState(Body):
    """What somebody is to be."""

    chosen: Intent
    reason: Slug | None = Field(default=None, description="for being not ready: one of the configured ones")


class ForcedState(ChosenState):
    """What a supervisor has an agent be."""

    why: str = Field(min_length=1, max_length=200, description="which the agent is told")


class WrapUp(Body):
    """The end of a wrap-up, or more time for it."""

    do: Literal["done", "extend"] = "done"
    disposition: str | None = Field(default=None, max_length=64)


class Dialling(OfAgent):
    """Click to call: the agent's own phone rings first."""

    to: Target


class Consulting(OfAgent):
    """Asking somebody while the caller waits, and what follows."""

    do: Literal["ask", "swap", "drop", "transfer"] = "ask"
    to: Target | None = Field(default=None, description="whom to ask; with `ask` alone")


class Moving(Body):
    """Where a waiting caller is to wait."""

    queue: Slug


class Priority(Body):
    """What a waiting caller is to have."""

    priority: int = Field(ge=0, le=1000, description="points; each queue's own are from 0 up")


class Taking(Body):
    """To whom a waiting caller is offered."""

    agent: Slug


class Monitoring(Body):
    """How to take part in the talk, by a phone of one's own."""

    mode: SupervisionMode | Literal["leave"] = SupervisionMode.LISTEN


class WantedRecording(OfAgent):
    """What is wanted of the recording of the talk."""

    do: Literal["start", "stop", "pause", "resume"]


class Digits(OfAgent):
    """Keys to press."""

    digits: str = Field(min_length=1, max_length=64)


class Entering(OfAgent):
    """What the customer is asked to enter in the talk; null: nothing any more."""

    entry: Slug | None


class Roster(Body):
    """Who an agent is to the routing from now on; what is not named stays as it is."""

    skills: dict[str, Annotated[int, Field(ge=0, le=5)]] | None = Field(default=None, max_length=200)
    clients: list[Slug] | None = None
    queues: list[Slug] | None = None
    reset: bool = False


class Done(BaseModel):
    """It was done."""

    pending: bool = Field(default=False, description="it holds from the end of what stands in the way on")


class Dialled(BaseModel):
    """The agent's phone rings, and then the other's."""

    call: str = Field(examples=["cc1-01kjpwd6vzpggn6g4qsaxf72bt"])


@router.post("/me/state")
async def choose(request: Request, body: ChosenState, actor: Controls, desk: TheDesk) -> Done:
    """Be ready, not ready for a reason, or signed out, from the end of the present work on."""
    return await _done(desk, request, actor, "state", None, chosen=body.chosen.value, **_told(reason=body.reason))


@router.post("/me/wrap_up")
async def wrap_up(request: Request, body: WrapUp, actor: Controls, desk: TheDesk) -> Done:
    """Be through with the last call, or have more time, once."""
    fields = _told(disposition=body.disposition) if body.do == "done" else {}
    return await _done(desk, request, actor, f"wrap_up_{body.do}", None, **fields)


@router.post("/calls", status_code=202)
async def dial(request: Request, body: Dialling, actor: Controls, desk: TheDesk) -> Dialled:
    """Have the agent's own phone rung, and the number dialled when it is picked up, as if he had dialled it there.

    Who may dial what, and do-not-call lists, hold as for the phone.
    """
    told = await command(desk, request, actor, "dial", to=body.to, **_whose(actor, body.agent))
    return Dialled(call=told["call"])


@router.post("/calls/{call}/answer")
async def answer(request: Request, call: Name, actor: Controls, desk: TheDesk, body: OfAgent | None = None) -> Done:
    """Have the phone taken off that rings for this call, where it can be told to; else this is a conflict."""
    return await _done(desk, request, actor, "answer", body, call=call)


@router.post("/calls/{call}/hold")
async def hold(request: Request, call: Name, actor: Controls, desk: TheDesk, body: OfAgent | None = None) -> Done:
    """Let the other side wait, with music; the phone need not know."""
    return await _done(desk, request, actor, "hold", body, call=call)


@router.post("/calls/{call}/resume")
async def resume(request: Request, call: Name, actor: Controls, desk: TheDesk, body: OfAgent | None = None) -> Done:
    """Take them back. Pending: the phone itself holds too, which is its own to end."""
    return await _done(desk, request, actor, "resume", body, call=call)


@router.post("/calls/{call}/transfer")
async def transfer(request: Request, call: Name, body: To, actor: Controls, desk: TheDesk) -> Done:
    """Put the caller through, without a word before. Whom nobody takes the agent has back."""
    return await _done(desk, request, actor, "transfer", body, call=call, to=body.to)


@router.post("/calls/{call}/consult")
async def consult(request: Request, call: Name, body: Consulting, actor: Controls, desk: TheDesk) -> Done:
    """Ask somebody while the caller waits; change between both, let them go, put the caller through to them."""
    if (body.do == "ask") is (body.to is None):
        raise Problem(422, Reason.INVALID, "`to` says whom to ask, and goes with `ask` alone", "to")
    do = "consult" if body.do == "ask" else f"consult_{body.do}"
    return await _done(desk, request, actor, do, body, call=call, **_told(to=body.to))


@router.post("/calls/{call}/conference")
async def conference(request: Request, call: Name, actor: Controls, desk: TheDesk, body: OfAgent | None = None) -> Done:
    """Join caller, agent and whom was asked."""
    return await _done(desk, request, actor, "consult_join", body, call=call)


@router.post("/calls/{call}/hangup")
async def hang_up(request: Request, call: Name, actor: Controls, desk: TheDesk, body: OfAgent | None = None) -> Done:
    """End the talk, or what is being dialled. A supervisor who names no agent hangs up on the caller."""
    if actor.role is Role.AGENT or (body is not None and body.agent is not None):
        return await _done(desk, request, actor, "hang_up", body, call=call)
    return _as_done(await command(desk, request, actor, "hang_up", call=call))


@router.post("/calls/{call}/record")
async def record(request: Request, call: Name, body: WantedRecording, actor: Controls, desk: TheDesk) -> Done:
    """Have the talk recorded, or not, or not for a while."""
    return await _done(desk, request, actor, f"record_{body.do}", body, call=call)


@router.post("/calls/{call}/digits")
async def press(request: Request, call: Name, body: Digits, actor: Controls, desk: TheDesk) -> Done:
    """Press keys towards whom the agent talks to."""
    return await _done(desk, request, actor, "send_digits", body, call=call, digits=body.digits)


@router.post("/calls/{call}/entry")
async def enter(request: Request, call: Name, body: Entering, actor: Controls, desk: TheDesk) -> Done:
    """Have the customer enter something while they talk, heard by nobody; or ask for it no more."""
    if body.entry is None:
        return await _done(desk, request, actor, "entry_cancel", body, call=call)
    return await _done(desk, request, actor, "entry_start", body, call=call, entry=body.entry)


@router.post("/calls/{call}/move")
async def move(request: Request, call: Name, body: Moving, actor: Supervises, desk: TheDesk) -> Done:
    """Let a waiting caller wait in another queue of the company, on a place as old as theirs."""
    return _as_done(await command(desk, request, actor, "move", call=call, queue=body.queue))


@router.post("/calls/{call}/priority")
async def prioritise(request: Request, call: Name, body: Priority, actor: Supervises, desk: TheDesk) -> Done:
    """Let a waiting caller have another priority."""
    return _as_done(await command(desk, request, actor, "priority", call=call, priority=body.priority))


@router.post("/calls/{call}/take")
async def take(request: Request, call: Name, body: Taking, actor: Supervises, desk: TheDesk) -> Done:
    """Offer a waiting caller to an agent who is free, whatever he knows; who declines leaves them on their place."""
    return _as_done(await command(desk, request, actor, "take", call=call, agent=body.agent))


@router.post("/calls/{call}/monitor")
async def monitor(request: Request, call: Name, body: Monitoring, actor: Supervises, desk: TheDesk) -> Done:
    """Hear the agent who talks in this call, speak to him, or to both, by a phone of one's own; or do so no more."""
    return _as_done(await command(desk, request, actor, "supervise", call=call, mode=str(body.mode)))


@router.post("/agents/{agent}/state")
async def set_state(request: Request, agent: Name, body: ForcedState, actor: CommandsAgents, desk: TheDesk) -> Done:
    """Have an agent be ready, not ready, or signed out: why is asked, told to the agent, and kept."""
    fields = {"chosen": body.chosen.value, "why": body.why, **_told(reason=body.reason)}
    return _as_done(await command(desk, request, actor, "state", agent=agent, **fields))


@router.post("/agents/{agent}/roster")
async def set_roster(request: Request, agent: Name, body: Roster, actor: Supervises, desk: TheDesk) -> Done:
    """Let an agent be somebody else to the routing, until it is reset to what is configured."""
    fields = _told(skills=body.skills, clients=body.clients, queues=body.queues)
    reset = {"reset": True} if body.reset else {}
    return _as_done(await command(desk, request, actor, "roster", agent=agent, **fields, **reset))


@router.get("/asyncapi.json")
async def asyncapi(actor: Annotated[Actor, requires()]) -> dict[str, Any]:
    """The AsyncAPI document of all that goes over MQTT."""
    return document(__version__)


async def _done(desk: Desk, request: Request, actor: Actor, do: str, body: Body | None, **fields: Any) -> Done:
    agent = body.agent if isinstance(body, OfAgent) else None
    return _as_done(await command(desk, request, actor, do, **fields, **_whose(actor, agent)))


def _whose(actor: Actor, agent: str | None) -> dict[str, str]:
    """For whom it is ordered. Raises Problem where nobody could be meant."""
    if agent is None and not actor.agent:
        raise Problem(409, Reason.CONFLICT, "you work as no agent: say for whom, in `agent`", "agent")
    return {"agent": agent or actor.agent}


def _told(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _as_done(told: dict[str, Any]) -> Done:
    return Done(pending=bool(told.get("pending")))
