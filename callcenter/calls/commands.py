"""CommandDesk: what agents and supervisors ask for, whatever way it came: done once, answered in words."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, assert_never

from callcenter.acd.agents import AgentView, needs_disposition
from callcenter.acd.events import IntentChosen, RosterChanged, WrapUpAsked, WrapUpDone, WrapUpExtended
from callcenter.acd.settings import Dispositions, Plan
from callcenter.calls.breaks import BreakRules
from callcenter.calls.dispatcher import Dispatcher
from callcenter.calls.order_reading import (
    MAX_ID,
    MAX_WHY,
    BadCommand,
    names_a_caller,
    near,
    read_of_caller,
    read_order,
    text_of,
)
from callcenter.calls.orders import (
    Answer,
    AnswerPreview,
    AskDispositions,
    CancelEntry,
    ChangeRoster,
    Choose,
    Consult,
    Dial,
    EndCall,
    ExtendWrapUp,
    FinishWrapUp,
    HangUp,
    Hold,
    InTalk,
    Move,
    OfCaller,
    OfPresentCall,
    Order,
    Prioritise,
    Record,
    Resume,
    SendDigits,
    StartEntry,
    Steer,
    Supervise,
    Take,
    Transfer,
)
from callcenter.calls.recorded_talk import Obeyed, RecordAction
from callcenter.calls.results import SENTENCES, Result, refusal
from callcenter.calls.settings import Supervisor
from callcenter.model.facts import AgentCommanded, BreakRefused, CallCommanded
from callcenter.model.states import Intent, SupervisionMode, Work, WrapUpMode

if TYPE_CHECKING:
    from callcenter.calls.paperwork import Paperwork

# Answers that are kept for who asks again. A program asks again within seconds; a floor of a thousand makes this many
# commands in a quarter of an hour, some 2 MB.
REMEMBERED = 5_000

# What came of a command about a recording.
RECORDED: Mapping[Obeyed, Result] = {
    Obeyed.DONE: Result.DONE,
    Obeyed.LATER: Result.PENDING,
    Obeyed.NO_TALK: Result.NOT_TALKING,
    Obeyed.NOT_RECORDED: Result.NOT_RECORDED,
    Obeyed.FORBIDDEN: Result.NOT_RECORDABLE,
    Obeyed.MUST_GO_ON: Result.MUST_RECORD,
    Obeyed.NO_ROOM: Result.NO_ROOM,
}


class FloorControl(Protocol):
    """Who does what is ordered of calls. Nothing here ever waits."""

    def steer(self, agent: str, order: Steer) -> Result:
        """Do what is ordered of the talk that an agent has."""
        ...

    def dial(self, agent: str, order: Dial) -> Result:
        """Ring the agent's own phone, and dial."""
        ...

    def dialled(self, agent: str) -> str:
        """The id of the call that was dialled for the agent last."""
        ...

    def answer(self, agent: str) -> Result:
        """Have the agent's phone taken off that rings."""
        ...

    def client_of(self, call: str) -> str:
        """The company of a call that is up; empty when there is none."""
        ...

    def talks_in(self, agent: str, call: str) -> bool:
        """Whether an agent talks in a call."""
        ...

    def agent_in(self, call: str) -> str:
        """The agent who talks in a call; empty when there is none."""
        ...

    def move(self, call: str, queue: str) -> Result:
        """Let a waiting caller wait elsewhere."""
        ...

    def prioritise(self, call: str, priority: int, by: str) -> Result:
        """Let a waiting caller have another priority."""
        ...

    def take(self, call: str, agent: str) -> Result:
        """Offer a waiting caller to an agent."""
        ...

    def end_call(self, call: str, by: str) -> Result:
        """Hang up on a caller."""
        ...


