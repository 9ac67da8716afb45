"""``/webhooks``: who is told what became of calls, how it goes with each, and what may be sent again; ``/crms``."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from callcenter.config.crm import MOST_WEBHOOKS, events_of, web_address
from callcenter.control.protocol import Reason
from callcenter.desk.commands import HEADER, command_id
from callcenter.desk.desk import Desk
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.integrations.events import body_of, scopes_of
from callcenter.desk.integrations.figures import State, state_of
from callcenter.desk.integrations.signature import new_secret
from callcenter.desk.integrations.store import KEPT_FOR, Delivery, Hook, LaneRow
from callcenter.desk.integrations.webhooks import Receiver
from callcenter.desk.problems import Problem, not_found
from callcenter.model.access import Actor, Scope
from callcenter.model.facts import utc

router = APIRouter(prefix="/api/v1", tags=["webhooks"])

# A secret that was replaced is good for a day more: as long as it takes to bring the new one everywhere.
FORMER_GOOD_FOR = 86_400.0
# So many of them at once: each is one more signature of every delivery.
MOST_FORMER = 4
SECRET_BYTES = 32
TEST = "webhook.test"

Operator = Annotated[Actor, requires(Scope.WEBHOOKS)]
Limit = Annotated[int, Query(ge=1, le=500)]


class NewWebhook(BaseModel):
    """A receiver to be."""

    model_config = ConfigDict(extra="forbid")

    client: str = Field(max_length=64, description="the company whose calls it is told of")
    url: str = Field(max_length=2_000, description="where to; https, and in the Internet")
    events: list[str] = Field(
        default=["interaction"],
        min_length=1,
        max_length=50,
        description="names of events, or what they begin with: interaction, call.answered, followup, callback",
    )
    description: str = Field(default="", max_length=200)


class WebhookChange(BaseModel):
    """What is to be different; what is left out stays. Of a receiver of the configuration: ``enabled`` alone."""

    model_config = ConfigDict(extra="forbid")

    url: str | None = Field(default=None, max_length=2_000)
    events: list[str] | None = Field(default=None, min_length=1, max_length=50)
    description: str | None = Field(default=None, max_length=200)
    enabled: bool | None = Field(default=None, description="true begins anew also where days of failure disabled it")


class Webhook(BaseModel):
    """A receiver, and how it goes."""

    id: str
    client: str
    url: str
    events: list[str]
    description: str
    configured: bool = Field(description="it stands in the configuration, and is changed there")
    state: State
    reason: str = Field(description="why it fails, is disabled or unsigned; else empty")
    failures: int = Field(description="attempts that failed since the last one that did not")
    retry_at: str | None = Field(description="when the next attempt is made; null: at once")
    pending: int
    delivered: int
    given_up: int
    oldest_pending_at: str | None
    created_at: str | None
    created_by: str | None


class WebhookWithSecret(Webhook):
    """A receiver with the secret that what it is told is signed with. It is shown this once."""

    secret: str


class Webhooks(BaseModel):
    """All receivers that are theirs to see."""

    items: list[Webhook]
    next: str | None = None


class DeliveryShown(BaseModel):
    """One event for a receiver, and what came of it. What was sent is not shown."""

    id: str = Field(description="the header webhook-id")
    event: str
    call: str | None
    seq: int = Field(description="the fact that it tells of")
    state: Literal["pending", "delivered", "given_up", "erased"]
    attempts: int
    status: int | None = Field(description="of the last answer; null: there was none")
    error: str
    took_ms: int | None
    created_at: str
    attempted_at: str | None


class Deliveries(BaseModel):
    """Deliveries, the latest first."""

    items: list[DeliveryShown]
    next: str | None


class Replayed(BaseModel):
    """How many are sent again."""

    replayed: int


class Tested(BaseModel):
    """What came of a test."""

    delivered: bool
    status: int | None
    error: str
    took_ms: int


class CrmShown(BaseModel):
    """A company's CRM as it is asked who calls. Milliseconds are of the answers since the desk began."""

    client: str
    state: Literal["closed", "open", "half_open", "unused"]
    reason: str = Field(description="the last failure, or why it is not asked at all; empty: none")
    failures_in_a_row: int
    asked: int
    found: int
    nobody: int
    from_cache: int
    failed: int
    left_out: int = Field(description="not asked: the breaker was open, or too many questions under way")
    under_way: int
    last_ms: int
    mean_ms: int
    slowest_ms: int


class Crms(BaseModel):
    """Every CRM that is theirs to see."""

    items: list[CrmShown]
    next: str | None = None


