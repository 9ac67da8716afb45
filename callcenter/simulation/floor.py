"""A small floor to tell stories on: one company, two queues, a greeting, a menu, music."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from callcenter.acd.requirements import Requirement
from callcenter.acd.settings import AgentSettings, Plan, QueueSettings, Strategy, WrapUpSettings
from callcenter.calls.phrases import needed_prompts
from callcenter.calls.settings import (
    CallbackRules,
    CallsSettings,
    Choice,
    Client,
    CodeAction,
    FeatureCode,
    Flow,
    Hangup,
    Menu,
    Number,
    Outbound,
    Prompts,
    QueueTreatment,
    Say,
    ToQueue,
)
from callcenter.config.settings import Settings, SwitchSettings
from callcenter.media.plane import Clip
from callcenter.media.settings import MediaSettings
from callcenter.model.dial_plan import DialPlan
from callcenter.model.states import WrapUpMode
from callcenter.publish.settings import Broker, MqttSettings
from callcenter.signaling.settings import SipSettings
from callcenter.sip.session_timer import EVERY_HALF_HOUR, SessionTimer
from callcenter.storage.settings import StorageSettings

TECH = Client(
    "tech",
    "The Tech Giant",
    ("en", "es"),
    {"en": "Thank you for calling The Tech Giant, {agent} speaking.", "es": "Gracias por llamar, habla {agent}."},
)

# Prompts by id, with their length in seconds.
PROMPTS = {"greeting": 3.0, "menu": 4.0, "invalid": 1.0, "no_input": 1.5, "nobody": 2.0, "goodbye": 1.0, "notice": 2.0}
MUSIC = Clip("music", 30.0)
HOLD_TONE = Clip("hold tone", 8.0)

REASONS = {"lunch": "Lunch", "break": "Short break"}
CODES = {
    "*20": FeatureCode(CodeAction.READY),
    "*21": FeatureCode(CodeAction.NOT_READY, reason="lunch"),
    "*22": FeatureCode(CodeAction.NOT_READY, reason="break"),
    "*29": FeatureCode(CodeAction.SIGN_OUT),
    "*30": FeatureCode(CodeAction.WRAP_UP_DONE),
    "*31": FeatureCode(CodeAction.WRAP_UP_EXTEND),
    "*32": FeatureCode(CodeAction.STATE),
    "*33": FeatureCode(CodeAction.WRAP_UP_DONE, disposition="solved"),
    "*40": FeatureCode(CodeAction.RECORD_START),
    "*41": FeatureCode(CodeAction.RECORD_STOP),
    "*42": FeatureCode(CodeAction.RECORD_PAUSE),
    "*43": FeatureCode(CodeAction.RECORD_RESUME),
    "*71": FeatureCode(CodeAction.LISTEN),
    "*72": FeatureCode(CodeAction.WHISPER),
    "*73": FeatureCode(CodeAction.BARGE),
    "*80": FeatureCode(CodeAction.CONSULT),
    "*81": FeatureCode(CodeAction.CONSULT_SWAP),
    "*82": FeatureCode(CodeAction.CONSULT_JOIN),
    "*83": FeatureCode(CodeAction.CONSULT_DROP),
    "*84": FeatureCode(CodeAction.CONSULT_TRANSFER),
}

WRAP_UP = WrapUpSettings(WrapUpMode.TIMED, 30.0, 15.0)


def calling_out(client: Client, trunks: Sequence[str]) -> Client:
    """The company with trunks to call out by."""
    if not trunks:
        return replace(client, outbound=None, callbacks=None)
    outbound = Outbound(DialPlan("1", "1", "011"), "+18005550100", tuple(trunks))
    return replace(client, outbound=outbound, callbacks=CallbackRules.at_home(outbound.caller_id))


def queue(name: str, **needs: int) -> QueueSettings:
    """A queue of the company that asks for these skills."""
    requirements = tuple(Requirement(skill, level) for skill, level in needs.items())
    return QueueSettings(
        name,
        "tech",
        requirements,
        ring_for=20.0,
        max_wait=300.0,
        on_max_wait="sorry",
        wrap_up=WRAP_UP,
        strategy=Strategy.BEST_SKILL,
    )


def agent(name: str, skills: Mapping[str, int]) -> AgentSettings:
    """An agent of the company."""
    return AgentSettings(name, name.capitalize(), dict(skills), frozenset({"tech"}))


def settings(
    max_calls: int = 400, *, barge_in: bool = True, session_timer: SessionTimer | None = EVERY_HALF_HOUR
) -> Settings:
    """The floor's configuration; agents join by :func:`with_agent`."""
    menu = Menu(
        id="main",
        prompt="menu",
        choices={
            "1": Choice("sales", then=(ToQueue("sales-english"),)),
            "2": Choice("sales", language="es", then=(ToQueue("sales-spanish"),)),
        },
        timeout=5.0,
        retries=2,
        invalid="invalid",
        no_input="no_input",
        otherwise=(Hangup("goodbye"),),
        barge_in=barge_in,
    )
    queues = (queue("sales-english", english=2), queue("sales-spanish", spanish=2))
    clips = {(name, language): (Clip(f"{name}.{language}", seconds),)
             for name, seconds in PROMPTS.items() for language in TECH.languages}  # fmt: skip
    # Short ones: an agent who dials a code is soon free again.
    clips |= {(name, "en"): (Clip(f"{name}.en", 0.5),) for name in needed_prompts(REASONS, limited=True, recorded=True)}
    calls = CallsSettings(
        clients={"tech": TECH},
        numbers={"+18005550100": Number("+18005550100", "tech", "main", ("1000",))},
        flows={"main": Flow("main", (Say("greeting", barge_in), menu)), "sorry": Flow("sorry", (Hangup("nobody"),))},
        treatments={each.id: QueueTreatment(each.id, "default") for each in queues},
        prompts=Prompts(clips, {"default": (MUSIC,)}, hold_tone=(HOLD_TONE,)),
        reasons=REASONS,
        feature_codes=CODES,
        max_calls=max_calls,
    )
    nowhere = Path("/nonexistent")
    return Settings(
        switch=SwitchSettings("cc1", nowhere),
        sip=SipSettings(session_timer=session_timer),
        media=MediaSettings(),
        plan=Plan({each.id: each for each in queues}, {}),
        calls=calls,
        mqtt=MqttSettings(broker=Broker.OFF),
        storage=StorageSettings(nowhere / "callcenter.db"),
        hashes={},
        customers=None,
        revision="simulation",
        folder=nowhere,
    )


def with_agent(plan: Plan, newcomer: AgentSettings) -> Plan:
    """The plan with one agent more."""
    return replace(plan, agents={**plan.agents, newcomer.id: newcomer})
