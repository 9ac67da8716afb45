"""Outside: calls that leave the house: one number, dialled in a client's name, over whichever trunk takes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from callcenter.calls.party import Party
from callcenter.calls.services import Services
from callcenter.calls.settings import Client
from callcenter.calls.sound import Sound
from callcenter.signaling.outcome import DialOutcome, Rejected


@dataclass(frozen=True, slots=True)
class Reached:
    """Somebody outside picked up: their ``party``, whose sound is open; the trunk, and the number in E.164."""

    party: Party
    trunk: str
    number: str


@dataclass(frozen=True, slots=True)
class NotReached:
    """Nobody did: the last outcome, the trunks that were ``tried``, and why in words an operator understands."""

    outcome: DialOutcome
    detail: str
    tried: tuple[str, ...] = ()


async def dial_outside(
    services: Services,
    client: Client,
    number: str,
    call_id: str,
    *,
    beside: Sound | None = None,
    on_ringing: Callable[[], None] | None = None,
) -> Reached | NotReached:
    """Dial ``number``, as somebody wrote it, in the name of ``client``; ``beside`` whose sound theirs is opened.

    ``on_ringing`` is called once, when it rings there. Whoever is cancelled while it rings leaves nothing behind; a
    party that was reached is the caller's to close.
    """
    return NotReached(Rejected(404, "Not Found"), f"{client.id} has no trunk to dial {number} by")
