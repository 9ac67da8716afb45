"""What agents owe and may, and what a supervisor changes of them: said, kept, and seen by everybody."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from callcenter.acd.events import OwnCallBegan, Reconfigured
from callcenter.acd.settings import Dispositions, WrapUpSettings
from callcenter.calls.settings import BreakLimits, Supervisor
from callcenter.control.protocol import Asked, CommandError
from callcenter.model.facts import (
    AgentCommanded,
    AgentSkillsChanged,
    AgentStateChanged,
    BreakOverran,
    BreakRefused,
    StateRepaired,
    WrapUpEnded,
)
from callcenter.model.states import Intent, WrapUpMode
from callcenter.operate.commands import Commands
from callcenter.operate.life import Life
from callcenter.operate.reload import Reloader
from callcenter.simulation.world import AgentPhone, World, story
from callcenter.sip.flow import Flow
from tests.scenarios.test_agents_choose import chosen, has_wrap_up, shown
from tests.scenarios.test_reload import present, reload

OPTIONAL = WrapUpSettings(WrapUpMode.OPTIONAL, seconds=60.0, extend_once=15.0, choice=5.0)
NUMBERS = itertools.count(1)
TREE = Dispositions({"sold": "Sold", "not-sold/too-dear": "Not sold: Too dear"}, required=True)


def has_calls_settings(world: World, **settings: Any) -> None:
    """Let something else hold for calls, also after a restart."""
    world.house.services.settings = replace(world.house.services.settings, **settings)
    world.settings = replace(world.settings, calls=replace(world.settings.calls, **settings))


def has_limits(world: World, **limits: BreakLimits) -> None:
    """Let breaks have limits."""
    has_calls_settings(world, break_limits=limits)


def has_dispositions(world: World, known: Dispositions) -> None:
    """Let calls of the company come to one of these."""
    world.plan = replace(world.plan, dispositions={"tech": known})
    world.house.dispatcher.tell(Reconfigured(world.plan))


async def talked(world: World, amy: AgentPhone, number: str = "+14155550100") -> None:
    """Amy has talked to somebody."""
    caller = await world.phone(number)
    await world.connect(caller, amy)
    await caller.hangs_up()
    await world.settled()


async def control(world: World, do: str, **fields: Any) -> dict[str, Any]:
    """What Olga is answered, who commands by the control socket."""
    life = Life()
    commands = Commands(world.house, life, Reloader(world.house, life, lambda: world.settings)).all()
    try:
        return dict(await commands[do].run(Asked(do, "olga", f"{next(NUMBERS)}", fields)))
    except CommandError as error:
        return {"error": str(error)}


def bodies(world: World, kind: type[Any]) -> list[Any]:
    return [fact.body for fact in world.facts if isinstance(fact.body, kind)]


def supervise(world: World, number: str, **command: Any) -> Mapping[str, Any]:
    """What Eva's program is answered."""
    answer: Mapping[str, Any] = world.publisher.supervise("eva", {"id": number, **command})
    return answer


# Wrap-up


@story()
async def test_an_optional_wrap_up_is_time_for_who_asks_and_the_next_caller_for_who_does_not(world: World) -> None:
    """The others make all wait, or none: here the next call comes at once unless the agent says otherwise."""
    amy = await world.agent("amy", english=5)
    has_wrap_up(world, OPTIONAL)
    await talked(world, amy)
    state = shown(world, "amy")
    assert (state["work"], state["wrap_up"], state["extension_s"]) == ("wrap_up", "optional", 60.0)
    assert 4 < state["wrap_up_remaining_s"] <= 5
    await world.sleep(5)
    assert shown(world, "amy")["work"] == "idle"

    await talked(world, amy, "+14155550101")
    assert await amy.dials_code("*31") == ["agent-extended.en"]
    state = shown(world, "amy")
    assert (state["wrap_up"], state["extension_s"]) == ("timed", 15.0)
    assert 59 < state["wrap_up_remaining_s"] <= 60
    assert world.publisher.command("amy", {"id": "1", "do": "wrap_up_extend"}) == {"id": "1", "ok": True}
    await world.sleep(60)
    assert shown(world, "amy")["work"] == "wrap_up", "asked for by phone, extended once by program"
    assert await amy.dials_code("*33") == ["agent-wrapped-up.en", "agent-ready.en"]
    assert [body.disposition for body in bodies(world, WrapUpEnded)] == ["", "solved"]


