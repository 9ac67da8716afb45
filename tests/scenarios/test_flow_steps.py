"""The steps of a flow: what callers enter, where that leads them, and what nobody may ever read of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import structlog

from callcenter.calls import known
from callcenter.calls.hours import Door, Holiday, Hours, Interval
from callcenter.calls.settings import (
    AskHours,
    AttributeIs,
    Branch,
    CallerIs,
    Case,
    Choice,
    ChooseLanguage,
    Collect,
    Condition,
    CustomerIs,
    Flow,
    GoTo,
    Hangup,
    HoursAre,
    IntentIs,
    LanguageIs,
    Menu,
    Prompts,
    Say,
    SetAttributes,
    Step,
    SubFlow,
    ToQueue,
)
from callcenter.media.plane import Clip
from callcenter.model.customer import Match
from callcenter.model.facts import (
    AttributeSet,
    BranchTaken,
    CallQueued,
    CustomerFound,
    DigitsEntered,
    FlowEntered,
    HoursChecked,
    LanguageChosen,
    body_to_dict,
)
from callcenter.model.states import EndCause, Outcome, Side
from callcenter.observe import FactLogger, set_up
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import World, story, tell
from callcenter.storage.customer_csv import CustomerFiles
from callcenter.storage.database import Reading

CUSTOMERS = """\
client,id,name,numbers,account,tier,language
tech,t-1,Grace Whitfield,+12025550111,TG-48213,gold,en
tech,t-2,Lucia Fernandez,+13055550134,TG-51544,silver,es-MX
tech,t-3,One of Two,+13055550135,TG-777,silver,en
tech,t-4,Two of Two,+13055550136,XX-777,silver,en
other,o-1,Somebody Else,+12025550199,OT-90210,gold,en
"""
PROMPTS = ("account", "pin", "sorry", "gold", "plain", "open", "closed", "holiday", "again")

ACCOUNT = Collect("account", "account", "account", longest=8, invalid="invalid", no_input="no_input", goodbye="goodbye")
PIN = replace(ACCOUNT, id="pin", into="pin", prompt="pin", shortest=4, longest=4, mask=True)
TO_SALES = ToQueue("sales-english")
NEXT = Menu("next", "menu", {"1": Choice("sales", then=(TO_SALES,)), "3": Choice("sails")}, otherwise=(Hangup(),))


def flow(world: World, *steps: Step, hours: Hours | None = None, **others: Sequence[Step]) -> None:
    """Calls that arrive from now on run these steps; ``others`` are flows by name."""
    services = world.house.services
    settings = services.settings
    clips = {(name, language): (Clip(f"{name}.{language}", 2.0),) for name in PROMPTS for language in ("en", "es")}
    flows = {name: Flow(name, tuple(theirs)) for name, theirs in {"main": steps, **others}.items()}
    services.settings = replace(
        settings,
        flows={**settings.flows, **flows},
        hours={hours.id: hours} if hours is not None else {},
        prompts=Prompts({**settings.prompts.texts, **clips}, settings.prompts.pieces),
    )


async def know_customers(world: World) -> None:
    await CustomerFiles(world.storage.database).import_csv(CUSTOMERS, world.clock.now())


def told(world: World, kind: type[Any]) -> list[Any]:
    return [fact.body for fact in world.facts if isinstance(fact.body, kind)]


# ------------------------------------------------------------------------------------------------- digits are taken


@story()
async def test_an_account_that_is_keyed_in_makes_the_caller_known_for_sure(world: World) -> None:
    """From a phone that nobody knows: the agent's screen names the customer as sure, and what was entered."""
    await know_customers(world)
    amy = await world.agent("amy", english=5)
    flow(world, replace(ACCOUNT, look_up=True), TO_SALES)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("account.en")
    await caller.press("48213#")
    await amy.rings()
    pop = await amy.screen_pop()
    assert (pop["customer"]["id"], pop["customer"]["match"], pop["customer"]["tier"]) == ("t-1", "sure", "gold")
    assert pop["ivr"]["entered"] == pop["attributes"] == {"account": "48213"}
    await caller.hangs_up()
    saved = await world.interaction(call)
    assert (saved.customer, saved.match) == ("t-1", Match.SURE)
    assert saved.attributes == (("account", "48213"),)
    assert saved.digits == ("48213",)
    assert told(world, CustomerFound) == [CustomerFound("t-1", Match.SURE, "account")]


