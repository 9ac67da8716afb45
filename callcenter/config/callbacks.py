"""What must hold for callers to be called back: prompts in every language, a way to call out, numbers to be called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set

from callcenter.calls import settings
from callcenter.config.callback_shapes import OTHERWISE, USUAL_SPACING, ClientCallbacks, Preview
from callcenter.config.clients import Client
from callcenter.config.explain import KeyPath, dotted
from callcenter.config.flows import CallbackStep
from callcenter.config.paths import Paths
from callcenter.config.problems import Code
from callcenter.config.queues import OVERFLOW_KEYS
from callcenter.config.things import Notes, Things
from callcenter.config.wording import DIGIT, names_digit
from callcenter.model.callback import Mode

# What is said to customers who are called, and to agents, and not to who asks for it.
NOT_ASKED = frozenset({"connecting", "preview"})


def callbacks(things: Things, paths: Paths, clients: Mapping[str, Set[str]], notes: Notes) -> None:
    """Note what keeps a step ``callback``, or a queue's overflow, from calling back.

    ``clients`` are those whose callers come to each flow.
    """
    called_back: dict[str, KeyPath] = {}
    for flow, stops in paths.stops.items():
        for stop in stops:
            step, path = stop.step.callback, (*stop.path, "callback")
            if step is None:
                continue
            for client in sorted(clients.get(flow, set()) & things.clients.keys()):
                called_back.setdefault(client, path)
                _step(things, notes, step, path, client)
    for name, queue in things.queues.items():
        for key, overflow in dict(queue.follows(event) for event in OVERFLOW_KEYS).items():
            if overflow.callback and queue.client in things.clients:
                called_back.setdefault(queue.client, ("queues", name, key))
                for prompt, where in _prompts(things):
                    _said(things, notes, queue.client, prompt, where, ("queues", name, key))
        if queue.on_abandon is not None and queue.client in things.clients:
            called_back.setdefault(queue.client, ("queues", name, "on_abandon"))
    for client, path in called_back.items():
        _client(things, notes, client, path)
    for client, about in things.clients.items():
        rules = about.callbacks
        if rules is not None and rules.enabled and about.outbound is not None:
            _own(things, notes, client, rules)
    _unused(things, notes)


def _step(things: Things, notes: Notes, step: CallbackStep, path: KeyPath, client: str) -> None:
    queue = things.queues.get(step.queue)
    if queue is not None and queue.client != client:
        message = f"callers of {client} would be called back from a queue of {queue.client}"
        notes.add(Code.OTHER_CLIENT, (*path, "queue"), message, f"name a queue of {client}")
    for prompt, where in _prompts(things):
        _said(things, notes, client, prompt, where, path)
    for own, key in ((step.confirm, "confirm"), (step.accepted, "accepted")):
        if own is not None:
            _said(things, notes, client, own, (*path, key), path)
    if step.at is not None:
        _said(things, notes, client, step.at.prompt, (*path, "at", "prompt"), path)


def _own(things: Things, notes: Notes, client: str, rules: ClientCallbacks) -> None:
    """What a company's own rules take: words for a customer who is called first, clocks for its hours."""
    here: KeyPath = ("clients", client, "callbacks")
    if rules.tries_per_day is not None and rules.tries_per_day > rules.tries:
        message = f"nobody is dialled more often than {rules.tries} times in all (tries)"
        notes.warn(Code.FORM, (*here, "tries_per_day"), message, "write less, or more for `tries`")
    for at, number in enumerate(rules.never):
        if rules.outside is not None and not any(number.startswith(wider) for wider in rules.outside):
            message = f"nothing in `outside` has `{number}` called back, so there is nothing to except"
            notes.warn(
                Code.UNUSED, (*here, "never", at), message, "take it away, or add to `outside` what it excepts from"
            )
    if rules.mode is Mode.CUSTOMER_FIRST:
        _said(things, notes, client, things.calls.callback.connecting, ("calls", "callback", "connecting"), here)
    hours = things.hours.get(rules.hours or "")
    if hours is not None and hours.time_zone is None and things.clients[client].time_zone is None:
        message = f"{client} has no time zone, by which customers are called whose own is not known"
        notes.add(Code.MISSING, ("clients", client), message, "add time_zone: Europe/Madrid, or the like", key=True)


