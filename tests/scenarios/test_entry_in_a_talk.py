"""While they talk, an agent has the customer enter a card, or presses keys: the screen sees stars, nobody hears it."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from callcenter.calls.settings import CodeAction, Collect, DialRules, FeatureCode, Flow, Prompts, Say
from callcenter.media.plane import Clip
from callcenter.model.facts import AttributeSet, DigitsEntered, EntryBegan, EntryEnded
from callcenter.model.states import EntryResult, Outcome
from callcenter.simulation.phone import Phone, PhoneCall
from callcenter.simulation.world import AgentPhone, Voice, World, story
from tests.scenarios.carrier import permit, somebody_outside

CARD = "4111111111111111"
TOPIC = "callcenter/v1/agents/amy/entry"
STEPS = (
    Say("card_intro"),
    Collect("card", "card_number", "card", shortest=13, longest=19, mask=True, invalid="invalid", no_input="no_input"),
    Collect("cvc", "card_check", "cvc", shortest=3, longest=3, mask=True),
)


def allow(world: World) -> None:
    """The company lets its agents take cards."""
    services = world.house.services
    settings = services.settings
    clips = {(name, "en"): (Clip(f"{name}.en", 1.0),) for name in ("card_intro", "card", "cvc", "invalid", "no_input")}
    clients = {name: dataclasses.replace(each, in_talk=("take-card",)) for name, each in settings.clients.items()}
    services.settings = dataclasses.replace(
        settings,
        clients=clients,
        flows={**settings.flows, "take-card": Flow("take-card", STEPS), "other": Flow("other", STEPS)},
        prompts=Prompts({**settings.prompts.texts, **clips}, settings.prompts.pieces),
    )


class Orders:
    """What Amy's program orders."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._number = 0

    def __call__(self, do: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        answer: dict[str, Any] = self._world.publisher.command("amy", {"id": str(self._number), "do": do, **fields})
        return answer


def media(phone: Phone) -> Any:
    sound = phone.this_call().sound
    assert isinstance(sound, Voice)
    return sound.media


async def talking(world: World, *, tones: bool = False) -> tuple[AgentPhone, Phone, PhoneCall, Orders]:
    if tones:
        world.tone_phones |= {"+14155550100"}
    amy = await world.agent("amy", english=5)
    allow(world)
    caller = await world.phone("+14155550100")
    call = await world.connect(caller, amy)
    return amy, caller, call, Orders(world)


def facts(world: World, kind: type) -> list[Any]:
    return [fact.body for fact in world.facts if isinstance(fact.body, kind)]


def seen(world: World) -> list[Any]:
    """What Amy's screen saw of the entry."""
    return [state for state in world.publisher.of_topic(TOPIC) if state is not None]


@pytest.mark.parametrize("tones", [False, True])
def test_a_card_that_is_entered_in_a_talk_is_seen_in_stars_and_heard_by_nobody(tones: bool) -> None:
    """Neither an event, nor a tone, nor the voice; and nothing that is written anywhere holds a digit of it."""

    @story()
    async def tell(world: World) -> None:
        amy, caller, call, order = await talking(world, tones=tones)
        with capture_logs() as logs:
            assert order("entry_start", entry="take-card")["ok"]
            await caller.hears("card_intro.en")
            await caller.hears("card.en", after=1)
            await amy.hears_nothing()
            await caller.press(CARD + "#")
            await caller.hears("cvc.en", after=4)
            await caller.press("123")
            await world.sleep(4)
            assert world.hear_each_other(caller, amy)
        assert (media(amy).digits, media(amy).tones) == ("", "")
        await caller.press("5")
        await world.sleep(1)
        assert (media(amy).digits or media(amy).tones) == "5", "what follows is no secret"
        states = seen(world)
        assert [each["entered"] for each in states if each["state"] == "entering" and each["step"] == "card"] == [
            "*" * count for count in range(1, 17)
        ]
        assert (states[-1]["step"], states[-1]["count"], states[-1]["longest"]) == ("cvc", 3, 3)
        assert world.publisher.of_topic(TOPIC)[-1] is None
        assert facts(world, EntryBegan) == [EntryBegan("amy", "take-card", "agent over MQTT")]
        assert facts(world, EntryEnded) == [EntryEnded("amy", "take-card", EntryResult.ENTERED)]
        assert facts(world, DigitsEntered)[-2:] == [
            DigitsEntered("card", "*" * 16, valid=True, masked=True),
            DigitsEntered("cvc", "***", valid=True, masked=True),
        ]
        assert AttributeSet("card_number", "*" * 16) in facts(world, AttributeSet)
        (running,) = world.house.supervisor.calls.values()
        assert running.captured.attributes["card_number"] == CARD
        await caller.hangs_up()
        saved = await world.interaction(call)
        assert saved.outcome is Outcome.HANDLED
        written = (
            repr([*world.facts, saved]) + json.dumps([str(each) for each in logs]) + repr(world.publisher.messages)
        )
        assert CARD not in written

    tell()


@story()
async def test_an_entry_can_be_taken_back_and_ends_with_the_talk(world: World) -> None:
    amy, caller, _, order = await talking(world)
    assert order("entry_start", entry="take-card")["ok"]
    assert "already" in order("entry_start", entry="take-card")["error"]
    await caller.hears("card.en", after=2)
    await caller.press("4111")
    await world.sleep(1)
    assert order("entry_cancel")["ok"]
    await caller.hears(amy)
    await world.sleep(1)
    assert world.hear_each_other(caller, amy)
    assert "nothing" in order("entry_cancel")["error"]
    assert order("entry_start", entry="take-card")["ok"]
    await world.sleep(1)
    await caller.hangs_up()
    await amy.is_hung_up()
    assert [each.result for each in facts(world, EntryEnded)] == [EntryResult.CANCELLED] * 2
    assert [each.by for each in facts(world, EntryEnded)] == ["agent over MQTT", "the end of the talk"]
    assert "no caller" in order("entry_start", entry="take-card")["error"]


@story()
async def test_what_is_never_entered_ends_the_entry_and_not_the_talk(world: World) -> None:
    amy, caller, _, order = await talking(world)
    assert order("entry_start", entry="take-card")["ok"]
    await world.sleep(60)
    assert [each.result for each in facts(world, EntryEnded)] == [EntryResult.FAILED]
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_only_what_the_company_permits_can_be_asked_for(world: World) -> None:
    _, caller, _, order = await talking(world)
    for wrong in ("other", "nothing", "main"):
        assert "in_talk" in order("entry_start", entry=wrong)["error"]
    assert not facts(world, EntryBegan)
    await caller.hangs_up()


@story()
async def test_a_caller_on_hold_hears_the_music_again_behind_an_entry(world: World) -> None:
    """The agent's phone holds, while its other line has the code dialled, or the agent looks something up."""
    amy, caller, _, order = await talking(world)
    await amy.hold()
    await caller.hears("music")
    assert order("entry_start", entry="take-card")["ok"]
    await caller.hears("card.en", after=2)
    await caller.press(CARD + "#123")
    await caller.hears("music", after=8)
    await amy.resume()
    await caller.hears(amy)
    await caller.hangs_up()


@story()
async def test_an_agent_who_dialled_a_customer_has_them_enter_a_card_too(world: World) -> None:
    amy = await world.agent("amy", english=5)
    outside = await somebody_outside(world, "+442071234567")
    permit(world, amy=DialRules(outside=("+44",)))
    allow(world)
    amy.starts_dialling("+442071234567")
    await outside.rings()
    await outside.answers()
    await amy.hears(outside)
    order = Orders(world)
    assert order("entry_start", entry="take-card")["ok"]
    await outside.hears("card.en", after=2)
    await outside.press(CARD + "#123")
    await world.sleep(8)
    assert [each.result for each in facts(world, EntryEnded)] == [EntryResult.ENTERED]
    assert (media(amy).digits, media(amy).tones) == ("", "")
    assert order("send_digits", digits="12#")["ok"]
    await world.sleep(2)
    assert media(outside).digits == "12#"
    assert "keys" not in str(order("send_digits", digits="12#"))
    assert "no key" in order("send_digits", digits="12x")["error"]
    await outside.hangs_up()


@story()
async def test_a_code_on_the_second_line_starts_an_entry(world: World) -> None:
    """The phone holds the caller while it dials; who comes back hears the caller when all is entered."""
    amy, caller, _, _ = await talking(world)
    services = world.house.services
    codes = {**services.settings.feature_codes, "*85": FeatureCode(CodeAction.ENTRY_START, entry="take-card")}
    services.settings = dataclasses.replace(services.settings, feature_codes=codes)
    await amy.hold()
    await caller.hears("music")
    await amy.dial_beside("*85")
    await caller.hears("card.en", after=3)
    await amy.resume()
    await caller.press(CARD + "#123")
    await world.sleep(8)
    assert [each.result for each in facts(world, EntryEnded)] == [EntryResult.ENTERED]
    assert facts(world, EntryBegan)[0].by == "agent's phone"
    assert world.hear_each_other(caller, amy)
    await caller.hangs_up()