@router.get("/webhooks")
async def webhooks(desk: TheDesk, actor: Operator) -> Webhooks:
    """Every receiver: those of the API and of the configuration, for a while also those that stand there no more."""
    hooks = desk.integrations.webhooks
    await hooks.refresh()
    there = [*hooks.receivers.values(), *map(_as_it_was, hooks.removed)]
    books = await _Books.of(desk)
    return Webhooks(items=[await _shown(desk, each, books) for each in there if actor.sees(each.client)])


@router.post("/webhooks", status_code=201)
async def create_webhook(desk: TheDesk, actor: Operator, request: Request, wanted: NewWebhook) -> WebhookWithSecret:
    """Make a receiver. It is told what happens from now on, signed by the secret of the answer."""
    if wanted.client not in desk.settings.calls.clients or not actor.sees(wanted.client):
        raise Problem(422, Reason.INVALID, f"there is no company `{wanted.client}`", "client")
    key = command_id(request, actor)
    name = f"w-{key[:20] if key is not None else secrets.token_hex(10)}"
    store = desk.integrations.store
    there = await store.hooks()
    before = next((each for each in there if each.id == name), None)
    if before is None:
        if sum(each.client == wanted.client for each in there) >= MOST_WEBHOOKS:
            raise Problem(409, Reason.CONFLICT, f"{wanted.client} has {MOST_WEBHOOKS} webhooks: delete one", "client")
        before = Hook(
            name,
            wanted.client,
            _url(wanted.url),
            _events(actor, wanted.events),
            wanted.description,
            new_secret(secrets.token_bytes(SECRET_BYTES)),
            "",
            0.0,
            desk.clock.now().timestamp(),
            actor.user,
        )
        await store.save_hook(before)
        await desk.integrations.webhooks.refresh()
        await desk.audit(actor, "webhook_create", client=wanted.client, target=name)
    elif (before.client, before.url, list(before.events)) != (wanted.client, wanted.url, wanted.events):
        detail = "this key was used for something else: take a new one for each request"
        raise Problem(409, Reason.CONFLICT, detail, HEADER)
    shown = await _shown(desk, _receiver(desk, actor, name))
    return WebhookWithSecret(**shown.model_dump(), secret=before.secret)


@router.get("/webhooks/{webhook}")
async def webhook(desk: TheDesk, actor: Operator, webhook: str) -> Webhook:
    """One receiver."""
    await desk.integrations.webhooks.refresh()
    return await _shown(desk, _receiver(desk, actor, webhook, removed=True))


@router.patch("/webhooks/{webhook}")
async def change_webhook(desk: TheDesk, actor: Operator, webhook: str, wanted: WebhookChange) -> Webhook:
    """Change a receiver, or turn it off and on."""
    hooks = desk.integrations.webhooks
    await hooks.refresh()
    receiver = _receiver(desk, actor, webhook)
    if (wanted.url, wanted.events, wanted.description) != (None, None, None):
        hook = await _made_here(desk, receiver)
        changed = replace(
            hook,
            url=hook.url if wanted.url is None else _url(wanted.url),
            # Whoever has them sent elsewhere may read them there.
            events=_events(actor, list(hook.events) if wanted.events is None else wanted.events)
            if (wanted.url, wanted.events) != (None, None)
            else hook.events,
            description=hook.description if wanted.description is None else wanted.description,
        )
        await desk.integrations.store.save_hook(changed)
    if wanted.enabled is not None:
        await hooks.enable(webhook, enabled=wanted.enabled)
    await hooks.refresh()
    await desk.audit(actor, "webhook_change", client=receiver.client, target=webhook)
    return await _shown(desk, _receiver(desk, actor, webhook))


@router.delete("/webhooks/{webhook}", status_code=204)
async def delete_webhook(desk: TheDesk, actor: Operator, webhook: str) -> Response:
    """Away with a receiver, and with what it was still to be told; of one of the configuration when it stands there no
    more.
    """
    hooks = desk.integrations.webhooks
    await hooks.refresh()
    receiver = _receiver(desk, actor, webhook, removed=True)
    if receiver.id not in hooks.removed:
        await _made_here(desk, receiver)
    await desk.integrations.store.delete_hook(receiver.id)
    await hooks.refresh()
    await desk.audit(actor, "webhook_delete", client=receiver.client, target=webhook)
    return Response(status_code=204)


@router.post("/webhooks/{webhook}/secret")
async def new_webhook_secret(desk: TheDesk, actor: Operator, webhook: str) -> WebhookWithSecret:
    """A new secret. For a day what is sent is signed by both, so that none is refused meanwhile."""
    await desk.integrations.webhooks.refresh()
    hook = await _made_here(desk, _receiver(desk, actor, webhook))
    now = desk.clock.now().timestamp()
    # Who lost the answer asks again: the secret that the receiver has must sign on.
    former = [hook.secret, *(hook.former.split() if now < hook.former_until else ())][:MOST_FORMER]
    changed = replace(
        hook,
        secret=new_secret(secrets.token_bytes(SECRET_BYTES)),
        former=" ".join(former),
        former_until=now + FORMER_GOOD_FOR,
    )
    await desk.integrations.store.save_hook(changed)
    await desk.integrations.webhooks.refresh()
    await desk.audit(actor, "webhook_secret", client=hook.client, target=webhook)
    shown = await _shown(desk, _receiver(desk, actor, webhook))
    return WebhookWithSecret(**shown.model_dump(), secret=changed.secret)


