"""What a caller asks of an agent: of the queue and by the ticket together, and as facts tell it."""

from __future__ import annotations

from typing import TypedDict

from callcenter.acd.requirements import Needs, Requirement, merged, parse, plain, text
from callcenter.acd.settings import QueueSettings
from callcenter.model.facts import CallQueued, RoutingRelaxed


class Asked(TypedDict):
    """What is asked, as facts tell it."""

    requirements: tuple[tuple[str, int], ...]
    needs: str


def asked_as(asked: Needs) -> Asked:
    """What is asked, for a fact: in pairs as far as these can tell it, in the text form else."""
    pairs = plain(asked)
    return Asked(
        requirements=tuple((need.skill, need.minimum) for need in pairs),
        needs=text(asked) if len(pairs) < len(asked) else "",
    )


def asked_in(body: CallQueued | RoutingRelaxed) -> Needs:
    """What a visit asks, as a fact tells it."""
    return parse(body.needs) if body.needs else tuple(Requirement(*pair) for pair in body.requirements)


def asked_at(queue: QueueSettings, step: int, own: Needs) -> Needs:
    """What a queue and a ticket ask together when so many routing steps are behind the caller."""
    if step == 0:
        return merged(queue.requirements, own)
    needs = queue.steps[step - 1].needs
    return merged(() if needs is None else (needs,), own)
