"""Heard: from whom sound comes, and from whom none does, as facts whose words an operator understands."""

from __future__ import annotations

from ipaddress import ip_address

from callcenter.acd.events import Offer
from callcenter.calls.call import Call
from callcenter.calls.quality import leg_quality
from callcenter.calls.sound import Sound
from callcenter.media.plane import NoPacket, OneWayBegan, OneWayEnded
from callcenter.model.facts import (
    AgentMediaStarted,
    CallerMediaStarted,
    MediaMissing,
    OneWayAudio,
    OneWayAudioEnded,
)
from callcenter.model.states import OneWay, Side

_WHO = {Side.CALLER: "caller", Side.AGENT: "agent", Side.OUTSIDE: "one outside"}


def watch_caller(call: Call, sound: Sound | None = None) -> None:
    """Tell when the caller is heard for the first time, or not at all, or one way, and how it was in the end.

    By ``sound``, if not the one that they have.
    """
    sound = sound or call.caller.sound
    sound.on_first = lambda source: call.add(CallerMediaStarted(source, sound.secure))
    sound.on_missing = lambda missing: call.add(
        MediaMissing(Side.CALLER, nothing_heard("caller", sound, missing), trunk=call.caller.leg.trunk)
    )
    _watch_quality(call, sound, Side.CALLER, agent=call.agent, trunk=call.caller.leg.trunk)


def watch_agent(call: Call, offer: Offer, sound: Sound) -> None:
    """Tell when the agent is heard for the first time, or not at all; and that only one of the two is.

    An agent who comes out of another call is heard already.
    """

    def missed(side: Side, detail: str) -> None:
        trunk = call.caller.leg.trunk if side is Side.CALLER else ""
        call.add(MediaMissing(side, detail, offer.id, offer.agent_id, trunk))

    def first(source: str) -> None:
        call.add(AgentMediaStarted(offer.id, offer.agent_id, source, sound.secure))
        caller = call.caller.sound
        if caller.missing is not None and not caller.source:
            detail = nothing_heard("caller", caller, caller.missing)
            missed(Side.CALLER, f"one-way: the agent sends, the caller does not; {detail}")

    def missing(event: NoPacket) -> None:
        detail = nothing_heard("agent", sound, event)
        heard = call.caller.sound.source
        missed(Side.AGENT, f"one-way: the caller sends, the agent does not; {detail}" if heard else detail)

    sound.on_first, sound.on_missing = first, missing
    _watch_quality(call, sound, Side.AGENT, offer=offer.id, agent=offer.agent_id)
    if sound.source:
        first(sound.source)


def watch_outside(call: Call, sound: Sound, leg: str, trunk: str) -> None:
    """Tell when somebody outside is heard one way only, and how it was in the end."""
    _watch_quality(call, sound, Side.OUTSIDE, trunk=trunk, leg=leg)


def _watch_quality(
    call: Call, sound: Sound, side: Side, *, offer: str = "", agent: str = "", trunk: str = "", leg: str = ""
) -> None:
    def one_way(event: OneWayBegan | OneWayEnded) -> None:
        if isinstance(event, OneWayBegan):
            call.add(OneWayAudio(side, event.kind, one_way_words(_WHO[side], sound, event), offer, agent, trunk))
        else:
            call.add(OneWayAudioEnded(side, event.kind, round(event.seconds * 1000), offer, agent, trunk))

    def ended() -> None:
        told = leg_quality(sound, side, offer=offer, agent=agent, trunk=trunk, leg=leg)
        if told is not None:
            call.add(told)

    sound.on_one_way, sound.on_end = one_way, ended


def one_way_words(who: str, sound: Sound, event: OneWayBegan) -> str:
    """What is seen of sound that goes one way, and what is most likely the matter."""
    lasts = f"for {event.seconds:.0f} s"
    match event.kind:
        case OneWay.STOPPED if event.reports:
            what = f"nothing is heard from the {who} any more, {lasts}: no sound comes from {sound.source}, reports do"
            return f"{what}; a phone that is muted, holds without a word, or leaves silence out?"
        case OneWay.STOPPED:
            what = f"nothing is heard from the {who} any more, {lasts}: neither sound nor reports come"
            return f"{what}; its network is gone, or a NAT or firewall between has closed the way"
        case OneWay.UNHEARD:
            what = f"the {who} does not hear us: the phone reports that none of our packets come, {event.sent} are sent"
            return f"{what}; a firewall or NAT before it that lets no sound in, or it said a wrong address?"
        case OneWay.UNREPORTED:
            what = f"the phone of the {who} reports no more what it hears, {lasts}, although its sound still comes"
            return f"{what}; a NAT or firewall that has closed the port of RTCP?"


def nothing_heard(who: str, sound: Sound, missing: NoPacket) -> str:
    """What did not come, where to, and what is most likely the matter."""
    what = f"nothing is heard from the {who}: no sound came in {missing.seconds:.0f} s at {missing.listens}"
    return f"{what}; {likely_reason(missing, sound.signalled_from)}"


def likely_reason(missing: NoPacket, signalled_from: str) -> str:
    """The best guess, from the plainest sign to none at all. ``signalled_from``: the host of the signalling."""
    said = f"the phone said it sends from {missing.described}"
    described, listens = _host(missing.described), _host(missing.listens)
    if missing.refused:
        return f"{said}, but sound came from {missing.refused}, which nobody has named, and was not taken"
    if missing.unauthentic:
        return f"{said}; what came from there ({missing.unauthentic} packets) was not sealed with the key agreed on"
    if missing.payload_type >= 0:
        return f"{said}; what came was of payload type {missing.payload_type}, which was not agreed on"
    if _is_private(listens) and not _is_private(signalled_from):
        return (
            f"we say we are at {listens}, a private address, and the phone signals from {signalled_from}: "
            "it cannot reach us there; set media.advertised to our public address"
        )
    if described != signalled_from and _is_private(described):
        return (
            f"{said}, an address of its own network, and signals from {signalled_from}: "
            "the NAT or firewall before it lets no sound out"
        )
    return f"{said}: a firewall or NAT between, or a phone that sends nothing?"


def _host(address: str) -> str:
    return address.rpartition(":")[0].strip("[]")


def _is_private(host: str) -> bool:
    """Whether only a network of one's own knows this address."""
    try:
        return not ip_address(host).is_global
    except ValueError:
        return False