@router.get("/webhooks/{webhook}/deliveries")
async def deliveries(
    desk: TheDesk,
    actor: Operator,
    webhook: str,
    state: Literal["pending", "delivered", "given_up", "erased"] | None = None,
    limit: Limit = 50,
    after: Annotated[str | None, Query(max_length=20, pattern=r"^[0-9]{1,18}$")] = None,
) -> Deliveries:
    """What a receiver was told and is to be told, the latest first; given up ones may be replayed."""
    await desk.integrations.webhooks.refresh()
    receiver = _receiver(desk, actor, webhook, removed=True)
    before = None if after is None else int(after)
    found = await desk.integrations.store.deliveries(receiver.id, before=before, state=state or "", limit=limit + 1)
    more = len(found) > limit
    return Deliveries(items=[_delivery(each) for each in found[:limit]], next=str(found[limit - 1].n) if more else None)


@router.post("/webhooks/{webhook}/deliveries/{delivery}/replay")
async def replay(desk: TheDesk, actor: Operator, webhook: str, delivery: str) -> DeliveryShown:
    """Send one again that was delivered or given up: under its id, behind what waits."""
    hooks = desk.integrations.webhooks
    await hooks.refresh()
    receiver = _receiver(desk, actor, webhook)
    found = await desk.integrations.store.replay(receiver.id, delivery, desk.clock.now().timestamp())
    if found is None:
        raise not_found("delivery that could be sent again")
    hooks.wake(receiver.id)
    await desk.audit(actor, "webhook_replay", client=receiver.client, target=webhook)
    return _delivery(found)


@router.post("/webhooks/{webhook}/replay")
async def replay_all(desk: TheDesk, actor: Operator, webhook: str) -> Replayed:
    """Send all again that were given up, in the order in which they happened."""
    hooks = desk.integrations.webhooks
    await hooks.refresh()
    receiver = _receiver(desk, actor, webhook)
    number = await desk.integrations.store.replay_given_up(receiver.id, desk.clock.now().timestamp())
    hooks.wake(receiver.id)
    await desk.audit(actor, "webhook_replay", client=receiver.client, target=webhook)
    return Replayed(replayed=number)


@router.post("/webhooks/{webhook}/test")
async def test_webhook(desk: TheDesk, actor: Operator, webhook: str) -> Tested:
    """Send an event ``webhook.test`` now, beside all that waits, and say what came of it."""
    hooks = desk.integrations.webhooks
    await hooks.refresh()
    receiver = _receiver(desk, actor, webhook)
    body = body_of(TEST, desk.clock.now(), {"client": receiver.client, "webhook": receiver.id})
    attempt, took = await hooks.test(receiver.id, f"msg_{secrets.token_hex(13)}", body)
    return Tested(delivered=attempt.delivered, status=attempt.status or None, error=attempt.why, took_ms=took)


@router.get("/crms", tags=["crms"])
async def crms(desk: TheDesk, actor: Operator) -> Crms:
    """How it goes with the CRMs that are asked who calls."""
    found = desk.integrations.look_ups.crms
    return Crms(items=[_crm(desk, name) for name in found if actor.sees(name)])


def _receiver(desk: Desk, actor: Actor, webhook: str, *, removed: bool = False) -> Receiver:
    """A receiver that is theirs to see; ``removed``: or was one. Raises Problem."""
    hooks = desk.integrations.webhooks
    found = hooks.receivers.get(webhook)
    if found is None and webhook in hooks.removed:
        found = _as_it_was(webhook)
    if found is None or not actor.sees(found.client):
        raise not_found("webhook")
    if webhook in hooks.removed and not removed:
        detail = "this webhook stands in the configuration no more: write it there again, or delete what waits for it"
        raise Problem(409, Reason.CONFLICT, detail)
    return found


def _as_it_was(webhook: str) -> Receiver:
    """What is still known of one that stood in the configuration: whose it was."""
    return Receiver(webhook, webhook.partition(".")[0], "", (), (), configured=True)


@dataclass(frozen=True, slots=True)
class _Books:
    """What is asked of the database once for all receivers."""

    hooks: Mapping[str, Hook]
    counts: Mapping[str, Mapping[str, int]]
    oldest: Mapping[str, float]

    @classmethod
    async def of(cls, desk: Desk) -> _Books:
        store = desk.integrations.store
        hooks = {each.id: each for each in await store.hooks()}
        return cls(hooks, await store.counts(), await store.oldest_pending())


