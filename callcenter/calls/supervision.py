"""Supervision: a supervisor hears an agent's talks, one after the other; unheard, by the agent alone, or by all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import structlog

from callcenter.calls.busy_lines import BusyLines
from callcenter.calls.circle import Circle, Guest
from callcenter.calls.codecs import codecs_of_agent
from callcenter.calls.fork import first_answer, hang_up
from callcenter.calls.inbound import RETRY_AFTER, take_up
from callcenter.calls.party import Party
from callcenter.calls.pulling import binding_of
from callcenter.calls.results import Result
from callcenter.calls.ringing import TAKE_IT_YOURSELF
from callcenter.calls.services import Services
from callcenter.calls.settings import Supervisor
from callcenter.calls.sound import Sound
from callcenter.calls.tie import Tie
from callcenter.media.plane import MediaError, MediaGone
from callcenter.model.facts import FeatureCodeDialled, SupervisionChanged, SupervisionEnded, SupervisionStarted
from callcenter.model.states import Side, SupervisionMode
from callcenter.runtime.scopes import Background, until
from callcenter.signaling.leg import Answered, Leg
from callcenter.sip.headers import NameAddr
from callcenter.sip.uri import Uri

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.media.plane import MediaSession

# What the keys of the supervisor's phone order, as with the systems that most know.
KEYS = {"4": SupervisionMode.LISTEN, "5": SupervisionMode.WHISPER, "6": SupervisionMode.BARGE}

# Supervisors who take part at once; a floor has one for a dozen agents.
MOST_AT_ONCE = 200
# Seconds that the phone of a supervisor rings who asked by a program to hear an agent.
RING_FOR = 30.0

# What a phone is answered whose order by a code came to nothing.
STATUSES = {
    Result.NO_SUCH_AGENT: 404,
    Result.NOT_PERMITTED: 403,
    Result.HERSELF: 403,
    Result.TOO_MANY: 486,
}

log = structlog.get_logger()


class Supervision:
    """One supervisor who follows one agent, by a phone of her own, until she hangs up.

    Of each talk that she hears a fact tells when that begins and ends. Between two talks she hears music, so that no
    phone takes the silence for the end; while the agent has somebody on hold, nothing but the tone that tells so. Where
    the client does not let her do what she chose, she listens, or hears nothing of the call. The keys 4, 5 and 6 change
    between the three ways.
    """

    def __init__(self, services: Services, supervisor: Supervisor, agent: str, mode: SupervisionMode) -> None:
        self.supervisor = supervisor
        self.agent = agent
        self.mode = mode
        self.since = services.clock.monotonic()
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._services = services
        self._party: Party | None = None
        self._news = asyncio.Event()
        self._id = ""
        self._circle: Circle | None = None
        self._guest: Guest | None = None
        self._tie: Tie | None = None
        self._untold = False
        self._rests = False
        self._tone = 0
        """The play of the tone that she hears while the agent has somebody on hold."""

    @property
    def call(self) -> Call | None:
        """The call that is heard now."""
        return self._circle.call if self._circle is not None else None

    @property
    def mode_now(self) -> SupervisionMode | None:
        """How she takes part in it; None while she hears none."""
        return self._guest.mode if self._guest is not None else None

    def change(self, agent: str, mode: SupervisionMode) -> None:
        """Take part in another way, or follow another agent. Never waits."""
        self.agent, self.mode = agent, mode
        self._news.set()

    def leave(self) -> None:
        """Hang up on her, also while her phone rings. Never waits; may be called twice."""
        if not self.over.done():
            self.over.set_result(None)

    def beside(self) -> Sound | None:
        """Beside whom her sound is opened: whom she will hear, if there is a talk now."""
        circle = self._services.circles.of(self.agent)
        return circle.seats[0].sound() if circle is not None else None

    async def attend(self, party: Party) -> None:
        """Follow the agent, for ever: whoever has the supervisor's leg leaves this from outside when it ends."""
        self._party = party
        party.sound.listen_for_digits(True)
        party.sound.on_change = self._pressed
        party.on_hold = lambda party, _: self._mute(party.phone_holds)
        try:
            while True:
                await self._attend(self.agent)
        finally:
            party.sound.on_change = party.on_hold = None
            self._part()

    async def _attend(self, agent: str) -> None:
        with self._services.circles.watch(agent, self._news.set):
            while self.agent == agent:
                self._news.clear()
                await self._follow()
                await self._news.wait()

    async def _follow(self) -> None:
        """Be where the agent talks."""
        circle = self._services.circles.of(self.agent)
        mode = self._allowed(circle) if circle is not None else None
        if circle is None or mode is None:
            self._part()
            await self._rest()
            return
        if circle is not self._circle:
            self._part()
            session = await self._at(circle)
            if session is None or self._services.circles.of(self.agent) is not circle:
                self._part()
                await self._rest()
                return
            self._join(circle, session, mode)
        elif self._guest is not None and self._guest.mode is not mode:
            self._guest.mode = mode
            self._note(SupervisionChanged(self._id, self.supervisor.id, self.agent, mode))
            circle.changed()
        self._announce(circle)
        self._tell_hold(circle)

    def _allowed(self, circle: Circle) -> SupervisionMode | None:
        client, hers = circle.call.client, self.supervisor.clients
        return client.supervision.mode(self.mode) if hers is None or client.id in hers else None

    async def _at(self, circle: Circle) -> MediaSession | None:
        """By what she hears and speaks in this talk: her own sound where it stands beside, else a tie to there."""
        own, there = self._sound, circle.seats[0].sound()
        try:
            await own.session.hear([there.session])
        except MediaGone:
            return None
        except MediaError:
            tie = self._tie = await Tie.open(self._services.plane, self._services.ids.new(), own, there)
            await own.session.bridge(tie.near.session)
            return tie.far.session
        return own.session

    def _join(self, circle: Circle, session: MediaSession, mode: SupervisionMode) -> None:
        client = circle.call.client
        self._rests = False
        self._sound.stop()
        self._id, self._circle, self._untold = self._services.ids.new(), circle, bool(client.supervision.announce)
        self._guest = Guest(session, self.agent, mode, self._talk_over)
        sees = client.supervision.agent_sees
        self._note(SupervisionStarted(self._id, self.supervisor.id, self.agent, client.id, mode, sees))
        circle.guests.append(self._guest)
        circle.changed()

    def _part(self) -> None:
        """Take no part any more. Never waits; may be called twice."""
        circle, guest, tie = self._circle, self._guest, self._tie
        if guest is not None:
            self._note(SupervisionEnded(self._id, self.supervisor.id, guest.agent))
        self._circle = self._guest = self._tie = None
        if circle is not None and guest is not None and guest in circle.guests:
            circle.guests.remove(guest)
            circle.changed()
        if tie is not None:
            tie.close()

    def _note(self, body: SupervisionStarted | SupervisionChanged | SupervisionEnded) -> None:
        # Behind what was told of the talk so far, and before its end.
        call = self.call
        self._services.dispatcher.note(body, call.id if call is not None else None)

    def _talk_over(self) -> None:
        self._part()
        self._news.set()

    async def _rest(self) -> None:
        """There is no talk to hear."""
        if self._rests:
            return
        self._rests = True
        with contextlib.suppress(MediaGone):
            await self._sound.session.hear(())
        pieces = self._services.settings.prompts.pieces
        self._sound.start(next(iter(pieces.values()), ()), loop=True)

    def _tell_hold(self, circle: Circle) -> None:
        """Let her hear the tone as long as she hears nobody, the agent having somebody on hold."""
        tone = self._services.settings.prompts.hold_tone
        on_hold = self._guest is not None and not circle.lets_hear(self._guest.session)
        if on_hold and tone and not self._sound.is_playing(self._tone):
            self._tone = self._sound.start(tone, loop=True)
        elif not on_hold and self._sound.is_playing(self._tone):
            self._sound.stop()

    def _announce(self, circle: Circle) -> None:
        """Let those who talk hear that somebody listens, where the law wants it: as soon as nobody waits on hold."""
        if not self._untold or any(seat.aside or seat.holds() for seat in circle.seats):
            return
        self._untold = False
        clips = circle.call.prompt(circle.call.client.supervision.announce)
        for seat in circle.seats:
            seat.sound().start(clips)

    def _pressed(self) -> None:
        while (key := self._sound.take_key()) is not None:
            if key in KEYS:
                self.change(self.agent, KEYS[key])

    def _mute(self, on: bool) -> None:
        """She has put us on hold: what her phone plays meanwhile is for nobody."""
        if self._guest is not None and self._circle is not None:
            self._guest.mute = on
            self._circle.changed()

    @property
    def _sound(self) -> Sound:
        assert self._party is not None, "she has no phone in her hand yet"
        return self._party.sound

    def __repr__(self) -> str:
        where = f" in {self.call.id}" if self.call is not None else ""
        return f"<Supervision of {self.agent} by {self.supervisor.id}: {self.mode_now or 'waits'}{where}>"