class CommandDesk:
    """Takes commands and gives answers, at once. Whoever asks again with the same id gets the same answer."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        reasons: Callable[[], Mapping[str, str]],
        breaks: BreakRules | None = None,
        record: Callable[[str, RecordAction, str, str], Obeyed] | None = None,
    ) -> None:
        """``reasons`` for being not ready that are configured now: the slug, and what it means in words. ``breaks``:
        their limits. ``record`` does what is commanded (by whom, of which call) with the recording of an agent's talk.
        """
        self._dispatcher = dispatcher
        self._reasons = reasons
        self._breaks = breaks
        self._record = record
        self.supervise: Callable[[Supervisor, str, SupervisionMode | None], Result] | None = None
        """Who lets supervisors hear agents."""
        self.consult: Callable[[str, Consult], Result] | None = None
        """Who lets agents ask others while a caller waits."""
        self.in_talk: Callable[[str, InTalk, str], Result] | None = None
        """Who does what agents order in their talks."""
        self.preview: Callable[[str, bool], bool] | None = None
        """Who asks agents whether to call a customer back."""
        self.paperwork: Paperwork | None = None
        """Who knows what a wrap-up has to have beside its disposition."""
        self.floor: FloorControl | None = None
        """Who does what is ordered of calls."""
        self._answered: OrderedDict[tuple[str, str, str], dict[str, Any]] = OrderedDict()

    def take(
        self,
        command: Mapping[str, Any],
        *,
        by: str,
        agent: str | None = None,
        supervisor: Supervisor | None = None,
    ) -> dict[str, Any]:
        """Obey a command and answer it. Never waits, and never raises on a peer's mistake.

        ``by`` says in words who commands, for the cause of what changes. ``agent`` is who it is for, where the way it
        came by says so: the agent's own program. Without, ``supervisor`` commands for the command's own ``agent``.
        """
        name = command.get("id")
        if not isinstance(name, str) or not 0 < len(name) <= MAX_ID:
            sentence = f"`id` is missing or no text of 1 to {MAX_ID} characters: write a new one for each command"
            return {"id": None, **refusal(Result.NOT_UNDERSTOOD, sentence)}
        key = (by, agent or "", name)
        answer = self._answered.get(key)
        if answer is None and self._dispatcher.closed:
            return {"id": name, **refusal(Result.TOO_MANY, "the switch is going down: send it again when it is back")}
        if answer is None:
            answer = self._answered[key] = {"id": name, **self._obey(command, by, agent, supervisor)}
            if len(self._answered) > REMEMBERED:
                self._answered.popitem(last=False)
        return dict(answer)

    def obey(self, agent: str, order: Order, *, by: str, supervisor: Supervisor | None = None) -> Result:
        """Do what an agent, or a supervisor for them, orders; what came of it. Never waits.

        What a supervisor orders is told as a fact, whatever came of it; no limit of those who may be out binds her.
        """
        # What was told before comes before: the answer must be true now.
        self._dispatcher.decide()
        result = self._carry_out(agent, order, by, supervisor)
        if supervisor is not None and not isinstance(order, AskDispositions):
            self._dispatcher.note(AgentCommanded(agent, str(order), by, str(result)))
        self._dispatcher.decide()
        after = self._dispatcher.acd.agent(agent)
        if isinstance(order, Choose) and result is Result.DONE and after is not None and after.pending:
            return Result.PENDING
        return result

    def _carry_out(self, agent: str, order: Order, by: str, supervisor: Supervisor | None) -> Result:
        acd = self._dispatcher.acd
        view = acd.agent(agent)
        if view is None or agent not in acd.plan.agents:
            return Result.NO_SUCH_AGENT
        if isinstance(order, Supervise):
            # Which of the agent's calls are hers to hear is asked of each.
            if supervisor is None or self.supervise is None:
                return Result.NOT_PERMITTED
            return self.supervise(supervisor, agent, order.mode)
        if supervisor is not None and not self._may_command(supervisor, agent, order):
            return Result.NOT_PERMITTED
        if isinstance(order, OfPresentCall) and order.call and not self._is_in(view, order.call):
            return Result.NO_SUCH_CALL
        result = Result.DONE
        match order:
            case Choose():
                result = self._choose(view, order, by, supervisor)
            case FinishWrapUp(disposition=disposition):
                result = self._finishes(view, disposition, acd.plan)
                if result.good:
                    self._owe(view, disposition)
                    self._dispatcher.tell(WrapUpDone(agent, disposition, by))
            case ExtendWrapUp():
                result = _extends(view, acd.plan)
                if result.good:
                    asks = view.wrap_up is WrapUpMode.OPTIONAL
                    self._dispatcher.tell(WrapUpAsked(agent, by) if asks else WrapUpExtended(agent, by))
            case ChangeRoster():
                self._dispatcher.tell(self._changed(agent, order, by))
            case Consult():
                result = self.consult(agent, order) if self.consult is not None else Result.NOT_TALKING
            case AnswerPreview(accepts=accepts):
                asked = self.preview is not None and self.preview(agent, accepts)
                result = Result.DONE if asked else Result.NOT_SHOWN
            case SendDigits() | StartEntry() | CancelEntry():
                result = self.in_talk(agent, order, by) if self.in_talk is not None else Result.NOT_TALKING
            case Hold() | Resume() | Transfer() | HangUp():
                result = self.floor.steer(agent, order) if self.floor is not None else Result.NOT_TALKING
            case Dial():
                result = self.floor.dial(agent, order) if self.floor is not None else Result.NO_PHONE
            case Answer():
                result = self.floor.answer(agent) if self.floor is not None else Result.NOT_RINGING
            case AskDispositions():
                pass
            case Record(action=action, call=call):
                obeyed = self._record(agent, action, by, call) if self._record is not None else Obeyed.NO_TALK
                result = RECORDED[obeyed]
            case _:
                assert_never(order)
        return result

    def command_caller(self, call: str, order: OfCaller, *, by: str, supervisor: Supervisor) -> Result:
        """Do what a supervisor orders of a caller; what came of it. Never waits.

        It is told as a fact of the call, whatever came of it; of a call that is none of hers nothing is.
        """
        self._dispatcher.decide()
        client = self.floor.client_of(call) if self.floor is not None else ""
        if self.floor is None or not client or not (supervisor.clients is None or client in supervisor.clients):
            return Result.NO_SUCH_CALL
        result = self._command_caller(self.floor, call, order, by, supervisor)
        self._dispatcher.note(CallCommanded(str(order), by, str(result), client), call)
        self._dispatcher.decide()
        return result

    def _command_caller(
        self, floor: FloorControl, call: str, order: OfCaller, by: str, supervisor: Supervisor
    ) -> Result:
        match order:
            case Move(queue=queue):
                return floor.move(call, queue)
            case Prioritise(priority=priority):
                return floor.prioritise(call, priority, by)
            case Take(agent=agent):
                if agent not in self._dispatcher.acd.plan.agents:
                    return Result.NO_SUCH_AGENT
                return floor.take(call, agent)
            case EndCall():
                return floor.end_call(call, by)

    def _is_in(self, view: AgentView, call: str) -> bool:
        """Whether an agent has to do with a call now: is rung for it, talks in it, or has dialled it."""
        present = view.call_id if view.work not in (Work.IDLE, Work.WRAP_UP) else ""
        talks = self.floor is not None and self.floor.talks_in(view.id, call)
        return talks or call == present or call in view.own_calls

    def _choose(self, view: AgentView, order: Choose, by: str, supervisor: Supervisor | None) -> Result:
        lasts = None
        if order.intent is Intent.NOT_READY and self._breaks is not None:
            crowd = self._breaks.crowd(view.id, order.reason)
            goes_already = (Intent.NOT_READY, order.reason) in (
                (view.intent, view.reason),
                (view.next, view.next_reason),
            )
            if crowd is not None and supervisor is None and not goes_already:
                self._dispatcher.note(BreakRefused(view.id, order.reason, *crowd, by=by))
                return Result.TOO_MANY_OUT
            lasts = self._breaks.lasts(view.id, order.reason)
        self._dispatcher.tell(IntentChosen(view.id, order.intent, order.reason, by, lasts))
        return Result.DONE

    def _may_command(self, supervisor: Supervisor, agent: str, order: Order) -> bool:
        """Whether all clients are the supervisor's whom the agent serves, and would serve."""
        if supervisor.clients is None:
            return True
        acd = self._dispatcher.acd
        serves = acd.plan.agents[agent].clients | acd.who(agent).clients
        if isinstance(order, ChangeRoster) and order.clients is not None:
            serves |= order.clients
        return serves <= supervisor.clients

    def _changed(self, agent: str, order: ChangeRoster, by: str) -> RosterChanged:
        """The whole change there is then, of which the order is the latest part."""
        acd = self._dispatcher.acd
        before = None if order.reset else acd.change(agent)
        skills = dict(before.skills) if before is not None and "skills" in before.changed else None
        if order.skills is not None:
            base = acd.plan.agents[agent].skills if skills is None else skills
            skills = {skill: level for skill, level in {**base, **order.skills}.items() if level}
        clients, queues = order.clients, order.queues
        if before is not None and clients is None and "clients" in before.changed:
            clients = frozenset(before.clients)
        if before is not None and queues is None and "queues" in before.changed:
            queues = frozenset(before.queues)
        return RosterChanged(agent, skills, clients, queues, by)

    def _obey(
        self, command: Mapping[str, Any], by: str, agent: str | None, supervisor: Supervisor | None
    ) -> dict[str, Any]:
        if supervisor is not None and names_a_caller(command):
            return self._obey_of_caller(command, by, supervisor)
        try:
            order = read_order(command, self._reasons(), self._plan_of(supervisor), own=supervisor is None)
            if supervisor is not None and (why := text_of(command, "why", MAX_WHY, wanted="why, in words", default="")):
                by = f"{by}: {why}"
            if agent is None and supervisor is not None and isinstance(order, Supervise) and "agent" not in command:
                agent = self._talks_in(text_of(command, "call", MAX_ID, wanted="the id of a call"), supervisor)
                if not agent:
                    return refusal(Result.NO_SUCH_CALL, SENTENCES[Result.NO_SUCH_CALL])
            whom = agent if agent is not None else text_of(command, "agent", MAX_ID, wanted="the name of an agent")
        except BadCommand as error:
            return refusal(Result.NOT_UNDERSTOOD, str(error))
        result = self.obey(whom, order, by=by, supervisor=supervisor)
        if result is Result.PENDING:
            return {"ok": True, "pending": True}
        if result is Result.NOT_PERMITTED and whom not in self._plan_of(supervisor).agents:
            result = Result.NO_SUCH_AGENT  # what is another company's alone is as none
        if not result.good:
            return refusal(result, self._sentence(result, whom, order, supervisor))
        if isinstance(order, AskDispositions):
            known = self._dispositions(whom)
            return {"ok": True, "required": known.required, "codes": dict(known.codes), **self._asked_for(whom)}
        if isinstance(order, Dial) and self.floor is not None:
            return {"ok": True, "call": self.floor.dialled(whom)}
        return {"ok": True}

    def _talks_in(self, call: str, supervisor: Supervisor) -> str:
        """The agent who talks in a call of hers; empty when there is none."""
        client = self.floor.client_of(call) if self.floor is not None else ""
        hers = client and (supervisor.clients is None or client in supervisor.clients)
        return self.floor.agent_in(call) if self.floor is not None and hers else ""

    def _obey_of_caller(self, command: Mapping[str, Any], by: str, supervisor: Supervisor) -> dict[str, Any]:
        try:
            call, order = read_of_caller(command)
        except BadCommand as error:
            return refusal(Result.NOT_UNDERSTOOD, str(error))
        result = self.command_caller(call, order, by=by, supervisor=supervisor)
        if result is Result.PENDING:
            return {"ok": True, "pending": True}
        hers = self._plan_of(supervisor).agents
        if result is Result.NOT_ALLOWED and isinstance(order, Take) and order.agent not in hers:
            result = Result.NO_SUCH_AGENT
        if result is Result.NO_SUCH_AGENT and isinstance(order, Take):
            return refusal(result, f"no agent is named `{order.agent}`{near(order.agent, hers)}")
        return {"ok": True} if result.good else refusal(result, SENTENCES[result])

    def _plan_of(self, supervisor: Supervisor | None) -> Plan:
        """What somebody is told that there is: to who has some companies alone, nothing that is only another's."""
        acd = self._dispatcher.acd
        if supervisor is None or supervisor.clients is None:
            return acd.plan
        hers = supervisor.clients
        agents = {
            name: agent
            for name, agent in acd.plan.agents.items()
            if name == supervisor.agent or not hers.isdisjoint(agent.clients | acd.who(name).clients)
        }
        queues = {name: queue for name, queue in acd.plan.queues.items() if queue.client in hers}
        return replace(acd.plan, agents=agents, queues=queues)

    def _sentence(self, result: Result, agent: str, order: Order, supervisor: Supervisor | None) -> str:
        match result, order:
            case Result.NO_SUCH_AGENT, _:
                return f"no agent is named `{agent}`{near(agent, self._plan_of(supervisor).agents)}"
            case Result.UNKNOWN_DISPOSITION | Result.NEEDS_DISPOSITION, FinishWrapUp(disposition=given):
                codes = self._dispositions(agent).codes
                sentence = f"no disposition is named `{given}`{near(given, codes)}" if given else SENTENCES[result]
                return f"{sentence}; the dispositions are {', '.join(codes)}" if codes else sentence
            case Result.NEEDS_FIELDS, _ if self.paperwork is not None:
                return f"{SENTENCES[result]}; missing: {', '.join(f.name for f in self.paperwork.missing(agent))}"
            case Result.TOO_MANY_OUT, Choose(reason=reason) if self._breaks is not None:
                crowd = self._breaks.crowd(agent, reason)
                out = f"{crowd[0]} of {crowd[1]} are out for `{reason}` already" if crowd else "too many were out"
                return f"{out}: ask again when one of them is back"
            case _:
                return SENTENCES[result]

    def _finishes(self, view: AgentView, disposition: str, plan: Plan) -> Result:
        result = _finishes(view, disposition, plan)
        if not result.good or self.paperwork is None:
            return result
        queue = plan.queue(plan.renamed.get(view.queue, view.queue))
        chosen = plan.dispositions_of(view.queue).find(disposition or view.disposition) or ""
        demand = self.paperwork.demand(queue.client, chosen) if queue is not None and chosen else None
        if demand is not None and demand.required and demand.due is None and chosen != view.disposition:
            return Result.NEEDS_FOLLOW_UP
        # Who asked for no time owes nothing.
        owes = view.wrap_up is not WrapUpMode.OPTIONAL and self.paperwork.missing(view.id)
        return Result.NEEDS_FIELDS if owes else result

    def _owe(self, view: AgentView, disposition: str) -> None:
        plan = self._dispatcher.acd.plan
        queue = plan.queue(plan.renamed.get(view.queue, view.queue))
        chosen = plan.dispositions_of(view.queue).find(disposition) if disposition else None
        if self.paperwork is not None and queue is not None and chosen:
            self.paperwork.owe(view, queue.client, chosen)

    def _asked_for(self, agent: str) -> dict[str, Any]:
        """What the wrap-up of the agent's present talk asks for beside a disposition."""
        view, plan = self._dispatcher.acd.agent(agent), self._dispatcher.acd.plan
        queue = plan.queue(plan.renamed.get(view.queue, view.queue)) if view is not None else None
        if view is None or queue is None or self.paperwork is None:
            return {}
        return {
            "chosen": view.disposition or None,
            "fields": [each.plain() for each in self.paperwork.fields_of(queue.client, queue.id).values()],
            "missing": [each.name for each in self.paperwork.missing(agent)],
        }

    def _dispositions(self, agent: str) -> Dispositions:
        view = self._dispatcher.acd.agent(agent)
        return self._dispatcher.acd.plan.dispositions_of(view.queue if view is not None else "")


def _finishes(view: AgentView, disposition: str, plan: Plan) -> Result:
    if view.work is not Work.WRAP_UP:
        return Result.NOTHING_TO_WRAP_UP
    known = plan.dispositions_of(view.queue)
    if disposition:
        return Result.DONE if known.find(disposition) is not None else Result.UNKNOWN_DISPOSITION
    owed = needs_disposition(view.wrap_up, known) and not view.disposition
    return Result.NEEDS_DISPOSITION if owed else Result.DONE


def _extends(view: AgentView, plan: Plan) -> Result:
    if view.work is not Work.WRAP_UP:
        return Result.NOTHING_TO_WRAP_UP
    if view.until is None:
        return Result.ENDLESS
    if view.extension:
        return Result.DONE
    queue = plan.queues.get(view.queue)
    once = queue is not None and queue.wrap_up is not None and queue.wrap_up.extend_once > 0
    return Result.EXTENDED_BEFORE if once else Result.NOT_EXTENDABLE