async def _made_here(desk: Desk, receiver: Receiver) -> Hook:
    """A receiver that the API may change."""
    hook = next((each for each in await desk.integrations.store.hooks() if each.id == receiver.id), None)
    if hook is None:
        raise Problem(409, Reason.CONFLICT, "this webhook stands in the configuration: change it there, and reload")
    return hook


def _url(url: str) -> str:
    try:
        web_address(url, "https://crm.example.com/hooks/calls")
    except PydanticCustomError as error:
        raise Problem(422, Reason.INVALID, error.message(), "url") from None
    if not url.startswith("https://"):
        detail = "a webhook of the API is told by https; one that is reached otherwise belongs into the configuration"
        raise Problem(422, Reason.INVALID, detail, "url")
    return url


def _events(actor: Actor, events: list[str]) -> tuple[str, ...]:
    """The events, when they are some, and the actor may read what they say. Raises Problem."""
    try:
        wanted = events_of(events)
    except PydanticCustomError as error:
        raise Problem(422, Reason.INVALID, error.message(), "events") from None
    for scope in sorted(scopes_of(wanted)):
        if not actor.may(scope):
            detail = f"these events say what takes the scope {scope}, which you do not hold"
            raise Problem(403, Reason.FORBIDDEN, detail, "events", scope=scope)
    return wanted


async def _shown(desk: Desk, receiver: Receiver, books: _Books | None = None) -> Webhook:
    store, hooks = desk.integrations.store, desk.integrations.webhooks
    books = books or await _Books.of(desk)
    hook, oldest = books.hooks.get(receiver.id), books.oldest.get(receiver.id)
    counts = books.counts.get(receiver.id, {})
    row = hooks.lanes.get(receiver.id)
    state = state_of(receiver, row)
    reason = _why(state, receiver, row)
    if state is State.FAILING:
        last = await store.deliveries(receiver.id, before=None, state="", limit=50)
        reason = next((each.error for each in last if each.error), "")
    lane = row.lane if row is not None else None
    return Webhook(
        id=receiver.id,
        client=receiver.client,
        url=receiver.url,
        events=list(receiver.events),
        description=hook.description if hook is not None else "",
        configured=receiver.configured,
        state=state,
        reason=reason,
        failures=lane.failures if lane is not None else 0,
        retry_at=_at(lane.retry_at) if lane is not None and lane.failures else None,
        pending=counts.get("pending", 0),
        delivered=counts.get("delivered", 0),
        given_up=counts.get("given_up", 0),
        oldest_pending_at=None if oldest is None else _at(oldest),
        created_at=None if hook is None else _at(hook.created_at),
        created_by=None if hook is None else hook.created_by,
    )


def _why(state: State, receiver: Receiver, row: LaneRow | None) -> str:
    """What stands in the way, as far as it is known without a look at what was sent."""
    if row is None or state not in (State.REMOVED, State.DISABLED):
        return receiver.trouble
    if row.removed_at is not None:
        return f"it stands in the configuration no more; kept until {_at(row.removed_at + KEPT_FOR)}"
    return row.lane.disabled


def _delivery(found: Delivery) -> DeliveryShown:
    return DeliveryShown.model_validate(
        {
            "id": found.id,
            "event": found.event,
            "call": found.call or None,
            "seq": found.seq,
            "state": found.state,
            "attempts": found.attempts,
            "status": found.status or None,
            "error": found.error,
            "took_ms": found.took_ms if found.attempted_at is not None else None,
            "created_at": _at(found.created_at),
            "attempted_at": None if found.attempted_at is None else _at(found.attempted_at),
        }
    )


def _crm(desk: Desk, client: str) -> CrmShown:
    crm = desk.integrations.look_ups.crms[client]
    tally = crm.tally
    answers = tally.asked - tally.failed - crm.under_way
    return CrmShown.model_validate(
        {
            "client": client,
            "state": "unused" if crm.trouble else crm.breaker.state.value,
            "reason": crm.trouble or tally.last_error,
            "failures_in_a_row": crm.breaker.in_a_row,
            "asked": tally.asked,
            "found": tally.found,
            "nobody": tally.nobody,
            "from_cache": tally.remembered,
            "failed": tally.failed,
            "left_out": tally.left_out,
            "under_way": crm.under_way,
            "last_ms": tally.last_ms,
            "mean_ms": round(tally.total_ms / answers) if answers > 0 else 0,
            "slowest_ms": tally.slowest_ms,
        }
    )


def _at(seconds: float) -> str:
    return utc(datetime.fromtimestamp(seconds, UTC))
