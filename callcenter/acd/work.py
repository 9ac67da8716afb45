"""Work: an agent's work as it moves on with a caller, and what follows when it is over."""

from __future__ import annotations

from callcenter.acd.agents import MOVES, Agent, Move, begun, dismissed, forced
from callcenter.acd.engagement import Engagement
from callcenter.acd.floor import Floor
from callcenter.acd.settings import RnaRule
from callcenter.model.facts import AgentStateChanged, changed
from callcenter.model.states import Intent, OfferResult, Work, WrapUpMode

NO_RULE = RnaRule()


def move(floor: Floor, engagement: Engagement, to: Move, cause: str) -> None:
    """The agent's work with a caller goes on."""
    agent = engagement.agent
    floor.tell(changed(agent.state(cause, floor.now), work=MOVES[agent.work, to]), engagement.call_id)


def free(floor: Floor, engagement: Engagement, move: Move, cause: str, result: OfferResult | None = None) -> None:
    """The agent is through with a caller. He is idle, unless a call goes on that he dialled himself."""
    agent = engagement.agent
    work = MOVES[agent.work, Move.DIAL if move is Move.FINISH and agent.own_calls else move]
    state = changed(agent.state(cause, floor.now), work=work, offer="", remaining_ms=0, extension_ms=0)
    state = changed(state, wrap_up=WrapUpMode.NONE)
    floor.tell(at_rest(floor, agent, state, result) if work is Work.IDLE else state, None)


def at_rest(floor: Floor, agent: Agent, state: AgentStateChanged, result: OfferResult | None) -> AgentStateChanged:
    """His work is over: what was chosen meanwhile holds now; else what follows an offer that failed."""
    state = begun(state)
    rule = floor.plan.rna.rule(result) if result else NO_RULE
    if not floor.employed(agent):
        state = dismissed(state)
    elif agent.pending:
        state = changed(state, forced=False)
    elif result and rule.limit is not None and agent.misses.get(result, 0) >= rule.limit:
        state = forced(state, Intent.NOT_READY, str(result))
    else:
        state = changed(state, remaining_ms=round(rule.delay * 1000))
    return state