def _client(things: Things, notes: Notes, client: str, path: KeyPath) -> None:
    about = things.clients[client]
    if about.outbound is None:
        message = f"{client} cannot call anybody back: it has no `outbound` (wanted by {dotted(path)})"
        hint = "add `outbound` to it (see trunks.yaml), or take the callback away"
        notes.add(Code.MISSING, ("clients", client), message, hint, key=True)
    elif about.callbacks is not None and not about.callbacks.enabled:
        message = f"{client} calls nobody back, and {dotted(path)} promises it"
        notes.add(Code.FORM, ("clients", client, "callbacks"), message, "take `off` away, or the step", key=True)


def _unused(things: Things, notes: Notes) -> None:
    """Rules of a company that calls nobody, and digits that nobody reads out."""
    for name, about in things.clients.items():
        if about.callbacks is not None and about.callbacks.enabled and about.outbound is None:
            message, hint = "there is no way to call anybody back: the company has no `outbound`", "add `outbound`"
            here: KeyPath = ("clients", name, "callbacks")
            notes.add(Code.MISSING, here, message, f"{hint} (see trunks.yaml), or take `callbacks` away", key=True)
    for name, prompt in things.prompts.items():
        if name != things.calls.callback.digit and any(names_digit(parts) for parts in prompt.languages.values()):
            hint = f"name it as calls.callback.digit, or write the digits without {DIGIT}"
            notes.warn(Code.POSITION, ("prompts", name), f"`{DIGIT}` has a meaning in one prompt alone", hint)


def _prompts(things: Things) -> Iterator[tuple[str, KeyPath]]:
    for name in type(things.calls.callback).model_fields:
        if name in NOT_ASKED:
            continue
        yield getattr(things.calls.callback, name), ("calls", "callback", name)


def _said(things: Things, notes: Notes, client: str, prompt: str, where: KeyPath, path: KeyPath) -> None:
    if prompt in things.broken["prompts"] or "" in things.broken["prompts"]:
        return
    there = things.prompts.get(prompt)
    if there is None:
        message = f"there is no prompt `{prompt}` for {where[-1]}"
        hint = f"the shipped prompts.yaml has it; or name another as {dotted(where)}"
        notes.add(Code.MISSING, path, message, hint, key=True)
        return
    lacking = [tag for tag in things.clients[client].languages if tag not in there.languages]
    if lacking:
        message = f"it is not there in {', '.join(lacking)}, which {client} is served in ({dotted(path)})"
        notes.add(Code.NO_TRANSLATION, ("prompts", prompt), message, f"add `{lacking[0]}: ...`", key=True)
    counts = where == ("calls", "callback", "digit")
    for tag, parts in there.languages.items():
        if names_digit(parts) is not counts:
            message = "it does not read a digit out" if counts else "a digit stands for nothing here"
            hint = f"write {DIGIT} where the digit belongs" if counts else f"take {DIGIT} away"
            notes.add(Code.POSITION, ("prompts", prompt, tag), message, hint)
            break


def callback_rules(name: str, client: Client, things: Things) -> settings.CallbackRules | None:
    """What a company calls back: by its own word, else what is in the countries of its numbers and costs no more."""
    written = client.callbacks or ClientCallbacks()
    if client.outbound is None or not written.enabled:
        return None
    own = [number for number, about in things.numbers.items() if about.client == name]
    home = settings.CallbackRules.at_home(client.outbound.caller_id, *own)
    outside = home.outside if written.outside is None else written.outside
    return settings.CallbackRules(
        outside=outside,
        never=tuple(each for each in (*home.never, *written.never) if each not in outside),
        tries=written.tries,
        spacing=written.spacing.get(OTHERWISE, USUAL_SPACING),
        ring_for=written.ring_for,
        per_caller=written.per_caller,
        per_day=written.per_day,
        spacing_by={cause: seconds for cause, seconds in written.spacing.items() if cause != OTHERWISE},
        tries_per_day=written.tries_per_day,
        hours=written.hours or "",
        missed=written.missed,
        rings_in=written.rings_in,
        mode=written.mode,
        preview=written.preview is not None,
        preview_for=(written.preview or Preview()).time,
        preview_again=(written.preview or Preview()).again,
        keep_for=written.keep_for * 86_400.0,
    )
