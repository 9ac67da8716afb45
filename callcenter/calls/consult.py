"""Consult: in a talk the agent asks somebody else, while the caller waits or with the caller: all by one line.

The question is an own call of the agent's like any other, dialled within the switch: who is asked, how they are rung
and what is kept of it is in ``own_call.py``. The agent speaks in it by a tie, from the phone that is in the talk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING

import structlog

from callcenter.calls.call_control import let_wait
from callcenter.calls.circle import Circle, Seat
from callcenter.calls.dialled import Forbidden, destination
from callcenter.calls.orders import Consult
from callcenter.calls.results import Result
from callcenter.calls.settings import ConsultDo
from callcenter.calls.sound import Sound
from callcenter.calls.tie import found_here, open_end
from callcenter.calls.transfer import has_answered
from callcenter.media.plane import Clip, MediaError
from callcenter.model.facts import ConferenceJoined, ConferenceLeft
from callcenter.model.states import Side
from callcenter.runtime.scopes import Background, until
from callcenter.signaling.inner_leg import InnerLeg

if TYPE_CHECKING:
    import asyncio

    from callcenter.acd.events import Offer
    from callcenter.calls.call import Call
    from callcenter.calls.party import Party
    from callcenter.signaling.leg import LegEnded

# Agents who talk on with somebody whom they have asked, when the caller has hung up.
MOST_AT_ONCE = 1_000

log = structlog.get_logger()


class Face(Enum):
    """With whom the agent speaks: who is not faced waits, with music."""

    CALLER = "caller"
    ASKED = "asked"
    BOTH = "both"


class Question:
    """One call in which an agent asks somebody, from the dialling on. ``on_tied`` is told when something may be heard
    of it, ``on_end`` once when it is over.
    """

    def __init__(
        self,
        call: Call,
        offer: Offer,
        agent: Party,
        asked: str,
        on_tied: Callable[[], None],
        on_end: Callable[[], None],
    ) -> None:
        self.asked = asked
        self.id = ""
        """The id of the call, once it was there."""
        self.face = Face.ASKED
        self.near: Sound | None = None
        """Our end of the tie: what comes in there is heard of whoever is asked."""
        self.leg: InnerLeg | None = None
        self._call = call
        self._offer = offer
        self._agent = agent
        self._on_tied = on_tied
        self._on_end = on_end
        self._ringback: int | None = None
        self._over = False
        self._work = Background(limit=4)
        self._work.start(self._dial(), name=f"{offer.agent_id} asks {asked}")

    @property
    def call(self) -> Call | None:
        """The call in which the agent asks, while it lasts."""
        found = self._call.services.call_of(self.leg) if self.leg is not None and self.leg.ending is None else None
        self.id = found.id if found is not None else self.id
        return found

    @property
    def answered(self) -> bool:
        """Whether the agent talks to somebody there."""
        return (call := self.call) is not None and has_answered(call)

    def leave(self) -> None:
        """The agent asks no more. Never waits; may be called twice."""
        self._work.cancel()
        if self.leg is not None:
            self.leg.leave()
        self._end()

    def let_go(self) -> None:
        """Somebody else has the other one from now on: the call ends by itself."""
        self._over = True
        self._release()

    def wait(self, on: bool, music: Sequence[Clip]) -> None:
        """Whether whoever is asked waits, and hears the music of their call."""
        assert self.near is not None, "dialled"
        if on:
            # So that sound comes there all the time: that of somebody who waits would be missed.
            self.near.start(music, loop=True)
        else:
            self.near.stop()
        if (call := self.call) is not None:
            call.caller.turn_away(on)

    def sit_down(self) -> None:
        """The agent talks in that call alone from now on: who follows the agent goes along."""
        call = self.call
        circle = self._call.services.circles.in_call(call) if call is not None else None
        if circle is not None:
            circle.seats[0].agent = self._offer.agent_id
            circle.changed()

    async def _dial(self) -> None:
        services, agent_id = self._call.services, self._offer.agent_id
        ours = services.dispatcher.acd.plan.agents.get(agent_id)
        try:
            self.near, way = await open_end(services.plane, services.ids.new(), self._agent.sound)
        except MediaError as error:
            log.info("nobody is asked", agent=agent_id, why=str(error))
            self._end()
            return
        self.leg = InnerLeg(
            services.ids.new(),
            way,
            services.user_agent,
            offer=found_here(self.near.session.sdp),
            user=agent_id,
            dialled=self.asked,
            remote_name=ours.name if ours is not None else "",
            on_ring=self._rings,
            on_answer=self._answers,
        )
        self.leg.ended.add_done_callback(self._ended)
        self._on_tied()
        if not services.dial_own(self.leg):
            self.leg.reject(403)

    def _rings(self, early: bytes | None) -> None:
        if early is not None:
            self._answers(early)
            return
        ringback = self._call.settings.prompts.ringback
        if ringback and self._ringback is None and self.face is Face.ASKED:
            self._ringback = self._agent.sound.start(ringback, loop=True)

    def _answers(self, description: bytes) -> None:
        self._stop_ringing()
        self._work.start(self._take_answer(description), name=f"{self.asked} is heard")

    async def _take_answer(self, description: bytes) -> None:
        assert self.near is not None, "dialled"
        try:
            await self.near.session.set_answer(found_here(description))
        except MediaError as error:
            log.warning("whoever was asked is not heard", call=self._call.id, why=str(error))

    def _stop_ringing(self) -> None:
        if self._ringback is not None and self._agent.sound.is_playing(self._ringback):
            self._agent.sound.stop()
        self._ringback = None

    def _ended(self, _: asyncio.Future[LegEnded]) -> None:
        self._end()

    def _end(self) -> None:
        if self._over:
            return
        self._over = True
        self._stop_ringing()
        self._on_end()
        self._release()

    def _release(self) -> None:
        self._work.cancel()
        if self.leg is not None:
            self.leg.ended.remove_done_callback(self._ended)
        if self.near is not None:
            self.near.release()


class Asking:
    """What an agent may do in one talk with a caller. ``hand_over`` puts the caller through to whom the agent asks in a
    call; False when that may not be.
    """

    def __init__(
        self,
        call: Call,
        offer: Offer,
        agent: Party,
        circle: Circle,
        music: Sequence[Clip],
        hand_over: Callable[[Call], bool],
    ) -> None:
        self._call = call
        self._offer = offer
        self._agent = agent
        self._circle = circle
        self._music = music
        self._hand_over = hand_over
        self._question: Question | None = None
        self._seat: Seat | None = None

    def order(self, order: Consult) -> Result:
        """Do what the agent wants. Never waits."""
        question = self._question
        match order.do, question:
            case ConsultDo.ASK, None:
                if not self._may_ask(order.to):
                    return Result.NOT_REACHABLE
                self._ask(order.to)
            case ConsultDo.ASK, _:
                return Result.ASKS_ALREADY
            case _, None:
                return Result.NOBODY_ASKED
            case ConsultDo.DROP, _:
                question.leave()
            case ConsultDo.TRANSFER, _:
                call = question.call
                return Result.DONE if call is not None and self._hand_over(call) else Result.NOT_REACHABLE
            case ((ConsultDo.SWAP | ConsultDo.JOIN), _) if not question.answered:
                return Result.NOT_ANSWERED
            case ConsultDo.SWAP, _:
                # Of three of whom the caller waits by an order, the agent is with the other one.
                away = question.face is Face.ASKED or (question.face is Face.BOTH and self._agent.lets_wait)
                self._turn(question, Face.CALLER if away else Face.ASKED)
            case _:
                self._turn(question, Face.BOTH)
        return Result.DONE

    @property
    def hands_over(self) -> Call | None:
        """The call with whoever gets the caller when the agent hangs up: not whom the agent has turned away from."""
        return self._question.call if self._question is not None and self._question.face is not Face.CALLER else None

    def close(self, handed_to: Call | None, *, agent_stays: bool) -> None:
        """The talk is over. ``handed_to``: where the caller goes from here, if the agent asked there. ``agent_stays``:
        it was the caller who left; the agent and whoever is asked talk on, if they do. Never waits.
        """
        question, self._question = self._question, None
        self._agent.away = False
        if question is None:
            return
        if question.face is Face.BOTH:
            self._tell_left(question, Side.CALLER if agent_stays else Side.AGENT)
        if handed_to is not None and question.call is handed_to:
            question.let_go()
        elif agent_stays and question.answered:
            self._call.services.consults.talk_on(self._agent, question)
        else:
            question.leave()

    def _may_ask(self, whom: str) -> bool:
        services, agent = self._call.services, self._offer.agent_id
        acd = services.dispatcher.acd
        if agent not in acd.plan.agents:
            return False
        meant = destination(services.settings, acd.plan, agent, whom, acd.who(agent).clients)
        if isinstance(meant, Forbidden):
            log.info("nobody is asked", agent=agent, target=whom, why=meant.why)
        return not isinstance(meant, Forbidden)

    def _ask(self, whom: str) -> None:
        question = self._question = Question(
            self._call, self._offer, self._agent, whom, self._tied, self._asked_no_more
        )
        self._arrange(question)

    def _turn(self, question: Question, face: Face) -> None:
        before, question.face = question.face, face
        if face is not Face.ASKED and self._agent.lets_wait:
            # Who turns to the caller lets them wait no more.
            let_wait(self._agent, self._circle.seats[0], False)
        if face is before:
            return
        if before is Face.BOTH:
            # The one who waits now is not gone, but it is a talk of two.
            self._tell_left(question, Side.AGENT)
        elif face is Face.BOTH:
            joined = ConferenceJoined(self._offer.id, self._offer.agent_id, question.id, question.asked)
            self._call.services.dispatcher.note(joined, self._call.id)
        self._arrange(question)

    def _tied(self) -> None:
        """The tie to whoever is asked is there: the agent hears it."""
        question = self._question
        if question is not None and question.near is not None and self._seat is None:
            near = question.near
            self._seat = Seat(
                lambda: near, lambda: self._asked_holds(question), colleague=lambda: colleague_of(question)
            )
            if question.leg is not None:
                question.leg.on_hold = self._circle.changed
            self._circle.seats.append(self._seat)
            self._arrange(question)

    def _asked_holds(self, question: Question) -> bool:
        talk = call.talk or call.outside if (call := question.call) is not None else None
        return talk is not None and talk.party.holds

    def _arrange(self, question: Question) -> None:
        """Let those hear each other who speak, and the third wait."""
        caller = self._circle.seats[0]
        caller.apart = question.face is Face.ASKED
        if self._seat is not None:
            self._seat.apart = question.face is Face.CALLER
            question.wait(question.face is Face.CALLER, self._music)
        self._agent.turn_away(question.face is Face.ASKED)
        self._circle.changed()

    def _asked_no_more(self) -> None:
        """Whoever was asked is gone, or nobody came: the agent is with the caller again."""
        question, self._question = self._question, None
        if question is None:
            return
        if question.face is Face.BOTH:
            self._tell_left(question, Side.OUTSIDE)
        if self._seat is not None:
            self._circle.seats.remove(self._seat)
            self._seat = None
        self._circle.seats[0].apart = False
        self._agent.turn_away(False)
        self._circle.changed()

    def _tell_left(self, question: Question, by: Side) -> None:
        left = ConferenceLeft(self._offer.id, self._offer.agent_id, question.id, question.asked, by)
        self._call.services.dispatcher.note(left, self._call.id)


class Consults:
    """Who can ask somebody now; and agents who talk on with whom they had asked, when the caller is gone."""

    def __init__(self) -> None:
        self._asking: dict[str, Asking] = {}
        self._work = Background(MOST_AT_ONCE)

    def order(self, agent: str, order: Consult) -> Result:
        """Do what an agent wants in the talk with a caller. Never waits."""
        asking = self._asking.get(agent)
        return asking.order(order) if asking is not None else Result.NOT_TALKING

    def begin(self, agent: str, asking: Asking) -> None:
        """An agent talks to a caller."""
        self._asking[agent] = asking

    def end(self, agent: str, asking: Asking) -> None:
        """The talk is over."""
        if self._asking.get(agent) is asking:
            del self._asking[agent]

    def talk_on(self, agent: Party, question: Question) -> None:
        """The caller is gone, and the agent's phone is ours to hang up from now on, when the question is over."""
        agent.kept = True
        agent.sound.end_watch()
        if not self._work.start(self._talk_on(agent, question), name=f"{agent!r} talks on"):
            question.leave()
            agent.kept = False

    async def _talk_on(self, agent: Party, question: Question) -> None:
        leg, near = question.leg, question.near
        assert leg is not None, "it was answered"
        assert near is not None, "it was answered"
        try:
            async with until(leg.ended), until(agent.ended), until(agent.trouble):
                question.wait(False, ())
                await near.session.bridge(agent.sound.session)
                question.sit_down()
                await leg.ended
        except MediaError as error:
            log.info("a talk did not go on", leg=leg.id, why=str(error))
        finally:
            question.leave()
            agent.kept = False
            agent.close()


def colleague_of(question: Question) -> str:
    """The agent whom the question came to; empty as long as there is none, or for somebody outside."""
    talk = question.call.talk if question.call is not None else None
    return talk.agent_id if talk is not None else ""