@story()
async def test_a_caller_known_by_number_who_enters_another_account_is_that_other_customer(world: World) -> None:
    """Lucia calls from Grace's telephone."""
    await know_customers(world)
    amy = await world.agent("amy", english=5)
    flow(world, replace(ACCOUNT, look_up=True), TO_SALES)
    caller = await world.phone("+12025550111")
    await caller.dial("1000")
    await caller.press("51544#")
    await amy.rings()
    pop = await amy.screen_pop()
    assert pop["customer"]["id"] == "t-2"
    assert [found.customer for found in told(world, CustomerFound)] == ["t-1", "t-2"]
    await caller.hangs_up()


@pytest.mark.parametrize("wrong", ["11111", "777", "90210"])
def test_an_account_of_nobody_is_asked_for_again_and_then_left_to_the_flow(wrong: str) -> None:
    """Nobody's, two customers', and another company's: none of them is this caller."""

    async def told_again(world: World) -> None:
        await know_customers(world)
        flow(world, replace(ACCOUNT, look_up=True, retries=1, not_found=(Say("sorry"),)), Hangup("plain"))
        caller = await world.phone("+14155550100")
        call = await caller.dial("1000")
        await caller.press(f"{wrong}#")
        await caller.hears("invalid.en")
        await caller.hears("account.en")
        await caller.press(f"{wrong}#")
        await caller.hears("sorry.en")
        await caller.hears("plain.en")
        await caller.is_hung_up()
        saved = await world.interaction(call)
        assert (saved.customer, saved.match) == ("", Match.NONE)
        assert saved.attributes == (("account", wrong),)
        assert told(world, DigitsEntered) == [DigitsEntered("account", wrong, valid=False, account=True)] * 2

    tell(told_again)


@story()
async def test_an_outage_of_the_database_is_not_held_against_the_caller(world: World) -> None:
    """Who cannot be looked up is not told that the account is wrong."""
    await know_customers(world)
    flow(world, replace(ACCOUNT, look_up=True, not_found=(Hangup("sorry"),)), Hangup("plain"))
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("account.en")
    world.database.away = "the disk is gone"
    await caller.press("48213#")
    await caller.hears("plain.en")
    world.database.away = ""
    await caller.is_hung_up()


@story()
async def test_the_first_digit_ends_the_prompt_and_a_pause_ends_the_entry(world: World) -> None:
    flow(world, replace(ACCOUNT, between=2.0), Hangup("plain"))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("account.en")
    await caller.press("12")
    await caller.hears_nothing(within=0.5)
    began = world.clock.monotonic()
    await caller.hears("plain.en")
    assert 1.5 < world.clock.monotonic() - began < 2.5
    await caller.is_hung_up()
    assert (await world.interaction(call)).attributes == (("account", "12"),)


@story()
async def test_a_prompt_that_must_be_heard_is_heard_and_what_is_keyed_in_meanwhile_counts(world: World) -> None:
    flow(world, replace(ACCOUNT, barge_in=False), Hangup("plain"))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("account.en")
    await caller.press("12#")
    await world.sleep(0.5)
    assert caller.heard_now() == ("account.en",)
    await caller.hears("plain.en")
    await caller.is_hung_up()
    assert (await world.interaction(call)).attributes == (("account", "12"),)


@story()
async def test_who_knows_the_way_types_ahead_through_entry_and_menu(world: World) -> None:
    """The whole way is typed into the greeting."""
    amy = await world.agent("amy", english=5)
    flow(world, Say("greeting"), replace(ACCOUNT, into="order"), NEXT)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("greeting.en")
    await caller.press("4711#1")
    await amy.rings(within=1)
    pop = await amy.screen_pop()
    assert pop["ivr"]["entered"] == {"order": "4711", "next": "1"}
    await caller.hangs_up()


@story()
async def test_an_account_that_need_not_be_there_is_skipped_by_its_terminator(world: World) -> None:
    flow(world, replace(ACCOUNT, shortest=0), Hangup("plain"))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("#")
    await caller.hears("plain.en", within=0.5)
    await caller.is_hung_up()
    assert (await world.interaction(call)).attributes == ()
    assert told(world, DigitsEntered) == [DigitsEntered("account", "", valid=True)]


@story()
async def test_an_account_that_must_be_there_is_not_skipped(world: World) -> None:
    flow(world, ACCOUNT, Hangup("plain"))
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("#")
    await caller.hears("invalid.en")
    await caller.press("1#")
    await caller.hears("plain.en")
    await caller.is_hung_up()


@story()
async def test_what_is_entered_too_long_is_wrong_and_its_rest_is_not_taken_for_the_next_menu(world: World) -> None:
    """The first eight digits may be another customer's account."""
    flow(world, replace(ACCOUNT, retries=1), NEXT)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("123456789111#")
    await caller.hears("invalid.en")
    await caller.press("12345678#")
    await caller.hears("menu.en")
    assert [(each.digits, each.valid) for each in told(world, DigitsEntered)] == [
        ("12345678", False),
        ("12345678", True),
    ]
    await caller.hangs_up()


