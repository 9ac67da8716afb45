"""The script of an inbound call: from the INVITE to the last step of its flow."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from callcenter.calls.call import Call
from callcenter.calls.codecs import codecs_of
from callcenter.calls.described import is_at
from callcenter.calls.flow import run_flow
from callcenter.calls.heard import watch_caller
from callcenter.calls.known import look_up_number
from callcenter.calls.party import Party
from callcenter.calls.refusal import refused
from callcenter.calls.services import Services
from callcenter.calls.sound import Sound
from callcenter.calls.supervisor import Supervisor
from callcenter.media.plane import BadDescription, MediaError, NotAcceptable
from callcenter.model.facts import CallAnswered, CallArrived
from callcenter.model.interaction import Ending
from callcenter.model.states import EndCause, Side
from callcenter.signaling.leg import Leg
from callcenter.signaling.seldom import Seldom
from callcenter.sip.diversion import Diverted
from callcenter.sip.endpoint import Refusal

RETRY_AFTER = 5
NOBODY = Refusal(404)
NOT_DIVERTED = Diverted("", "", "")

log = structlog.get_logger()


class FrontDoor:
    """Takes INVITEs in: a number we serve becomes a call, anything else a refusal."""

    def __init__(self, services: Services, supervisor: Supervisor) -> None:
        self.draining = False
        self._services = services
        self._supervisor = supervisor
        self._seldom = Seldom()

    def refusal(self, dialled: str, source: str) -> Refusal | None:
        """What who dials this is refused with now: 404 for a number nobody has, 503 when we are full or draining."""
        settings = self._services.settings
        if settings.find_number(dialled) is None:
            if self._seldom.may_tell(self._services.clock.monotonic(), dialled, source):
                why = "nobody has this number, and no agent may dial it (may_dial)"
                log.info("a call was refused", number=dialled, source=source, why=why)
            return NOBODY
        full = self._supervisor.lines >= settings.max_calls
        return Refusal(503, (("Retry-After", str(RETRY_AFTER)),)) if full or self.draining else None

    def take(self, leg: Leg) -> None:
        """Begin a call for ``leg``, or refuse it."""
        refusal = self.refusal(leg.dialled, leg.flow.remote.host)
        if refusal is not None:
            leg.reject(refusal.status, headers=refusal.headers)
            return
        settings = self._services.settings
        number = settings.find_number(leg.dialled)
        assert number is not None, "refused"
        call = Call(self._services.ids.call(), settings.clients[number.client], number, leg, self._services)
        diverted = leg.diverted[0] if leg.diverted else NOT_DIVERTED
        call.add(
            CallArrived(
                client=call.client.id,
                flow=number.flow,
                from_number=leg.remote_number,
                from_name=leg.remote_name,
                to_number=number.number,
                transport=str(leg.flow.transport),
                source=str(leg.flow.remote),
                sip_call_id=leg.sip_call_id,
                trunk=leg.trunk,
                diverted_number=diverted.number,
                diverted_name=diverted.name,
                diverted_why=diverted.why,
            )
        )
        self._supervisor.start(call, inbound)


async def inbound(call: Call) -> Ending:
    """Answer, look the caller up, run the flow of the dialled number."""
    refused = await answer(call)
    if refused is not None:
        return refused
    await look_up_number(call)
    call.stage = "in the flow"
    with call.services.callbacks.caller_is_here(call):
        return await run_flow(call, call.number.flow)


async def answer(call: Call) -> Ending | None:
    """Open the caller's sound and answer; the ending when that cannot be done."""
    watch_caller(call)
    return await take_up(call.caller, call.services, call.id, lambda: call.add(CallAnswered()))


async def take_up(
    party: Party, services: Services, call_id: str, answered: Callable[[], None], *, beside: Sound | None = None
) -> Ending | None:
    """Open the sound of whoever calls us and answer; the ending when that cannot be done.

    Returns when something may be played, see :func:`pick_up`.
    """
    leg, sound = party.leg, party.sound
    try:
        description = await sound.open(
            services.plane, call_id, leg.flow, offer=leg.offer, beside=beside, codecs=codecs_of(services, leg)
        )
    except MediaError as error:
        return refused(leg, error)
    return await pick_up(party, description, answered)


async def pick_up(party: Party, description: bytes, answered: Callable[[], None]) -> Ending | None:
    """Answer whoever calls us, with the description of a sound that is open; the ending when they are not heard.

    Returns when something may be played. That is with the ACK, which shows that the INVITE came from where it said; and
    where a stranger wants the sound elsewhere, when some has come: else a call could flood anybody.
    """
    leg, sound = party.leg, party.sound
    leg.answer(description)
    if leg.answered:  # or taken back in this very moment: then whoever waits for us is woken next, to go
        answered()
    sdp = leg.offer
    if sdp is None:
        # The caller's description comes in the ACK (RFC 3261 13.2.1); without one there is nobody to speak to.
        sdp = await leg.acknowledged
        if sdp is None:
            return Ending(Side.SYSTEM, EndCause.MEDIA_FAILED, 0, "no session description in the ACK")
        try:
            await sound.session.set_answer(sdp)
        except (NotAcceptable, BadDescription) as error:
            return Ending(Side.SYSTEM, EndCause.MEDIA_FAILED, 0, str(error))
    if not leg.trusted and not leg.user:
        await leg.acknowledged
    if leg.stranger and not leg.user and not is_at(sdp, leg.flow.remote.host):
        await sound.comes()
    party.opened()
    return None
