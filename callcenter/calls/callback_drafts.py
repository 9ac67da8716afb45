"""Callback drafts: a callback as it is wanted, or as a call has it, and why one cannot be carried out."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from callcenter.acd.requirements import text
from callcenter.calls.call import Call
from callcenter.calls.callback_numbers import account_of, callable_number, own_number
from callcenter.calls.callback_plans import NotPlanned, Obstacle, Wanted
from callcenter.calls.callback_times import CallbackTimes
from callcenter.calls.line import Line
from callcenter.calls.windows import LOOKS_AHEAD
from callcenter.model.callback import MAX_REASON, Callback, Source
from callcenter.model.facts import CallbackRequested, utc

if TYPE_CHECKING:
    from callcenter.calls.services import Services


class CallbackDrafts:
    """Writes callbacks that nobody has promised yet."""

    def __init__(self, services: Services, times: CallbackTimes) -> None:
        self._services = services
        self._times = times

    def planned(self, wanted: Wanted) -> Callback:
        """What is wanted, as a callback that can be carried out. Raises NotPlanned."""
        settings, now = self._services.settings, self._services.clock.now()
        client = settings.clients.get(wanted.client)
        if client is None:
            raise NotPlanned(f"no client is named `{wanted.client}`", Obstacle.NOT_FOUND, "client")
        if client.outbound is None or client.callbacks is None:
            sentence = f"{client.id} calls nobody back: it has no `outbound`, or `callbacks: off`"
            raise NotPlanned(sentence, Obstacle.CONFLICT, "client")
        number = callable_number(settings, client, wanted.number)
        if number is None:
            sentence = f"{client.id} does not call this number: write it in E.164, as +14155550100; see its `callbacks`"
            raise NotPlanned(sentence, Obstacle.INVALID, "number")
        rules = client.callbacks
        value = Callback(
            id=wanted.id or self._services.ids.new(),
            client=client.id,
            queue=wanted.queue,
            number=number,
            first_joined_at=now,
            requested_at=now,
            due_at=now,
            requested_in=wanted.call,
            dialled="",
            language=wanted.language or client.language,
            name=wanted.name,
            prefer=wanted.prefer,
            prefer_for=wanted.prefer_for,
            source=wanted.source,
            scheduled=True,
            not_before=wanted.not_before,
            not_after=wanted.not_after,
            zone=self._times.zone_for(client.id, number, wanted.zone, now),
            mode=rules.mode if wanted.mode is None else wanted.mode,
            preview=rules.preview if wanted.preview is None else wanted.preview,
            reason=wanted.reason[:MAX_REASON],
            customer=wanted.customer,
            followup=wanted.followup,
            created_by=wanted.by,
        )
        self.check(value, now)
        return value

    def of_call(self, call: Call, queue: str, number: str, source: Source, asker: str) -> Callback:
        """A callback for whoever called, as it is known by now."""
        clock, captured, ticket, rules = self._services.clock, call.captured, call.ticket, call.client.callbacks
        now, here = clock.now(), call.line if call.line is not None else Line(clock.monotonic())
        joined = ticket if ticket is not None and ticket.queue == queue else None
        assert rules is not None, "the company calls nobody back"
        return Callback(
            id=self._services.ids.new(),
            client=call.client.id,
            queue=queue,
            number=number,
            first_joined_at=now - timedelta(seconds=max(0.0, clock.monotonic() - here.first_joined)),
            requested_at=now,
            due_at=now,
            requested_in=call.id,
            dialled=call.number.number,
            language=captured.language,
            name=call.caller.leg.remote_name if number == own_number(call) else "",
            account=account_of(call),
            intent=captured.intent,
            priority=joined.priority if joined is not None else None,
            needs=text(joined.requirements) if joined is not None else "",
            prefer=joined.prefer if joined is not None else "",
            place_of=here.visit,
            told=here.told,
            asked_by=asker,
            menus=tuple(captured.menus),
            entered=dict(captured.entered),
            attributes=dict(captured.told),
            source=source,
            zone=self._times.zone_for(call.client.id, number, "", now),
            mode=rules.mode,
            preview=rules.preview,
            customer=call.known.customer.id if call.known.customer is not None else "",
        )

    def check(self, value: Callback, now: datetime) -> None:
        """Raises NotPlanned for what cannot be carried out."""
        plan = self._services.dispatcher.acd.plan
        queue = plan.queues.get(value.queue)
        if queue is None or queue.client != value.client:
            raise NotPlanned(f"{value.client} has no queue `{value.queue}`", Obstacle.NOT_FOUND, "queue")
        if value.prefer and value.prefer not in plan.agents:
            raise NotPlanned(f"no agent is named `{value.prefer}`", Obstacle.NOT_FOUND, "prefer")
        if self._services.do_not_call.forbids(value.client, value.number):
            raise NotPlanned("the number is on the do-not-call list", Obstacle.FORBIDDEN, "number")
        begin, end = value.not_before, value.not_after
        if begin is not None and begin > now + timedelta(days=LOOKS_AHEAD):
            raise NotPlanned(f"it is planned {LOOKS_AHEAD} days ahead at most", Obstacle.INVALID, "not_before")
        if end is not None and end <= max(now, begin or now):
            raise NotPlanned("the window is over before it begins", Obstacle.INVALID, "not_after")
        if self._times.next(value, now) is None:
            sentence = "nobody may be called in this window: see `callbacks.hours` and the hours of the queue"
            raise NotPlanned(sentence, Obstacle.INVALID, "not_before" if begin is not None else "not_after")

    def gone(self, value: Callback) -> str:
        """Why a callback cannot be carried out by the configuration in force, in a word; empty when it can."""
        settings, plan = self._services.settings, self._services.dispatcher.acd.plan
        client, queue = settings.clients.get(value.client), plan.queues.get(value.queue)
        if client is None:
            return "client_removed"
        if queue is None or queue.client != client.id or value.queue not in settings.treatments:
            return "queue_removed"
        if client.outbound is None or client.callbacks is None:
            return "no_trunk"
        if callable_number(settings, client, value.number) != value.number:
            return "number_forbidden"
        return "do_not_call" if self._services.do_not_call.forbids(value.client, value.number) else ""


def merged(before: Callback, latest: Callback) -> Callback:
    """Two callbacks for one number and queue, as one: the window that was asked for last, and both reasons.

    Of a website's visitor, who may be anybody with that number, the reason alone: what was promised in another way
    stands.
    """
    beside = before.beside or {before.source, latest.source} != {Source.FOLLOW_UP}
    reasons = list(dict.fromkeys(each for each in (before.reason, latest.reason) if each))
    if latest.source is Source.CALL_ME and before.source is not Source.CALL_ME:
        return replace(before, beside=beside, reason="; ".join(reasons)[:MAX_REASON])
    return replace(
        before,
        scheduled=True,
        beside=beside,
        first_joined_at=latest.first_joined_at,
        not_before=latest.not_before,
        not_after=latest.not_after,
        zone=latest.zone or before.zone,
        mode=latest.mode,
        preview=before.preview or latest.preview,
        prefer=latest.prefer or before.prefer,
        prefer_for=latest.prefer_for if latest.prefer else before.prefer_for,
        reason="; ".join(reasons)[:MAX_REASON],
        customer=latest.customer or before.customer,
        followup=latest.followup or before.followup,
        source=latest.source,
        created_by=before.created_by or latest.created_by,
    )


def requested(value: Callback, visit: str, first_joined_ms: int, number: str) -> CallbackRequested:
    """The fact that tells of it."""
    not_before = utc(value.not_before) if value.not_before is not None else ""
    return CallbackRequested(
        value.id,
        visit,
        value.client,
        value.queue,
        number,
        first_joined_ms,
        str(value.source),
        value.scheduled,
        not_before,
    )