@story()
async def test_a_star_begins_anew(world: World) -> None:
    flow(world, ACCOUNT, Hangup("plain"))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("99*12#")
    await caller.is_hung_up()
    assert (await world.interaction(call)).attributes == (("account", "12"),)


@story()
async def test_where_the_length_is_fixed_the_last_digit_ends_it_and_a_late_terminator_is_for_nobody(
    world: World,
) -> None:
    amy = await world.agent("amy", english=5)
    flow(world, replace(ACCOUNT, shortest=4, longest=4), NEXT)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.press("1234")
    await caller.hears("menu.en", within=0.5)
    await caller.press("#")
    await world.sleep(0.5)
    assert caller.heard_now() == ("menu.en",), "the prompt goes on"
    await caller.press("1")
    await amy.rings()
    assert [each.digits for each in told(world, DigitsEntered)] == ["1234", "1"]
    await caller.hangs_up()


@story()
async def test_without_a_terminator_a_hash_is_nothing(world: World) -> None:
    flow(world, replace(ACCOUNT, terminator=None, longest=3), Hangup("plain"))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.press("1#23")
    await caller.is_hung_up()
    assert (await world.interaction(call)).attributes == (("account", "123"),)


@story()
async def test_who_enters_nothing_is_asked_again_and_let_go_with_a_word(world: World) -> None:
    flow(world, replace(ACCOUNT, retries=1), Hangup("plain"))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await caller.hears("account.en")
    await caller.hears("no_input.en", after=6)
    await caller.hears("account.en")
    await caller.hears("goodbye.en", after=6)
    await caller.is_hung_up()
    saved = await world.interaction(call)
    assert saved.outcome is Outcome.SELF_SERVED
    assert saved.digits == ()


@story()
async def test_what_follows_the_last_try_is_the_flow_s_to_say(world: World) -> None:
    flow(world, replace(ACCOUNT, retries=0, otherwise=(Say("sorry"),)), Hangup("plain"))
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("sorry.en", after=6)
    await caller.hears("plain.en", after=1)
    await caller.is_hung_up()


@pytest.mark.parametrize("moment_ms", range(0, 4200, 140))
def test_who_hangs_up_while_entering_leaves_nothing_behind(moment_ms: int) -> None:
    """At every moment of the asking, the entering and the looking up."""

    async def gone(world: World) -> None:
        await know_customers(world)
        flow(world, replace(ACCOUNT, look_up=True), replace(PIN, barge_in=False), NEXT)
        caller = await world.phone("+14155550100")
        call = caller.starts_dialling("1000")
        world.loop.call_later(moment_ms / 1000, caller.drops)
        await world.sleep(0.4)
        for key in "48213#9":
            if not call.over:
                await caller.press(key)
                await world.sleep(0.15)
        await world.sleep(10)
        if any(fact.kind == "CallArrived" for fact in world.facts):
            assert (await world.interaction(call)).outcome in (Outcome.LEFT_IN_MENU, Outcome.ABANDONED)

    tell(gone)


# --------------------------------------------------------------------------------------------------- keys by SIP INFO


@story()
async def test_keys_that_come_by_info_are_keys(world: World) -> None:
    amy = await world.agent("amy", english=5)
    flow(world, Say("greeting"), ACCOUNT, NEXT)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    await caller.hears("greeting.en")
    await caller.informs("12*4711#1")
    await amy.rings()
    assert (await amy.screen_pop())["ivr"]["entered"] == {"account": "4711", "next": "1"}
    await caller.hangs_up()


@pytest.mark.parametrize("later", [-0.6, -0.05, 0.0, 0.05, 0.6, 1.6])
def test_a_press_that_comes_in_the_sound_and_by_info_counts_once(later: float) -> None:
    """Whichever of the two is first, and whether the INFO had to be sent again; twice the same key is twice."""

    async def both(world: World) -> None:
        flow(world, replace(ACCOUNT, between=4.0), NEXT)
        caller = await world.phone("+14155550100")
        call = await caller.dial("1000")
        sound, leg = call.sound, call.leg
        keys = "4471#"
        for number, key in enumerate(keys):
            at = 1 + number * 0.3
            world.loop.call_later(at, sound.press, key)
            info = f"Signal={key}\r\nDuration=160\r\n".encode()
            world.loop.call_later(at + later, leg.inform, "application/dtmf-relay", info)
        await caller.hears("menu.en", after=3)
        await world.sleep(3)
        assert told(world, DigitsEntered) == [DigitsEntered("account", "4471", valid=True)]
        await caller.hangs_up()

    tell(both)


