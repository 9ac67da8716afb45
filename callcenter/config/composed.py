"""Composed: what the ACD and the calls go by, of all sections together."""

from __future__ import annotations

import dataclasses

from callcenter.acd.settings import DIRECT, AgentSettings, Dispositions, Plan, RnaSettings
from callcenter.acd.settings import Share as ShareSettings
from callcenter.calls import settings
from callcenter.config import calendar
from callcenter.config.acd import Acd, rna_rule
from callcenter.config.announcements import announce_settings
from callcenter.config.callbacks import callback_rules
from callcenter.config.calls import Calls, callback_prompts
from callcenter.config.clients import Client
from callcenter.config.crm import CrmUse
from callcenter.config.customers import customer_rules
from callcenter.config.dialling import dial_rules, outbound_settings
from callcenter.config.dispositions import demands, leaves
from callcenter.config.hours import hours_settings
from callcenter.config.lint import language_of
from callcenter.config.mqtt import Mqtt
from callcenter.config.queues import queue_settings
from callcenter.config.settings import Sounds
from callcenter.config.sip import Sip
from callcenter.config.skills import needs_by_word
from callcenter.config.sounds import prompts_of
from callcenter.config.steps import as_steps
from callcenter.config.supervision import supervision_rules
from callcenter.config.things import Things
from callcenter.config.whispers import whispers
from callcenter.config.wrap_up_fields import wrap_up_fields
from callcenter.model.followup import FollowupRules


def plan(acd: Acd, things: Things, revision: str) -> Plan:
    """What the ACD goes by."""
    return Plan(
        queues={name: queue_settings(name, queue, acd) for name, queue in things.queues.items()},
        agents={
            name: AgentSettings(
                id=name,
                name=agent.name,
                skills=agent.skills,
                clients=frozenset(agent.clients),
                sign_in=agent.sign_in or acd.sign_in,
                queues=None if agent.queues is None else frozenset(agent.queues),
                weight=agent.weight,
            )
            for name, agent in things.agents.items()
        },
        rna=RnaSettings(
            no_answer=rna_rule(acd.no_answer),
            busy=rna_rule(acd.busy),
            declined=rna_rule(acd.declined),
            unreachable=rna_rule(acd.unreachable),
        ),
        offer_grace=acd.offer_grace,
        renamed={old: name for name, queue in things.queues.items() for old in queue.was},
        direct=dataclasses.replace(DIRECT, ring_for=acd.direct.ring_for or acd.ring_for, max_wait=acd.direct.max_wait),
        dispositions={
            name: Dispositions(dict(leaves(client.dispositions)), client.dispositions_required)
            for name, client in things.clients.items()
            if client.dispositions
        },
        shares={
            name: ShareSettings(client.share.minimum, client.share.weight)
            for name, client in things.clients.items()
            if client.share is not None
        },
        revision=revision,
    )


def calls_settings(things: Things, sip: Sip, mqtt: Mqtt, sounds: Sounds, acd: Acd) -> settings.CallsSettings:
    """What calls go by."""
    common = things.calls
    music = common.music or next(iter(sounds.music), "")
    return settings.CallsSettings(
        clients={
            name: settings.Client(
                name,
                client.name,
                client.languages,
                client.greeting,
                calendar.zone(client.time_zone) if client.time_zone else None,
                outbound_settings(client.outbound) if client.outbound is not None else None,
                callbacks=callback_rules(name, client, things),
                routing=_routing(client, common),
                music=client.music or music,
                supervision=supervision_rules(client.supervision),
                in_talk=client.in_talk,
                followups=FollowupRules(
                    client.followups.remind or 0.0, client.followups.overdue_after, client.followups.queue or ""
                ),
                own_base=client.crm is None or client.crm.use is not CrmUse.INSTEAD_OF,
                wrap_up_fields=wrap_up_fields(client.wrap_up_fields),
                follow_ups=dict(demands(client.dispositions or {})),
                customers=customer_rules(client),
            )
            for name, client in things.clients.items()
        },
        numbers={
            name: settings.Number(name, number.client, number.flow, number.aliases)
            for name, number in things.numbers.items()
        },
        flows={name: settings.Flow(name, as_steps(flow.steps, common)) for name, flow in things.flows.items()},
        hours={name: hours_settings(name, hours) for name, hours in things.hours.items()},
        treatments={
            name: settings.QueueTreatment(
                queue=name,
                music=queue.music or things.clients[queue.client].music or music,
                announce=announce_settings(queue.announce or common.announce),
                hours=queue.hours or "",
                on_close=queue.on_close,
                whisper=whispers(name, things),
                call_back_after=queue.on_abandon.callback if queue.on_abandon is not None else None,
            )
            for name, queue in things.queues.items()
        },
        prompts=prompts_of(sounds),
        reasons={name: reason.label for name, reason in things.reasons.items()},
        break_limits={
            name: settings.BreakLimits(reason.longest, reason.a_day, reason.at_once)
            for name, reason in things.reasons.items()
            if (reason.longest, reason.a_day, reason.at_once) != (None, None, None)
        },
        supervisors={
            name: settings.Supervisor(
                name, about.name, frozenset(about.clients) if about.clients is not None else None, about.agent or ""
            )
            for name, about in things.supervisors.items()
        },
        auto_answer=frozenset(name for name, agent in things.agents.items() if agent.auto_answer),
        feature_codes={
            code: settings.FeatureCode(
                each.action, each.not_ready or "", each.wrap_up_done or "", each.entry_start or ""
            )
            for code, each in things.feature_codes.items()
        },
        agent_codecs={name: agent.codecs for name, agent in things.agents.items() if agent.codecs},
        agent_languages={name: language_of(agent, things) for name, agent in things.agents.items()},
        may_dial={name: dial_rules(agent.may_dial or acd.may_dial) for name, agent in things.agents.items()},
        agent_extensions={agent.extension: name for name, agent in things.agents.items() if agent.extension},
        queue_extensions={queue.extension: name for name, queue in things.queues.items() if queue.extension},
        dial_prefixes={client.dial_prefix: name for name, client in things.clients.items() if client.dial_prefix},
        home_clients={name: agent.clients[0] for name, agent in things.agents.items()},
        callback_prompts=callback_prompts(common),
        intents={name: needs_by_word(queue.intents) for name, queue in things.queues.items() if queue.intents},
        queue_fields={
            name: wrap_up_fields(queue.wrap_up_fields) for name, queue in things.queues.items() if queue.wrap_up_fields
        },
        pop_wait=mqtt.pop_wait,
        max_calls=sip.max_calls,
    )


def _routing(client: Client, common: Calls) -> settings.Routing:
    return settings.Routing(
        languages=needs_by_word(client.language_skills),
        intents=needs_by_word(client.intents),
        tiers=client.tiers or {},
        prefer=client.prefer,
        prefer_for=client.prefer_for or common.prefer_for,
        last_agent_within=client.last_agent_within or common.last_agent_within,
        keep_place_for=common.keep_place_for if client.keep_place_for is None else client.keep_place_for,
    )
