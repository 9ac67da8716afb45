"""``/queues``: how they stand, and who waits."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from callcenter.control.protocol import CommandError
from callcenter.desk.asked import Name, refused
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import not_found
from callcenter.model.access import Actor, Role, Scope
from callcenter.publish import topics

router = APIRouter(prefix="/api/v1", tags=["queues"])

QUEUE = "queue"
Reads = Annotated[Actor, requires(Scope.CALLS_READ)]


class Queue(BaseModel):
    """A queue. ``state`` is what is published of it (``queue.v1``); null until the switch has told."""

    queue: str = Field(examples=["sales"])
    client: str = Field(examples=["acme"])
    priority: int
    strategy: str = Field(examples=["longest_idle"])
    service_level_s: float = Field(description="answered within so many seconds", examples=[20.0])
    service_level_target: float = Field(description="the share that is wanted", examples=[0.8])
    max_waiting: int
    state: dict[str, Any] | None = Field(
        description="counts of now and today",
        examples=[{"schema": "queue.v1", "queue": "sales", "waiting": 2, "longest_s": 41.5, "ready": 1}],
    )


class Queues(BaseModel):
    """All queues that are yours to see."""

    items: list[Queue]
    seq: int = Field(description="the fact that they stand at, as of a snapshot")


class Waiting(BaseModel):
    """A caller who waits. Seconds; ``in_line_s`` counts from when the place was first taken."""

    model_config = ConfigDict(populate_by_name=True)

    call: str
    position: int = Field(examples=[1])
    priority: int
    from_: str = Field(alias="from", examples=["+14155550100"])
    customer: str
    waited_s: float
    in_line_s: float
    offered_to: list[str] = Field(description="whose phones ring; not told to client companies")
    preferred: str
    only: str
    step: int = Field(description="how many routing steps are behind them")
    tries: int
    callback: str = Field(description="the callback that stands in this place; empty: somebody is on the phone")


class Line(BaseModel):
    """Who waits in a queue, in order; at most 500 of ``waiting``."""

    queue: str
    client: str
    waiting: int
    callers: list[Waiting]


@router.get("/queues")
async def queues(desk: TheDesk, actor: Reads) -> Queues:
    """All queues that are yours to see, with how they stand."""
    taken = await desk.snapshots.take()
    seen = [queue.id for queue in desk.settings.plan.queues.values() if actor.sees(queue.client)]
    return Queues(items=[_queue(desk, name, taken.states) for name in seen], seq=taken.seq)


@router.get("/queues/{queue}")
async def queue(desk: TheDesk, actor: Reads, queue: Name) -> Queue:
    """One queue."""
    _check(desk, actor, queue)
    return _queue(desk, queue, (await desk.snapshots.take()).states)


@router.get("/queues/{queue}/waiting")
async def waiting(desk: TheDesk, actor: Reads, queue: Name) -> Line:
    """Who waits, in order."""
    _check(desk, actor, queue)
    try:
        told = await desk.switch.ask("waiting", actor, queue=queue)
    except CommandError as error:
        raise refused(QUEUE, error) from None
    hidden = {"offered_to": [], "preferred": "", "only": ""} if actor.role is Role.CLIENT else {}
    return Line(**{**told, "callers": [Waiting(**{**each, **hidden}) for each in told["callers"]]})


def _check(desk: Desk, actor: Actor, name: str) -> None:
    found = desk.settings.plan.queues.get(name)
    if found is None or not actor.sees(found.client):
        raise not_found(QUEUE)


def _queue(desk: Desk, name: str, states: Any) -> Queue:
    about = desk.settings.plan.queues[name]
    return Queue(
        queue=name,
        client=about.client,
        priority=about.priority,
        strategy=about.strategy.value,
        service_level_s=about.service_level_ms / 1000,
        service_level_target=about.service_level_target,
        max_waiting=about.max_waiting,
        state=states.get(topics.queue_state(name)),
    )