@story()
async def test_the_same_key_pressed_again_is_another_press(world: World) -> None:
    """Also when only one of its two ways comes through."""
    flow(world, ACCOUNT, NEXT)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    for by_sound, by_info in (("4", "4"), ("", "4"), ("", "4"), ("7", ""), ("7", ""), ("7", "7"), ("", "#")):
        await caller.press(by_sound)
        await caller.informs(by_info)
        await world.sleep(0.3)
    await caller.hears("menu.en")
    assert told(world, DigitsEntered) == [DigitsEntered("account", "444777", valid=True)]
    await caller.hangs_up()


@story()
async def test_an_info_about_something_else_is_answered_and_changes_nothing(world: World) -> None:
    flow(world, replace(ACCOUNT, retries=0))
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    for kind, body in (("application/media_control+xml", b"<x/>"), ("application/dtmf-relay", b"Signal=flash\r\n")):
        call.leg.inform(kind, body)
    await caller.is_hung_up(after=9)
    assert not told(world, DigitsEntered)


# --------------------------------------------------------------------------------------- what is masked is nowhere


SECRET = "7392"


class Lines:
    """Every line of the log, at its most talkative."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def msg(self, line: str) -> None:
        self.lines.append(line)

    debug = info = warning = error = exception = critical = msg


def written(world: World, log: Lines) -> dict[str, str]:
    """Everything that leaves the switch's memory, or could."""
    connection = world.database._connection
    return {
        "facts": json.dumps([body_to_dict(fact.body) for fact in world.facts]),
        "log": "\n".join(log.lines),
        "mqtt": "\n".join(f"{message.topic} {message.payload}" for message in world.publisher.messages),
        "retained": json.dumps(world.publisher.retained, default=str),
        "database": connection.serialize().decode("latin-1"),
        "calls": repr(list(world.house.supervisor.calls.values())),
    }


@pytest.mark.parametrize("by", ["sound", "info", "both"])
@pytest.mark.parametrize("keys", [SECRET, f"{SECRET}#", f"{SECRET}55#", f"12#{SECRET}", f"9*{SECRET}"])
def test_digits_that_are_masked_are_found_nowhere(keys: str, by: str) -> None:
    """Not in facts, log lines, MQTT, the database file; also when they are entered wrongly, anew, or too long."""
    log = Lines()

    async def entered(world: World) -> None:
        structlog.configure(logger_factory=lambda *_: log, processors=[structlog.processors.JSONRenderer()])
        world.house.stream.subscribe(FactLogger().take)
        amy = await world.agent("amy", english=5)
        flow(world, Say("greeting"), PIN, Branch("", (Case((AttributeIs("pin", frozenset({SECRET})),), (NEXT,)),)))
        caller = await world.phone("+14155550100")
        call = await caller.dial("1000")
        await caller.hears("pin.en", after=2)
        # Never two of a kind in a row, and pauses: digits that are told one by one are found too.
        for key in keys:
            if by in ("sound", "both"):
                await caller.press(key)
            if by in ("info", "both"):
                await caller.informs(key)
            await world.sleep(0.4)
        await caller.hears("menu.en", within=10)
        (inside,) = world.house.supervisor.calls.values()
        assert inside.captured.attributes["pin"] == SECRET, "the flow itself knows it"
        assert not inside.caller.sound.masking
        assert SECRET not in repr(inside.captured)
        await world.sleep(5)
        await caller.press("1")
        await amy.rings()
        pop = await amy.screen_pop()
        assert pop["attributes"] == {"pin": "****"}
        assert pop["ivr"]["entered"] == {"pin": "****", "next": "1"}
        await amy.answers()
        await caller.hangs_up()
        saved = await world.interaction(call)
        assert saved.attributes == (("pin", "****"),)
        assert saved.digits[-2:] == ("****", "1")
        assert {each.masked for each in told(world, DigitsEntered) if each.step == "pin"} == {True}
        for where, text in written(world, log).items():
            # Ids, ports and times hold digits of their own, but not in this seed.
            assert SECRET not in text, where
            assert text or where == "calls"
        digits = [each.digits for each in told(world, DigitsEntered)]
        assert set("".join(digits[:-1])) <= {"*"}

    tell(entered)
    assert log.lines