@story()
async def test_a_disposition_that_nobody_knows_is_refused_with_those_that_there_are(world: World) -> None:
    """Reports by disposition are full of misspelt ones: here none gets in."""
    amy = await world.agent("amy", english=5)
    has_dispositions(world, TREE)
    await talked(world, amy)
    told = world.publisher.command("amy", {"id": "0", "do": "dispositions"})
    nothing: dict[str, Any] = {"chosen": None, "fields": [], "missing": []}
    assert told == {"id": "0", "ok": True, "required": True, "codes": dict(TREE.codes), **nothing}
    for number, (given, sentence) in enumerate(
        {
            "sould": "no disposition is named `sould` (did you mean `sold`?); the dispositions are sold, not-sold/too",
            "": "this wrap-up ends only with a disposition: send it in `disposition`; the dispositions are sold",
            "not-sold": "no disposition is named `not-sold`",
        }.items(),
        start=1,
    ):
        refused = world.publisher.command("amy", {"id": f"{number}", "do": "wrap_up_done", "disposition": given})
        assert not refused["ok"]
        assert sentence in refused["error"]
    assert await amy.dials_code("*33") == ["agent-needs-disposition.en"], "the code's word is none of this client's"
    assert await amy.dials_code("*30") == ["agent-needs-disposition.en"]
    assert world.publisher.command("amy", {"id": "9", "do": "wrap_up_done", "disposition": "too-dear"})["ok"]
    await world.settled()
    assert [body.disposition for body in bodies(world, WrapUpEnded)] == ["not-sold/too-dear"]


# Breaks


@story()
async def test_a_break_that_takes_too_long_is_seen_by_the_floor_and_nobody_is_forced_back(world: World) -> None:
    """The supervisor learns of it at once; the caller who would come to an empty chair does not."""
    amy = await world.agent("amy", english=5)
    has_limits(world, lunch=BreakLimits(longest=2700.0))
    await amy.dials_code("*21")
    await world.settled()
    assert shown(world, "amy")["break_until"] is not None
    assert not shown(world, "amy")["break_over"]
    await world.sleep(2700)
    state = shown(world, "amy")
    assert (state["chosen"], state["reason"], state["break_over"], state["break_until"]) == (
        "not_ready", "lunch", True, None,
    )  # fmt: skip
    assert bodies(world, BreakOverran) == [BreakOverran("amy", "lunch")]
    await amy.dials_code("*20")
    await world.settled()
    assert not shown(world, "amy")["break_over"]


@story()
async def test_a_break_is_refused_when_too_many_are_out_and_the_agent_hears_and_reads_why(world: World) -> None:
    """Two may be at lunch at once: the third is told so, works on, and goes when one is back."""
    amy, bob, cas = [await world.agent(name, english=5) for name in ("amy", "bob", "cas")]
    has_limits(world, lunch=BreakLimits(at_once=2))
    await amy.dials_code("*21")
    await bob.dials_code("*21")
    assert await cas.dials_code("*21") == ["agent-break-full.en"]
    assert chosen(world, "cas") == (Intent.READY, "")
    refused = world.publisher.command("cas", {"id": "1", "do": "state", "chosen": "not_ready", "reason": "lunch"})
    assert refused["error"] == "2 of 2 are out for `lunch` already: ask again when one of them is back"
    assert [(body.agent, body.out, body.at_once, body.by) for body in bodies(world, BreakRefused)] == [
        ("cas", 2, 2, "agent's phone"),
        ("cas", 2, 2, "agent over MQTT"),
    ]
    assert await amy.dials_code("*21") == ["agent-not-ready.en", "reason-lunch.en"], "who is out is not one too many"
    assert await cas.dials_code("*22") == ["agent-not-ready.en", "reason-break.en"], "another reason has its own room"
    await bob.dials_code("*20")
    assert await cas.dials_code("*21") == ["agent-not-ready.en", "reason-lunch.en"]


