"""Heard: from whom sound comes, and from whom none does, as facts whose words an operator understands."""

from __future__ import annotations

from ipaddress import ip_address

from callcenter.acd.events import Offer
from callcenter.calls.call import Call
from callcenter.calls.sound import Sound
from callcenter.media.plane import NoPacket
from callcenter.model.facts import AgentMediaStarted, CallerMediaStarted, MediaMissing
from callcenter.model.states import Side


def watch_caller(call: Call, sound: Sound | None = None) -> None:
    """Tell when the caller is heard for the first time, or not at all; by ``sound``, if not the one that they have."""
    sound = sound or call.caller.sound
    sound.on_first = lambda source: call.add(CallerMediaStarted(source, sound.secure))
    sound.on_missing = lambda missing: call.add(MediaMissing(Side.CALLER, nothing_heard("caller", sound, missing)))


def watch_agent(call: Call, offer: Offer, sound: Sound) -> None:
    """Tell when the agent is heard for the first time, or not at all; and that only one of the two is.

    An agent who comes out of another call is heard already.
    """

    def missed(side: Side, detail: str) -> None:
        call.add(MediaMissing(side, detail, offer.id, offer.agent_id))

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
    if sound.source:
        first(sound.source)


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
