"""CallsControl: what is ordered of calls by others than those on the phone: by agents' programs and by supervisors."""

from __future__ import annotations

import structlog

from callcenter.acd.agents import AgentView
from callcenter.acd.events import Prioritised
from callcenter.calls.call import Call
from callcenter.calls.call_control import refused
from callcenter.calls.dialled import Forbidden
from callcenter.calls.dispatcher import Waiting
from callcenter.calls.do_not_call import ON_THE_LIST
from callcenter.calls.orders import Dial, HangUp, Steer
from callcenter.calls.own_call import OwnCalls
from callcenter.calls.results import Result
from callcenter.calls.services import Services
from callcenter.calls.supervisor import Supervisor
from callcenter.model.interaction import Ending
from callcenter.model.states import Device, Direction, EndCause, Intent, Side, Work

# An agent whose phone has been picked up, or is about to have a caller by it.
RINGS = (Work.RESERVED, Work.RINGING)

log = structlog.get_logger()


class CallsControl:
    """Does what is ordered of calls, or says why not. Nothing here waits: what follows is told by facts."""

    def __init__(self, services: Services, supervisor: Supervisor, own_calls: OwnCalls) -> None:
        self._services = services
        self._supervisor = supervisor
        self._own_calls = own_calls
        self._dialled: dict[str, str] = {}

    def steer(self, agent: str, order: Steer) -> Result:
        """Do what is ordered of the talk that an agent has; who only dials can hang up, too."""
        talk = self._services.controls.of(agent, order.call)
        if talk is not None:
            return talk.order(order)
        if not isinstance(order, HangUp):
            return Result.NOT_TALKING
        return self._hang_up(agent, order.call)

    def dial(self, agent: str, order: Dial) -> Result:
        """Ring the agent's own phone, and dial when it is picked up."""
        call = self._own_calls.click(agent, order.to)
        if isinstance(call, Result):
            return call
        if isinstance(call, Forbidden):
            return Result.DO_NOT_CALL if call.phrase == ON_THE_LIST else refused(call)
        self._dialled[agent] = call.id
        return Result.DONE

    def dialled(self, agent: str) -> str:
        """The id of the call that was dialled for the agent last; empty when there was none."""
        return self._dialled.get(agent, "")

    def answer(self, agent: str) -> Result:
        """Have the phone taken off that rings for a caller: none of those that are served can be told to from here. One
        that is to take calls by itself is asked to when it is rung (``auto_answer``).
        """
        view = self._services.dispatcher.acd.agent(agent)
        return Result.PHONE_CANNOT if view is not None and view.work in RINGS else Result.NOT_RINGING

    def client_of(self, call: str) -> str:
        """The company of a call that is up; empty when there is none."""
        found = self._supervisor.calls.get(call)
        return found.client.id if found is not None else ""

    def talks_in(self, agent: str, call: str) -> bool:
        """Whether an agent talks in a call."""
        return self._services.controls.of(agent, call) is not None

    def agent_in(self, call: str) -> str:
        """The agent who talks in a call, or has dialled it; empty when there is none."""
        found = self._supervisor.calls.get(call)
        if found is None:
            return ""
        return found.talk.agent_id if found.talk is not None else found.agent

    def move(self, call: str, queue: str) -> Result:
        """Let a waiting caller wait in another queue of their company, on a place as old as theirs."""
        found = self._waiting(call)
        if isinstance(found, Result):
            return found
        caller, waiting = found
        plan = self._services.dispatcher.acd.plan
        if queue not in plan.queues or plan.queues[queue].client != caller.client.id:
            return Result.NO_SUCH_QUEUE
        if queue not in caller.settings.treatments and queue not in self._services.settings.treatments:
            return Result.NO_SUCH_QUEUE
        if waiting.ticket.queue == queue:
            return Result.WAITS_THERE
        waiting.send_on(queue)
        return Result.DONE

    def prioritise(self, call: str, priority: int, by: str) -> Result:
        """Let a waiting caller, or a callback in line, have another priority."""
        caller = self._supervisor.calls.get(call)
        ticket = caller.ticket if caller is not None else None
        view = self._services.dispatcher.acd.ticket(ticket.id) if ticket is not None else None
        if view is None:
            return Result.NOT_WAITING
        self._services.dispatcher.tell(Prioritised(view.id, priority, by))
        return Result.DONE

    def take(self, call: str, agent: str) -> Result:
        """Offer a waiting caller to an agent, who must be free, whatever he knows: somebody has decided so."""
        found = self._waiting(call)
        if isinstance(found, Result):
            return found
        caller, waiting = found
        acd = self._services.dispatcher.acd
        view = acd.agent(agent)
        if view is None or caller.client.id not in acd.who(agent).clients:
            return Result.NOT_ALLOWED
        if view.intent is not Intent.READY or view.device is Device.UNREACHABLE:
            return Result.NOT_THERE
        if not acd.available(agent):
            return Result.BUSY
        waiting.send_on(waiting.ticket.queue, agent)
        return Result.DONE

    def end_call(self, call: str, by: str) -> Result:
        """Hang up on whoever called; of somebody who is to be called back there is nobody to hang up on."""
        found = self._supervisor.calls.get(call)
        if found is None:
            return Result.NO_SUCH_CALL
        if found.callback is not None and not found.caller.leg.answered:
            return Result.NOT_WAITING
        # Told here: the client's own record says that somebody wanted it.
        found.give_up(Ending(Side.SYSTEM, EndCause.COMMANDED, 480, by))
        return Result.DONE

    def _waiting(self, call: str) -> tuple[Call, Waiting] | Result:
        """A caller who waits in a queue, phone in hand, and whom nobody has picked up for."""
        caller = self._supervisor.calls.get(call)
        if caller is None:
            return Result.NO_SUCH_CALL
        ticket, dispatcher = caller.ticket, self._services.dispatcher
        view = dispatcher.acd.ticket(ticket.id) if ticket is not None else None
        waiting = dispatcher.place(ticket.id) if ticket is not None else None
        # Who dials for himself stands in his own colleague's line; who is put through is on the way to somebody.
        not_yet = caller.direction is Direction.OUTBOUND and not caller.caller.leg.answered
        if view is None or waiting is None or not view.queue or view.only or not_yet:
            return Result.NOT_WAITING
        if any(self._picked_up(dispatcher.acd.agent(agent)) for agent in view.ringing):
            return Result.PICKED_UP
        return caller, waiting

    def _picked_up(self, agent: AgentView | None) -> bool:
        return agent is not None and agent.work not in RINGS

    def _hang_up(self, agent: str, call: str) -> Result:
        """End the latest call that the agent dials and that nobody has answered; or whom he has put through."""
        for each in reversed(list(self._supervisor.calls.values())):
            if call and each.id != call:
                continue
            if each.agent == agent:
                each.give_up(Ending(Side.CALLER, EndCause.CANCELLED, 487, "ordered"))
                return Result.DONE
            if each.handover is not None and each.handover.agent_id == agent and each.handover.party.leg.ending is None:
                each.handover.party.close()
                return Result.DONE
        return Result.NOT_TALKING