class Supervisions:
    """Who hears whom of the agents: begun by a code from the supervisor's phone, or by her program, which rings it."""

    def __init__(self, services: Services, busy: BusyLines) -> None:
        self._services = services
        self._busy = busy
        self._closed = False
        self._by: dict[str, Supervision] = {}
        self._work = Background(MOST_AT_ONCE)

    def __iter__(self) -> Iterator[Supervision]:
        return iter(tuple(self._by.values()))

    def __len__(self) -> int:
        return len(self._by)

    def close(self) -> None:
        """Hang up on all: the switch goes down. Never waits."""
        self._closed = True
        self._work.cancel()

    def dialled(self, leg: Leg, agent: str, mode: SupervisionMode, target: str) -> None:
        """An agent has dialled the code for this, with ``target`` behind it: begin, or refuse the leg. Never waits."""
        settings = self._services.settings
        supervisor = next((each for each in settings.supervisors.values() if each.agent == agent), None)
        whom = settings.agent_extensions.get(target, target)
        if supervisor is None:
            result = Result.NOT_PERMITTED
        elif supervisor.id in self._by:
            result = Result.TOO_MANY
        else:
            result = self.refusal(supervisor, whom, mode)
        self._services.stream.append(FeatureCodeDialled(agent, leg.dialled, str(result)))
        if not result.good or supervisor is None:
            leg.reject(STATUSES[result])
        elif self._closed or not self._begin(Supervision(self._services, supervisor, whom, mode), leg):
            leg.reject(503, headers=(("Retry-After", str(RETRY_AFTER)),))

    def order(self, supervisor: Supervisor, agent: str, mode: SupervisionMode | None) -> Result:
        """Ring the supervisor's phone and let her hear the agent; or let her take part in another way, where she does
        already, or hear another one. With no ``mode``: no more. Never waits.
        """
        now = self._by.get(supervisor.id)
        if mode is None:
            if now is None or now.agent != agent:
                return Result.NOT_SUPERVISING
            now.leave()
            return Result.DONE
        result = self.refusal(supervisor, agent, mode)
        if not result.good:
            return result
        if now is not None:
            now.change(agent, mode)
            return Result.DONE
        if not supervisor.agent or not self._services.phones_of(supervisor.agent):
            return Result.NO_PHONE
        begun = not self._closed and self._begin(Supervision(self._services, supervisor, agent, mode), None)
        return Result.PENDING if begun else Result.TOO_MANY

    def refusal(self, supervisor: Supervisor, agent: str, mode: SupervisionMode) -> Result:
        """Why a supervisor may not; DONE when she may.

        One of the clients that the agent serves must be hers, and let her do so: of the calls of others she hears
        nothing.
        """
        acd, clients = self._services.dispatcher.acd, self._services.settings.clients
        if agent not in acd.plan.agents:
            return Result.NO_SUCH_AGENT
        if agent == supervisor.agent:
            return Result.HERSELF
        serves = acd.plan.agents[agent].clients | acd.who(agent).clients
        hers = serves if supervisor.clients is None else serves & supervisor.clients
        lets = (clients[name].supervision.allowed for name in hers if name in clients)
        return Result.DONE if any(mode in allowed for allowed in lets) else Result.NOT_PERMITTED

    def reconfigured(self) -> None:
        """Other settings are in force: who may not hear any more what she hears is hung up on. Never waits."""
        for each in self:
            supervisor = self._services.settings.supervisors.get(each.supervisor.id)
            if supervisor is None or not self.refusal(supervisor, each.agent, each.mode).good:
                each.leave()
            else:
                each.supervisor = supervisor
                each.change(each.agent, each.mode)

    def _begin(self, supervision: Supervision, leg: Leg | None) -> bool:
        name = supervision.supervisor.id
        self._by[name] = supervision
        if self._work.start(self._run(supervision, leg), name=f"supervision by {name}"):
            return True
        del self._by[name]
        return False

    async def _run(self, supervision: Supervision, leg: Leg | None) -> None:
        supervisor = supervision.supervisor
        phone = leg.user if leg is not None else supervisor.agent
        try:
            with self._busy.taken(phone, "supervises", "has supervised"):
                async with until(supervision.over):
                    await (self._by_leg(supervision, leg) if leg is not None else self._by_ringing(supervision))
        except MediaError as error:
            log.warning("a supervisor hears nothing", supervisor=supervisor.id, detail=str(error))
        finally:
            del self._by[supervisor.id]

    async def _by_leg(self, supervision: Supervision, leg: Leg) -> None:
        """Whoever dialled the code is answered."""
        services = self._services
        party = Party(Side.AGENT, leg, Sound())
        try:
            async with until(party.ended), until(party.trouble):
                name, beside = services.ids.new(), supervision.beside()
                if await take_up(party, services, name, lambda: None, beside=beside) is None:
                    await supervision.attend(party)
        finally:
            party.close()

    async def _by_ringing(self, supervision: Supervision) -> None:
        """The supervisor's phones ring, and the one that is picked up has it."""
        services, phone = self._services, supervision.supervisor.agent
        settings, phones = services.settings, services.phones_of(phone)
        with contextlib.ExitStack() as undo:
            sound = Sound()
            undo.callback(sound.release)
            flow = next((each.flow for each in phones if each.flow.transport.private), phones[0].flow)
            await sound.open(
                services.plane,
                services.ids.new(),
                flow,
                offer=None,
                beside=supervision.beside(),
                codecs=codecs_of_agent(services, phone),
            )
            legs = []
            for binding in phones:
                here = NameAddr.parse(services.user_agent.contact(binding.flow, None)).uri
                description, insisting = sound.offer_to(binding.flow)
                leg = services.user_agent.dial(
                    binding.contact,
                    binding.flow,
                    from_=NameAddr(Uri(user=supervision.agent, host=here.host), str(supervision.mode)),
                    to=NameAddr(Uri(user=phone, host=here.host)),
                    sdp=description,
                    or_else=insisting,
                    routes=binding.path,
                    headers=TAKE_IT_YOURSELF if phone in settings.auto_answer else (),
                    user=phone,
                )
                undo.callback(leg.hangup)
                legs.append(leg)
            try:
                async with asyncio.timeout(RING_FOR):
                    picked_up = await first_answer(legs, lambda: None)
            except TimeoutError:
                hang_up(legs)
                return
            answer = await picked_up.outcome() if isinstance(picked_up, Leg) else None
            if not isinstance(picked_up, Leg) or not isinstance(answer, Answered) or answer.sdp is None:
                log.info("a supervisor did not pick up", supervisor=supervision.supervisor.id, phone=phone)
                return
            await sound.take_answer(answer.sdp, picked_up.flow)
            party = Party(Side.AGENT, picked_up, sound, binding_of(picked_up, phones))
            undo.callback(party.close)
            party.opened()
            async with until(party.ended), until(party.trouble):
                await supervision.attend(party)