@pytest.mark.parametrize(("pace", "thinks", "counts"), [(0.2, 1.5, True), (0.2, 0.6, False), (1.2, 1.5, False)])
def test_a_key_behind_a_secret_is_part_of_it_only_in_its_rhythm(pace: float, thinks: float, counts: bool) -> None:
    """Who keyed the PIN in and then answers the menu is heard; a fifth digit in the rhythm of four is told nobody."""

    async def entered(world: World) -> None:
        flow(world, PIN, NEXT)
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        for key in "4711":
            await caller.press(key)
            await world.sleep(pace)
        await caller.hears("menu.en")
        await world.sleep(thinks - pace)
        await caller.press("1")
        await world.sleep(0.1)
        assert caller.heard_now() == (("music",) if counts else ("menu.en",))
        assert [each.digits for each in told(world, DigitsEntered)] == (["****", "1"] if counts else ["****"])
        await caller.hangs_up()

    tell(entered)


@story()
async def test_while_a_secret_is_entered_the_sound_says_so(world: World) -> None:
    """What records calls reads it; it holds from the prompt on, and no longer than the entry."""
    flow(world, Say("greeting"), PIN, NEXT)
    caller = await world.phone("+14155550100")
    await caller.dial("1000")
    (inside,) = world.house.supervisor.calls.values()
    seen = []
    for prompt in ("greeting", "pin"):
        await caller.hears(f"{prompt}.en", after=3)
        seen.append(inside.caller.sound.masking)
    await caller.press("73")
    await world.sleep(1)
    seen.append(inside.caller.sound.masking)
    await caller.press("92")
    await caller.hears("menu.en")
    seen.append(inside.caller.sound.masking)
    assert seen == [False, True, True, False]
    await caller.hangs_up()


