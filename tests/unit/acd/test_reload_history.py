"""Reloads among random histories: whom a new plan does not mean is as before, and of what it removes nothing stays."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from callcenter.acd.agents import AgentView
from callcenter.acd.asked import asked_at
from callcenter.acd.events import MakeOffer, Reconfigured, RosterChanged, TicketExpired
from callcenter.acd.presence import Absence, counts
from callcenter.acd.queue import TicketView
from callcenter.acd.requirements import parse
from callcenter.acd.settings import QUEUE_RENAMED, Plan
from callcenter.model.facts import CallQueued, QueueLeft
from callcenter.model.states import Intent, VisitOutcome, Work
from tests.unit.acd.floor import Floor, check_refold, plan
from tests.unit.acd.test_history import History, plans

ABSENCES = frozenset(map(str, Absence))
ON_THE_PHONE = (Work.TALKING, Work.HELD, Work.CONSULTING)


class Reloads(History):
    """A history in which the plan is changed often: for another one, or so that few things are others."""

    @rule(settings=plans())
    def reload(self, settings: Plan) -> None:
        reload(self.floor, settings)

    @rule()
    def reload_the_same(self) -> None:
        floor = self.floor
        floor.sleep(0.0)
        before, facts = floor.acd.snapshot(), len(floor.facts)
        floor.tell(Reconfigured(floor.acd.plan))
        assert (floor.acd.snapshot(), len(floor.facts)) == (before, facts), "the same plan changes nothing"

    @precondition(lambda self: hasattr(self, "floor") and self.floor.acd.plan.queues)
    @rule(data=st.data())
    def rename(self, data: st.DataObject) -> None:
        """One queue has another name now, which some other queue once had or not."""
        now = self.floor.acd.plan
        old = data.draw(st.sampled_from(sorted(now.queues)))
        new = f"{old}-now" if not old.endswith("-now") else old.removesuffix("-now")
        if new in now.queues:
            return
        queues = {name: queue for name, queue in now.queues.items() if name != old}
        queues[new] = replace(now.queues[old], id=new)
        reload(self.floor, replace(now, queues=queues, renamed={old: new}))


def reload(floor: Floor, new: Plan) -> None:
    """Put a plan in force, and hold what is there against what was."""
    floor.sleep(0.0)
    acd, effects = floor.acd, len(floor.effects)
    agents = {view.id: view for view in acd.agents()}
    lines = {queue: acd.waiting(queue) for queue in (*floor.queues(), "")}
    floor.tell(Reconfigured(new))
    offered = {each.offer.agent_id for each in floor.effects[effects:] if isinstance(each, MakeOffer)}
    for view in agents.values():
        check_agent(floor, view, fresh=view.id in offered)
    for queue, line in lines.items():
        check_line(floor, queue, line)
    for view in acd.agents():
        assert view.id in new.agents or view.work is not Work.IDLE, f"{view.id} is removed and still there"
        assert view.id in new.agents or view.work not in (Work.RESERVED, Work.RINGING), f"{view.id} is rung, and gone"
    assert not offered - new.agents.keys(), "a removed agent is offered somebody"


def check_agent(floor: Floor, before: AgentView, *, fresh: bool) -> None:
    """An agent of both plans has what was chosen, the work there was, and the place among the idle."""
    after, now = floor.acd.agent(before.id), floor.acd.plan
    if before.id not in now.agents:
        # Who is removed works on, and is signed out behind it; of whoever does nothing there is no trace.
        assert after is None or after.work == before.work, f"{before.id} was {before.work} and is {after}"
        assert after is None or after.work in (*ON_THE_PHONE, Work.WRAP_UP, Work.OUTBOUND)
        return
    assert after is not None
    chosen = (after.intent, after.reason, after.device, after.next, after.own_calls, after.forced)
    assert chosen == (before.intent, before.reason, before.device, before.next, before.own_calls, before.forced)
    if not fresh and before.work not in (Work.RESERVED, Work.RINGING):
        assert (after.work, after.offer, after.until) == (before.work, before.offer, before.until)
        assert after.since == before.since


def check_line(floor: Floor, queue: str, before: tuple[TicketView, ...]) -> None:
    """Who waits keeps the place.

    Only those go on who wait too long or for nobody by the new plan, or in a queue that is gone.
    """
    acd, new = floor.acd, floor.acd.plan
    after = {each.id: each for each in acd.waiting(queue)}
    known = new.queue(queue)
    left = {body.visit: body for body in floor.bodies(QueueLeft)}
    own = {body.visit: parse(body.own) for body in floor.bodies(CallQueued)}
    for ticket in before:
        now = after.get(ticket.id)
        if now is not None:
            same = (now.call_id, now.joined, now.first_joined, now.priority, now.tries >= ticket.tries)
            assert same == (ticket.call_id, ticket.joined, ticket.first_joined, ticket.priority, True)
            if known is not None and not ticket.only:
                due = sum(step.after <= floor.now - now.joined for step in known.steps)
                assert due <= now.step <= len(known.steps)
                assert now.asked == asked_at(known, now.step, own[ticket.id]), "who waits asks what the queue asks now"
            continue
        assert left[ticket.id].outcome is VisitOutcome.FLOWED_OUT
        if known is None:
            wanted = QUEUE_RENAMED if queue in new.renamed else "queue_removed"
            assert left[ticket.id].reason == wanted
            assert any(isinstance(each, TicketExpired) and each.ticket_id == ticket.id for each in floor.effects)
        elif left[ticket.id].reason in ABSENCES:
            assert counts(Absence(left[ticket.id].reason), known.leave_empty)
        elif not ticket.only:
            assert known.max_wait is not None
            assert floor.now - ticket.joined >= known.max_wait - 0.001
    order = [each.id for each in before if each.id in after]
    assert order == [each.id for each in acd.waiting(queue) if each.id in set(order)], "nobody is overtaken"
    if known is None:
        works = {view.offer: view.work for view in acd.agents() if view.offer}
        for ticket in after.values():
            work = next((works[offer] for offer in works if floor.made[offer].ticket_id == ticket.id), None)
            rings = work in (Work.RESERVED, Work.RINGING) and queue in new.renamed
            assert rings or work in ON_THE_PHONE, f"{ticket.id} waits in {queue}, which is gone"


TestReloads = Reloads.TestCase
TestReloads.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)


def test_nobody_who_is_signed_out_comes_back_by_a_reload() -> None:
    floor = Floor(plan(), ready=("amy", "bob"))
    floor.choose("bob", Intent.SIGNED_OUT)
    for _ in range(3):
        reload(floor, floor.acd.plan)
    assert floor.agent("bob").intent is Intent.SIGNED_OUT


def test_what_was_changed_of_an_agent_at_run_time_outlives_a_reload_and_follows_a_queue_to_its_new_name() -> None:
    floor = Floor(plan(), ready=("amy", "bob"))
    floor.choose("bob", Intent.SIGNED_OUT)
    floor.tell(RosterChanged("amy", {"english": 2}, None, queues=frozenset({"sales"}), by="olga"))
    before = floor.acd.plan
    queues = {"sold": replace(before.queues["sales"], id="sold")}
    reload(floor, replace(before, queues=queues, renamed={"sales": "sold"}))
    change = floor.acd.change("amy")
    assert change is not None
    assert (dict(change.skills), change.queues, change.by) == ({"english": 2}, ("sold",), "olga")
    floor.join("v1", "sold")
    assert floor.offered("v1") == "amy"
    check_refold(floor)

    reload(floor, replace(floor.acd.plan, agents={"bob": before.agents["bob"]}))
    assert floor.acd.change("amy") is None, "who is removed leaves nothing"