@story()
async def test_who_will_go_after_the_call_has_the_place_already(world: World) -> None:
    """Two who talk cannot both be promised the last place."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    has_limits(world, lunch=BreakLimits(at_once=1))
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    assert await amy.dials_code("*21") == ["agent-not-ready-next.en", "reason-lunch.en"]
    assert await bob.dials_code("*21") == ["agent-break-full.en"]
    await caller.hangs_up()


@story()
async def test_the_minutes_of_a_day_are_counted_over_breaks_and_over_a_restart(world: World) -> None:
    """Ten minutes a day: six before the restart, so that four are left after it."""
    amy = await world.agent("amy", english=5)
    has_limits(world, **{"break": BreakLimits(a_day=600.0)})
    await amy.dials_code("*22")
    await world.sleep(360)
    await amy.dials_code("*20")
    await world.restart()
    await world.sleep(60)
    await amy.dials_code("*22")
    await world.sleep(235)
    assert bodies(world, BreakOverran) == []
    await world.sleep(10)
    assert bodies(world, BreakOverran) == [BreakOverran("amy", "break")]
    await amy.dials_code("*20")
    await amy.dials_code("*22")
    await world.settled()
    assert len(bodies(world, BreakOverran)) == 2, "nothing is left of the day: told at once"
    await amy.dials_code("*20")


@story()
async def test_a_lunch_goes_on_over_a_restart_and_is_not_begun_anew(world: World) -> None:
    """Who is out is out, whatever the switch does meanwhile."""
    amy = await world.agent("amy", english=5)
    has_limits(world, lunch=BreakLimits(longest=600.0))
    await amy.dials_code("*21")
    await world.sleep(400)
    await world.restart(down=100.0)
    await world.settled()
    assert chosen(world, "amy") == (Intent.NOT_READY, "lunch")
    await world.sleep(90)
    assert bodies(world, BreakOverran) == []
    await world.sleep(20)
    assert bodies(world, BreakOverran) == [BreakOverran("amy", "lunch")]


# Skills and membership


@story()
async def test_the_skills_given_by_the_supervisor_are_gone_after_a_restart(world: World) -> None:
    """They are not: given at run time, they are there after the restart, until they are taken back."""
    amy = await world.agent("amy", spanish=5)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await caller.hears("music")
    assert await control(world, "roster", agent="amy", skills={"english": 4}) == {}
    await amy.rings(within=0.5)
    await amy.answers()
    await caller.hangs_up()
    await world.restart()
    await world.settled()
    assert dict(world.house.acd.who("amy").skills) == {"spanish": 5, "english": 4}
    again = await world.phone("+14155550101")
    await world.connect(again, amy)
    await again.hangs_up()
    assert await control(world, "roster", agent="amy", reset=True) == {}
    await world.settled()
    await world.restart(crash=True)
    await world.settled()
    assert dict(world.house.acd.who("amy").skills) == {"spanish": 5}
    by = [(body.changed, body.by) for body in bodies(world, AgentSkillsChanged)]
    assert by == [
        (("skills",), "supervisor olga (control)"),
        (("skills",), "supervisor olga (control)"),
        ((), "supervisor olga (control)"),
    ]


@story()
async def test_a_reload_leaves_the_skills_that_were_changed_live_and_says_so(world: World) -> None:
    """What the file says now counts again after a reset, not before: the reload tells that, and who changed it."""
    await world.agent("amy", english=5)
    await control(world, "roster", agent="amy", skills={"english": 1})
    written = {"agents": {"amy": {"name": "Amy", "skills": {"english": 5}}}}
    world.house.settings = present(world, world.plan, written)
    agents = {"amy": replace(world.plan.agents["amy"], skills={"english": 3})}
    after = {"agents": {"amy": {"name": "Amy", "skills": {"english": 3}}}}
    told = await reload(world, present(world, replace(world.plan, agents=agents), after))
    (line,) = told["changes"]
    assert line["path"] == "agents.amy.skills.english"
    assert line["note"] == (
        "changed by supervisor olga (control) at run time: that stays until `callcenter agent amy --reset`"
    )
    assert dict(world.house.acd.who("amy").skills) == {"english": 1}
    await control(world, "roster", agent="amy", reset=True)
    assert dict(world.house.acd.who("amy").skills) == {"english": 3}


@story()
async def test_what_is_named_changes_and_the_rest_stays_as_it_was_changed_before(world: World) -> None:
    """Skill by skill, client by client; level 0 takes one away."""
    await world.agent("amy", english=5, spanish=2)
    await control(world, "roster", agent="amy", skills={"english": 0})
    await control(world, "roster", agent="amy", queues=["sales-spanish"])
    await control(world, "roster", agent="amy", skills={"spanish": 4})
    who = world.house.acd.who("amy")
    assert (dict(who.skills), who.queues) == ({"spanish": 4}, frozenset({"sales-spanish"}))
    told = bodies(world, AgentCommanded)
    assert [body.order for body in told] == ["roster english=0", "roster queues sales-spanish", "roster spanish=4"]


@story()
async def test_a_misspelt_skill_client_or_queue_is_refused_with_what_there_is(world: World) -> None:
    await world.agent("amy", english=5)
    for fields, sentence in (
        ({"skills": {"englsh": 4}}, "no skill is named `englsh` (did you mean `english`?)"),
        ({"skills": {"english": 6}}, "`english` is `6`: write a level from 1 to 5, or 0 for none"),
        ({"skills": {"english": True}}, "write a level from 1 to 5"),
        ({"skills": ["english"]}, "`skills` is no object of skills"),
        ({"clients": ["teck"]}, "no client is named `teck` (did you mean `tech`?); there are tech"),
        ({"clients": []}, "`clients` is no list of names"),
        ({"queues": ["sales"]}, "no queue is named `sales`"),
        ({"queues": "sales-english"}, "`queues` is no list of names"),
        ({"reset": 1}, "`reset` is true or false"),
        ({}, "nothing is changed: write `skills`, `clients` or `queues`, or `reset`: true"),
    ):
        answer = await control(world, "roster", agent="amy", **fields)
        assert sentence in answer["error"]
    assert bodies(world, AgentSkillsChanged) == []


# Supervisors


@story()
async def test_a_supervisor_sends_an_agent_to_a_training_and_the_agent_sees_who_did(world: World) -> None:
    """Over MQTT, by a login of her own: the state says by whom, and a fact keeps it."""
    amy = await world.agent("amy", english=5)
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang")})
    answer = supervise(world, "1", agent="amy", do="state", chosen="not_ready", reason="break")
    assert answer == {"id": "1", "ok": True}
    await world.settled()
    state = shown(world, "amy")
    assert (state["chosen"], state["reason"], state["by"]) == ("not_ready", "break", "supervisor eva over MQTT")
    assert bodies(world, AgentCommanded) == [
        AgentCommanded("amy", "not_ready break", "supervisor eva over MQTT", "done")
    ]
    assert await amy.dials_code("*32") == ["agent-not-ready.en", "reason-break.en"]
    await amy.dials_code("*20")
    await world.settled()
    assert shown(world, "amy")["by"] == "agent's phone", "the agent may choose again"


@story()
async def test_a_supervisor_signs_out_an_agent_in_a_call_and_the_call_goes_on(world: World) -> None:
    """Nobody is cut off; the agent reads what comes after, and from whom."""
    amy = await world.agent("amy", english=5)
    caller = await world.phone("+14155550100")
    await world.connect(caller, amy)
    assert await control(world, "state", agent="amy", chosen="signed_out") == {"pending": True}
    await world.settled()
    state = shown(world, "amy")
    assert (state["work"], state["next"]["chosen"], state["by"]) == (
        "talking", "signed_out", "supervisor olga (control)",
    )  # fmt: skip
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
    await world.sleep(31)
    assert chosen(world, "amy") == (Intent.SIGNED_OUT, "")
    assert shown(world, "amy")["by"] == "supervisor olga (control)"


@story()
async def test_a_supervisor_is_not_bound_by_how_many_may_be_out(world: World) -> None:
    amy = await world.agent("amy", english=5)
    await world.agent("bob", english=5)
    has_limits(world, lunch=BreakLimits(at_once=1))
    await amy.dials_code("*21")
    assert await control(world, "state", agent="bob", chosen="not_ready", reason="lunch") == {}
    assert chosen(world, "bob") == (Intent.NOT_READY, "lunch")


@story()
async def test_who_may_not_command_is_refused_and_an_attempt_of_a_supervisor_is_kept(world: World) -> None:
    """Nobody unknown, no agent for another, no supervisor beyond her clients."""
    await world.agent("amy", english=5)
    sign_out = {"agent": "amy", "do": "state", "chosen": "signed_out"}
    assert supervise(world, "1", **sign_out)["error"] == "no supervisor is named `eva`"
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang", frozenset({"other"}))})
    refused = supervise(world, "2", **sign_out)
    assert refused["error"] == "no agent is named `amy`"
    assert [(body.by, body.result) for body in bodies(world, AgentCommanded)] == [
        ("supervisor eva over MQTT", "not permitted")
    ]
    roster = world.publisher.command("amy", {"id": "3", "do": "roster", "skills": {"english": 5}})
    refused, _, theirs = roster["error"].partition(": write one of ")
    assert refused == "`do` is `roster`"
    assert {"state", "wrap_up_done", "wrap_up_extend", "dispositions"} <= set(theirs.split(", "))
    assert not {"roster", "supervise"} & set(theirs.split(", "))
    assert world.publisher.command("bob", {"id": "4", **sign_out})["error"].startswith("no agent is named `bob`")
    has_calls_settings(world, supervisors={"eva": Supervisor("eva", "Eva Lang", frozenset({"tech"}))})
    beyond = supervise(world, "5", agent="amy", do="roster", clients=["tech"], skills={"english": 4})
    assert beyond == {"id": "5", "ok": True}
    retained = world.publisher.supervise("eva", {"id": "6", **sign_out}, retained=True)
    assert retained["error"] == "a retained command is not obeyed: send it without the retain flag"
    assert chosen(world, "amy") == (Intent.READY, "")


@story()
async def test_what_a_supervisor_chose_for_an_agent_is_kept_over_a_restart(world: World) -> None:
    await world.agent("amy", english=5)
    await control(world, "state", agent="amy", chosen="signed_out")
    await world.restart()
    await world.settled()
    assert chosen(world, "amy") == (Intent.SIGNED_OUT, "")
    told = [fact.body for fact in world.facts if isinstance(fact.body, AgentStateChanged)]
    assert told[-1].by == "the agent before the restart"


# Headset agents


@story()
async def test_a_phone_whose_agent_wears_a_headset_is_asked_to_answer_by_itself(world: World) -> None:
    """By every header that phones know, on what a queue offers; never for a colleague who dials."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    has_calls_settings(world, auto_answer=frozenset({"amy"}))
    seen: list[str] = []

    def see(sent: bool, flow: Flow, data: bytes) -> None:
        if not sent:
            seen.append(data.decode())

    amy.user_agent.trace = see
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings()
    (invite,) = (each for each in seen if each.startswith("INVITE"))
    assert "\r\nAnswer-Mode: Auto\r\n" in invite
    assert "\r\nCall-Info: <sip:offer.invalid>;answer-after=0\r\n" in invite
    assert ";info=alert-autoanswer;delay=0\r\n" in invite
    await amy.answers()
    await caller.hangs_up()
    await world.sleep(31)
    seen.clear()
    bob.starts_dialling("amy")
    await amy.rings()
    (invite,) = (each for each in seen if each.startswith("INVITE"))
    assert not any(header in invite for header in ("Answer-Mode", "Call-Info", "Alert-Info"))
    await amy.answers()
    await bob.hangs_up()