@pytest.mark.parametrize("style", ["text", "json"])
def test_a_call_that_fails_tells_the_log_no_key_that_was_pressed(
    style: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A traceback shows where it failed, and nothing of what stood in the variables."""
    set_up(style, "debug")

    async def fails(world: World) -> None:
        def broken(reading: Reading, client: str, digits: str) -> None:
            raise RuntimeError(f"a mistake of ours, with {len(digits)} digits")

        monkeypatch.setattr(known, "of_account", broken)
        flow(world, replace(PIN, look_up=True))
        caller = await world.phone("+14155550100")
        await caller.dial("1000")
        await caller.press(SECRET)
        await caller.is_hung_up()

    tell(fails)
    written = capsys.readouterr().err
    assert "a mistake of ours, with 4 digits" in written
    assert SECRET not in written


# ------------------------------------------------------------------------------------------ attributes and branches


@story()
async def test_attributes_reach_the_agent_and_the_record(world: World) -> None:
    amy = await world.agent("amy", english=5)
    flow(world, SetAttributes({"campaign": "spring", "vip": "false"}), SetAttributes({"vip": "true"}), TO_SALES)
    caller = await world.phone("+14155550100")
    call = await caller.dial("1000")
    await amy.rings()
    assert (await amy.screen_pop())["attributes"] == {"campaign": "spring", "vip": "true"}
    await caller.hangs_up()
    assert (await world.interaction(call)).attributes == (("campaign", "spring"), ("vip", "true"))
    assert [(each.name, each.value) for each in told(world, AttributeSet)] == [
        ("campaign", "spring"),
        ("vip", "false"),
        ("vip", "true"),
    ]


GRACE, LUCIA, NOBODY = "+12025550111", "+13055550134", "+14155550100"
BRANCHES: list[tuple[str, Condition, str, bool]] = [
    ("equal", AttributeIs("plan", frozenset({"gold"})), NOBODY, True),
    ("one of", AttributeIs("plan", frozenset({"silver", "gold"})), NOBODY, True),
    ("none of", AttributeIs("plan", frozenset({"silver"})), NOBODY, False),
    ("prefix", AttributeIs("plan", prefixes=("x", "go")), NOBODY, True),
    ("no prefix", AttributeIs("plan", prefixes=("old",)), NOBODY, False),
    ("set", AttributeIs("plan", there=True), NOBODY, True),
    ("not set", AttributeIs("other", there=False), NOBODY, True),
    ("empty is not set", AttributeIs("empty", there=True), NOBODY, False),
    ("number", CallerIs(numbers=frozenset({GRACE})), GRACE, True),
    ("another number", CallerIs(numbers=frozenset({GRACE})), LUCIA, False),
    ("number's prefix", CallerIs(prefixes=("+44", "+1305")), LUCIA, True),
    ("another prefix", CallerIs(prefixes=("+44",)), LUCIA, False),
    ("00 for plus", CallerIs(prefixes=("+1",)), "0012025550111", True),
    ("anonymous", CallerIs(anonymous=True), "anonymous", True),
    ("Anonymous", CallerIs(anonymous=True), "Anonymous", True),
    ("not anonymous", CallerIs(anonymous=True), NOBODY, False),
    ("with a number", CallerIs(anonymous=False), NOBODY, True),
    ("sure", CustomerIs(frozenset({Match.SURE})), GRACE, True),
    ("not sure", CustomerIs(frozenset({Match.SURE})), NOBODY, False),
    ("unknown", CustomerIs(frozenset({Match.NONE})), NOBODY, True),
    ("tier", CustomerIs(tiers=frozenset({"gold"})), GRACE, True),
    ("another tier", CustomerIs(tiers=frozenset({"gold"})), LUCIA, False),
    ("nobody's tier", CustomerIs(tiers=frozenset({"gold"})), NOBODY, False),
    ("a maybe has no tier", CustomerIs(tiers=frozenset({"gold"})), "2025550111", False),
    ("a maybe is maybe", CustomerIs(frozenset({Match.MAYBE})), "2025550111", True),
    ("their language", CustomerIs(languages=frozenset({"es-MX"})), LUCIA, True),
    ("spoken", LanguageIs(frozenset({"en", "es"})), NOBODY, True),
    ("not spoken", LanguageIs(frozenset({"es"})), NOBODY, False),
    ("intent", IntentIs(frozenset({"sails"})), NOBODY, True),
    ("another intent", IntentIs(frozenset({"sales"})), NOBODY, False),
]


@pytest.mark.parametrize(("name", "condition", "number", "holds"), BRANCHES, ids=lambda value: str(value)[:30])
def test_a_branch_goes_by(name: str, condition: Condition, number: str, holds: bool) -> None:
    async def asked(world: World) -> None:
        await know_customers(world)
        flow(
            world,
            SetAttributes({"plan": "gold", "empty": ""}),
            replace(NEXT, prompt="again"),
            Branch("way", (Case((condition,), (Say("gold"),)),), (Say("plain"),)),
            Hangup("goodbye"),
        )
        caller = await world.phone(number)
        await caller.dial("1000")
        await caller.press("3")
        await caller.hears("gold.en" if holds else "plain.en")
        await caller.hears("goodbye.en")
        await caller.is_hung_up()
        (taken,) = told(world, BranchTaken)
        assert (taken.step, taken.case) == ("way", int(holds))
        assert bool(taken.why) is holds

    tell(asked)


@story()
async def test_of_many_cases_the_first_that_holds_in_all_its_conditions_is_taken(world: World) -> None:
    await know_customers(world)
    sure, gold = CustomerIs(frozenset({Match.SURE})), AttributeIs("plan", frozenset({"gold"}))
    cases = (Case((sure, gold), (Say("gold"),)), Case((sure,), (Say("plain"),)), Case((sure,), (Say("sorry"),)))
    flow(world, Branch("", cases))
    caller = await world.phone(GRACE)
    await caller.dial("1000")
    await caller.hears("plain.en")
    await caller.is_hung_up()
    assert told(world, BranchTaken) == [BranchTaken("", 2, ("customer sure",))]


@story()
async def test_a_gold_customer_is_served_before_one_who_waits_longer(world: World) -> None:
    await know_customers(world)
    gold = Case((CustomerIs(tiers=frozenset({"gold"})),), (replace(TO_SALES, priority=50),))
    flow(world, Branch("", (gold,), (TO_SALES,)))
    first, grace = await world.phone(NOBODY), await world.phone(GRACE)
    await first.dial("1000")
    await first.hears("music")
    await world.sleep(20)
    await grace.dial("1000")
    await grace.hears("music")
    amy = await world.agent("amy", english=5)
    assert (await amy.rings()).caller == GRACE
    assert [each.priority for each in told(world, CallQueued)] == [0, 50]
    await first.hangs_up()
    await grace.hangs_up()


# ------------------------------------------------------------------------------------------------- opening hours


def office(world: World, *spans: tuple[int, int], holiday: Holiday | None = None) -> Hours:
    """Open at these minutes of every day, in UTC; the switch starts at 09:00."""
    today = world.clock.now().date()
    intervals = tuple(Interval(start, end) for start, end in spans)
    return Hours("office", (intervals,) * 7, {today: holiday} if holiday is not None else {})


DOORS = {Door.OPEN: (Say("open"),), Door.CLOSED: (Say("closed"),), Door.HOLIDAY: (Say("holiday"),)}


@pytest.mark.parametrize(
    ("spans", "holiday", "door"),
    [
        ([(8 * 60, 10 * 60)], None, Door.OPEN),
        ([(10 * 60, 18 * 60)], None, Door.CLOSED),
        ([(8 * 60, 10 * 60)], Holiday("Founder's Day"), Door.HOLIDAY),
        ([(10 * 60, 18 * 60)], Holiday("Short Day", (Interval(8 * 60, 10 * 60),)), Door.OPEN),
    ],
)
def test_the_flow_goes_by_the_opening_hours(spans: list[tuple[int, int]], holiday: Holiday | None, door: Door) -> None:
    async def asked(world: World) -> None:
        hours = office(world, *spans, holiday=holiday)
        case = Case((HoursAre("office", frozenset({door})),), (Say("gold"),))
        flow(world, AskHours("office", DOORS), Branch("", (case,)), Hangup("plain"), hours=hours)
        caller = await world.phone(NOBODY)
        await caller.dial("1000")
        await caller.hears(f"{door.value}.en")
        await caller.hears("gold.en")
        await caller.hears("plain.en")
        await caller.is_hung_up()
        named = holiday.name if holiday is not None else ""
        assert told(world, HoursChecked) == [HoursChecked("office", door.value, named)] * 2

    tell(asked)


@story()
async def test_it_closes_while_a_caller_hears_the_greeting(world: World) -> None:
    """What counts is the moment at which the flow asks; whoever is in line by then stays in line."""
    await world.sleep(3600 - 1 - world.clock.monotonic())
    assert world.clock.now().date() == date(2026, 3, 2)
    flow(world, AskHours("office", DOORS), AskHours("office", DOORS), hours=office(world, (9 * 60, 10 * 60)))
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    await caller.hears("open.en")
    await caller.hears("closed.en")
    await caller.is_hung_up()


# ------------------------------------------------------------------------------------------------------ language


@pytest.mark.parametrize(("number", "language"), [(LUCIA, "es"), (GRACE, "en"), (NOBODY, "en"), ("3055550134", "en")])
def test_a_known_customer_is_spoken_to_in_their_language(number: str, language: str) -> None:
    """Where it is known for sure; es-MX is served by those who speak es."""

    async def greeted(world: World) -> None:
        await know_customers(world)
        flow(world, ChooseLanguage(None), Say("greeting"))
        caller = await world.phone(number)
        call = await caller.dial("1000")
        await caller.hears(f"greeting.{language}")
        await caller.is_hung_up()
        chosen = [each.language for each in told(world, LanguageChosen)]
        assert chosen == ([language] if language != "en" else [])
        assert (await world.interaction(call)).language == "".join(chosen)

    tell(greeted)


@story()
async def test_a_flow_changes_the_language(world: World) -> None:
    flow(world, ChooseLanguage("es"), Say("greeting"), ChooseLanguage("es"), ChooseLanguage("en"), Say("plain"))
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    await caller.hears("greeting.es")
    await caller.hears("plain.en")
    await caller.is_hung_up()
    assert [each.language for each in told(world, LanguageChosen)] == ["es", "en"]


# ---------------------------------------------------------------------------------------------- flows lead to flows


@story()
async def test_a_sub_flow_comes_back_and_what_it_noted_stays(world: World) -> None:
    flow(world, Say("open"), SubFlow("inner"), Say("closed"), inner=(Say("again"), SetAttributes({"seen": "yes"})))
    caller = await world.phone(NOBODY)
    call = await caller.dial("1000")
    for prompt in ("open.en", "again.en", "closed.en"):
        await caller.hears(prompt)
    await caller.is_hung_up()
    assert (await world.interaction(call)).attributes == (("seen", "yes"),)
    assert told(world, FlowEntered) == [FlowEntered("inner")]


@story()
async def test_a_flow_that_is_gone_to_does_not_come_back(world: World) -> None:
    flow(world, SubFlow("inner"), Say("closed"), inner=(GoTo("last"), Say("sorry")), last=(Say("plain"),))
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    await caller.hears("plain.en")
    ended = await caller.is_hung_up()
    assert ended
    assert [each.flow for each in told(world, FlowEntered)] == ["inner", "last"]


@story()
async def test_a_sub_flow_that_ends_the_call_ends_it(world: World) -> None:
    flow(world, SubFlow("inner"), Say("closed"), inner=(Hangup("plain"),))
    caller = await world.phone(NOBODY)
    call = await caller.dial("1000")
    await caller.hears("plain.en")
    await caller.is_hung_up()
    ending = (await world.interaction(call)).ending
    assert ending is not None
    assert (ending.by, ending.cause) == (Side.SYSTEM, EndCause.FLOW_ENDED)


@story()
async def test_a_key_plays_the_menu_again_as_often_as_the_caller_likes(world: World) -> None:
    """It costs no try."""
    amy = await world.agent("amy", english=5)
    choices = {**NEXT.choices, "9": Choice(repeat=True)}
    flow(world, replace(NEXT, choices=choices, retries=0, invalid="invalid"))
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    for _ in range(5):
        await caller.hears("menu.en")
        await caller.press("9")
        await world.sleep(1)
    await caller.hears("menu.en")
    await caller.press("1")
    await amy.rings()
    await caller.hangs_up()


@story()
async def test_a_child_at_the_phone_does_not_have_the_menu_repeated_for_ever(world: World) -> None:
    flow(world, replace(NEXT, choices={"9": Choice(repeat=True)}))
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    for _ in range(60):
        if caller.is_free:
            break
        await caller.press("9")
        await world.sleep(0.5)
    assert caller.is_free


@story()
async def test_back_to_the_main_menu(world: World) -> None:
    """What an administrator writes for it: goto, in the choice of a key."""
    amy = await world.agent("amy", english=5)
    inner = Menu("inner", "again", {"0": Choice(then=(GoTo("main"),))}, otherwise=(Hangup(),))
    main = replace(NEXT, choices={**NEXT.choices, "2": Choice("more", then=(inner,))})
    flow(world, main)
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    for _ in range(30):
        await caller.hears("menu.en")
        await caller.press("2")
        await caller.hears("again.en")
        await caller.press("0")
    await caller.hears("menu.en")
    await caller.press("1")
    await amy.rings()
    await caller.hangs_up()


@pytest.mark.parametrize("round_", [GoTo("main"), SubFlow("main")])
def test_flows_that_go_round_without_a_wait_end_the_call_and_not_the_switch(round_: Step) -> None:
    """The check refuses them; if one slips through, the other calls go on."""

    async def goes_round(world: World) -> None:
        amy = await world.agent("amy", english=5)
        bob = await world.phone("+14155550101")
        await world.connect(bob, amy)
        flow(world, SetAttributes({"a": "b"}), round_, Say("plain"))
        caller = await world.phone(NOBODY)
        call = await caller.dial("1000")
        await caller.is_hung_up()
        assert world.hear_each_other(bob, amy)
        await bob.hangs_up()
        ending = (await world.interaction(call)).ending
        assert ending is not None
        assert (ending.cause, ending.detail) == (EndCause.FLOW_ENDED, "the flow goes round and round")

    tell(goes_round)


@story()
async def test_the_flow_after_the_longest_wait_is_told(world: World) -> None:
    flow(world, TO_SALES)
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    await caller.hears("nobody.en", after=300)
    await caller.is_hung_up()
    assert told(world, FlowEntered) == [FlowEntered("sorry")]


# ------------------------------------------------------------------------------------- when keys are listened for


@story()
async def test_tones_are_listened_for_while_keys_are_wanted_and_not_while_nobody_takes_them(world: World) -> None:
    """A voice is not to be taken for a key, and listening costs. In a talk they are for the other side."""
    amy = await world.agent("amy", english=5)
    flow(world, Say("greeting"), ACCOUNT, TO_SALES)
    caller = await world.phone(NOBODY)
    await caller.dial("1000")
    await caller.hears("account.en", after=3)
    assert [each.wants_digits for each in world.plane.sessions] == [True]
    await caller.press("1#")
    await caller.hears("music")
    assert not any(each.wants_digits for each in world.plane.sessions)
    await amy.rings()
    await amy.answers()
    await caller.hears(amy)
    assert [each.wants_digits for each in world.plane.sessions] == [True, True]
    await caller.hangs_up()


def test_a_caller_with_a_phone_that_sends_tones_alone_enters_an_account() -> None:
    """No telephone events were agreed on: the tones in the voice are the keys."""

    async def enters(world: World) -> None:
        flow(world, ACCOUNT, NEXT)
        caller = await world.phone(NOBODY)
        leave_out_events(caller)
        await caller.dial("1000")
        await caller.hears("account.en")
        await caller.press("12#")
        await caller.hears("menu.en")
        assert told(world, DigitsEntered) == [DigitsEntered("account", "12", valid=True)]
        await caller.hangs_up()

    tell(enters)


def leave_out_events(phone: Phone) -> None:
    """A phone that offers no telephone events, and sends keys as tones."""
    opened = phone._sounds

    def without(who: str, where: str) -> Any:
        voice: Any = opened(who, where)
        voice.media.events = False
        offer = voice.media.offer
        voice.media.offer = lambda: offer().replace(b"a=rtpmap:101 telephone-event/8000\r\n", b"")
        return voice

    phone._sounds = without
