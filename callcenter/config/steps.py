"""Steps: flows as calls go by them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from callcenter.calls import settings
from callcenter.calls.hours import Door
from callcenter.config.calls import Calls, callback_prompts
from callcenter.config.flows import (
    BranchStep,
    CallbackStep,
    CollectStep,
    DoNotCallStep,
    HoursStep,
    MenuStep,
    QueueStep,
    SayStep,
    Step,
    When,
)
from callcenter.config.skills import needs_of
from callcenter.model.customer import normalise_number


def as_steps(steps: Iterable[Step], common: Calls) -> tuple[settings.Step, ...]:
    """Steps with what `calls` says where they do not."""
    return tuple(_step(step, common) for step in steps)


def _step(step: Step, common: Calls) -> settings.Step:
    match step:
        case Step(say=SayStep() as say):
            return settings.Say(say.prompt, say.barge_in)
        case Step(menu=MenuStep() as menu):
            return settings.Menu(
                id=menu.id or menu.prompt,
                prompt=menu.prompt,
                choices={
                    key: settings.Choice(
                        choice.intent or "", choice.language, as_steps(choice.then, common), choice.repeat
                    )
                    for key, choice in menu.choices.items()
                },
                timeout=menu.timeout or common.timeout,
                retries=common.retries if menu.retries is None else menu.retries,
                invalid=menu.invalid or common.invalid,
                no_input=menu.no_input or common.no_input,
                otherwise=as_steps(menu.otherwise, common) or (settings.Hangup(common.goodbye),),
                barge_in=menu.barge_in,
            )
        case Step(collect=CollectStep() as collect):
            return _collect(collect, common)
        case Step(set=dict() as values):
            return settings.SetAttributes(values)
        case Step(do_not_call=DoNotCallStep() as refusal):
            return settings.AddDoNotCall(refusal.prompt, refusal.reason)
        case Step(branch=BranchStep() as branch):
            cases = [case for case in branch.cases if case.when is not None]
            return settings.Branch(
                id=branch.id or "",
                cases=tuple(settings.Case(_conditions(case.when), as_steps(case.then, common)) for case in cases),
                otherwise=as_steps(branch.cases[-1].otherwise or (), common),
            )
        case Step(hours=HoursStep() as hours):
            closed = as_steps(hours.closed, common)
            holiday = closed if hours.holiday is None else as_steps(hours.holiday, common)
            doors = {Door.OPEN: as_steps(hours.open, common), Door.CLOSED: closed, Door.HOLIDAY: holiday}
            return settings.AskHours(hours.name, doors)
        case Step(language=str() as language):
            return settings.ChooseLanguage(None if language == "customer" else language)
        case Step(flow=str() as flow):
            return settings.SubFlow(flow)
        case Step(goto=str() as flow):
            return settings.GoTo(flow)
        case Step(callback=CallbackStep() as callback):
            return _ask_callback(callback, common)
        case Step(queue=QueueStep() as queue):
            return _to_queue(queue, common, keep_place=False)
        case Step(transfer=QueueStep() as queue):
            return _to_queue(queue, common, keep_place=True)
        case _:
            return settings.Hangup(step.hangup.prompt if step.hangup is not None else None)


def _to_queue(queue: QueueStep, common: Calls, *, keep_place: bool) -> settings.ToQueue:
    return settings.ToQueue(
        queue=queue.to,
        priority=queue.priority,
        on_timeout=as_steps(queue.on_timeout, common),
        keys={key: as_steps(steps, common) for key, steps in (queue.keys or {}).items()},
        keep_place=keep_place,
        needs=needs_of(queue.requirements),
        prefer=queue.prefer,
        prefer_for=queue.prefer_for,
    )


def _ask_callback(step: CallbackStep, common: Calls) -> settings.AskCallback:
    prompts = callback_prompts(common)
    own = {name: prompt for name in ("confirm", "accepted") if (prompt := getattr(step, name)) is not None}
    return settings.AskCallback(
        queue=step.queue,
        prompts=dataclasses.replace(prompts, **own) if own else None,
        timeout=step.timeout or common.timeout,
        retries=common.retries if step.retries is None else step.retries,
        otherwise=None if step.otherwise is None else as_steps(step.otherwise, common),
        when=None if step.at is None else settings.AskWhen(step.at.prompt, step.at.keys),
    )


def _collect(collect: CollectStep, common: Calls) -> settings.Collect:
    return settings.Collect(
        id=collect.id or collect.into,
        into=collect.into,
        prompt=collect.prompt,
        shortest=collect.min,
        longest=collect.max,
        terminator=collect.terminator,
        first_digit=collect.first_digit or common.timeout,
        between=collect.between,
        retries=common.retries if collect.retries is None else collect.retries,
        invalid=collect.invalid or common.invalid,
        no_input=collect.no_input or common.no_input,
        mask=collect.mask,
        look_up=collect.look_up is not None,
        not_found=as_steps(collect.not_found, common),
        otherwise=None if collect.otherwise is None else as_steps(collect.otherwise, common),
        goodbye=common.goodbye,
        barge_in=collect.barge_in,
    )


def _conditions(when: When | None) -> tuple[settings.Condition, ...]:
    assert when is not None
    found: list[settings.Condition] = [
        settings.AttributeIs(name, frozenset(test.is_), test.prefix, test.set) for name, test in when.attribute.items()
    ]
    if (caller := when.caller) is not None:
        numbers = frozenset(normalise_number(number) for number in caller.number)
        found.append(
            settings.CallerIs(numbers, tuple(normalise_number(each) for each in caller.prefix), caller.anonymous)
        )
    if (customer := when.customer) is not None:
        found.append(
            settings.CustomerIs(frozenset(customer.match), frozenset(customer.tier), frozenset(customer.language))
        )
    if when.language:
        found.append(settings.LanguageIs(frozenset(when.language)))
    if when.intent:
        found.append(settings.IntentIs(frozenset(when.intent)))
    found += [settings.HoursAre(name, frozenset(doors)) for name, doors in when.hours.items()]
    return tuple(found)
