"""Codecs: which ones a leg may have, by the trunk or the agent that it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callcenter.calls.services import Services
    from callcenter.signaling.leg import Leg


def codecs_of(services: Services, leg: Leg) -> tuple[str, ...] | None:
    """The only ones for the leg of somebody who calls us, in this order; None: those of everybody."""
    if leg.trunk:
        trunk = services.trunks.get(leg.trunk)
        return (trunk.settings.codecs or None) if trunk is not None else None
    return codecs_of_agent(services, leg.user)


def codecs_of_agent(services: Services, agent: str) -> tuple[str, ...] | None:
    """The only ones for the phones of an agent, in this order; None: those of everybody."""
    return services.settings.agent_codecs.get(agent)