# The watchdog


@story()
async def test_an_agent_held_by_a_call_that_does_not_exist_is_free_again_within_a_minute(world: World) -> None:
    """Agents of the others are stuck "in call" until somebody restarts the switch."""
    amy = await world.agent("amy", english=5)
    world.repairs = 1
    world.house.dispatcher.tell(OwnCallBegan("amy", "cc1-never"))
    await world.settled()
    assert shown(world, "amy")["work"] == "outbound"
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1")
    await amy.rings(after=25, within=40)
    await amy.answers()
    await caller.hangs_up()
    assert bodies(world, StateRepaired) == [StateRepaired("in an own call that is over", "amy")]


@story()
async def test_the_watchdog_finds_nothing_on_a_floor_that_works(world: World) -> None:
    """An hour of calls that wait, ring, talk and are wrapped up, and of an agent who dials: nobody is disturbed."""
    amy = await world.agent("amy", english=5)
    bob = await world.agent("bob", english=3)
    waiting = await world.phone("+14155550102")
    first = await world.phone("+14155550100")
    second = await world.phone("+14155550101")
    await world.connect(first, amy)
    await world.connect(second, bob)
    await waiting.dial("1000")
    await waiting.press("1")
    await world.sleep(250)
    await first.hangs_up()
    await amy.rings(within=31)
    await amy.answers()
    await world.sleep(3000)
    await waiting.hangs_up()
    await second.hangs_up()
    await world.settled()
    amy.starts_dialling("bob")
    await world.sleep(40)
    assert bodies(world, StateRepaired) == []


@story()
async def test_a_call_that_an_agent_dialled_in_vain_leaves_them_on_the_break_they_were_on(world: World) -> None:
    """Not ready before, and nobody there: not ready after, for the same reason, and the break's time ran on."""
    amy = await world.agent("amy", english=5)
    bob = await world.hire("bob", {"english": 3})
    has_limits(world, lunch=BreakLimits(longest=600.0))
    await amy.dials_code("*21")
    await world.settled()
    until = shown(world, "amy")["break_until"]
    amy.starts_dialling("bob")
    await world.sleep(30)
    state = shown(world, "amy")
    assert (state["work"], state["chosen"], state["reason"], state["by"]) == (
        "idle", "not_ready", "lunch", "agent's phone",
    )  # fmt: skip
    assert state["break_until"][:19] == until[:19]
    assert bob.is_free
