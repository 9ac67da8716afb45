"""Asked: what calls ask beyond their queues, by language, intent, step and preference, held against who is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from callcenter.acd.requirements import lacking, match_all, text
from callcenter.config.agents import Agent
from callcenter.config.calls import PREFERRED_WORDS
from callcenter.config.clients import Client
from callcenter.config.explain import KeyPath
from callcenter.config.flows import QueueStep
from callcenter.config.paths import Stop
from callcenter.config.problems import Code, did_you_mean
from callcenter.config.skills import needs_of

if TYPE_CHECKING:
    from callcenter.config.things import Things

Add = Callable[..., None]


def asked(things: Things, stops: Iterable[Stop], add: Add) -> None:
    """Note what no call can mean, and what no agent can give."""
    _Asked(things, list(stops), add).run()


class _Asked:
    def __init__(self, things: Things, stops: list[Stop], add: Add) -> None:
        self._things = things
        self._stops = stops
        self._add = add
        menus = [stop.step.menu for stop in stops if stop.step.menu is not None]
        choices = [choice for menu in menus for choice in menu.choices.values()]
        self._intents = {choice.intent for choice in choices if choice.intent}

    def run(self) -> None:
        for name, client in self._things.clients.items():
            self._languages(name, client)
            self._meant(("clients", name, "intents"), client.intents, name)
            self._preferred(("clients", name, "prefer"), client.prefer, name)
        for name, queue in self._things.queues.items():
            self._meant(("queues", name, "intents"), queue.intents, queue.client, name)
        for stop in self._stops:
            if stop.step.waiting is not None:
                self._step((*stop.path, stop.step.waiting[0]), stop.step.waiting[1])

    def _step(self, path: KeyPath, step: QueueStep) -> None:
        queue = self._things.queues.get(step.to)
        if queue is None:
            return
        if step.requirements:
            self._somebody((*path, "requirements"), step.requirements, queue.client, step.to)
        self._preferred((*path, "prefer"), step.prefer or (), queue.client, step.to, step.requirements)

    def _languages(self, name: str, client: Client) -> None:
        for language, needs in (client.language_skills or {}).items():
            path: KeyPath = ("clients", name, "language_skills", language)
            if language not in client.languages:
                message = f"{name} is not served in `{language}`"
                hint = f"write one of {', '.join(client.languages)}, or add it to clients.{name}.languages"
                self._add(Code.NO_TRANSLATION, path, message, hint, key=True)
            else:
                self._somebody(path, needs, name)

    def _meant(self, path: KeyPath, intents: Mapping[str, Any] | None, client: str, queue: str = "") -> None:
        for intent, needs in (intents or {}).items():
            if intent in self._intents:
                self._somebody((*path, intent), needs, client, queue)
            elif not self._things.broken["flows"]:
                hint = did_you_mean(intent, self._intents, otherwise="the choices of a menu have `intent`")
                self._add(Code.NAMES_NOTHING, (*path, intent), f"no menu has the intent `{intent}`", hint, key=True)

    def _somebody(self, path: KeyPath, needs: Mapping[str, Any], client: str, queue: str = "") -> None:
        """Somebody of the client's agents, or of the queue's, must have what is asked: else callers wait in vain."""
        if self._things.broken["agents"] or client not in self._things.clients:
            return
        who = [agent for agent in self._things.agents.values() if self._may(agent, client, queue)]
        if not who or any(match_all(needs_of(needs), agent.skills) is not None for agent in who):
            return  # that nobody serves at all is told where the queue is
        written = text(needs_of(needs))
        whose = f"may take callers of `{queue}` and" if queue else f"serves {client} and"
        nearest = min(who, key=lambda agent: len(lacking(needs_of(needs), agent.skills)))
        lacks = ", ".join(lacking(needs_of(needs), nearest.skills)).removesuffix(" needed")
        self._add(
            Code.NOBODY_SERVES,
            path,
            f"nobody {whose} has {written}",
            f"nearest is {nearest.name}, who has {lacks}",
            key=True,
        )

    def _may(self, agent: Agent, client: str, queue: str, needs: Mapping[str, Any] | None = None) -> bool:
        if client not in agent.clients or (queue and agent.queues is not None and queue not in agent.queues):
            return False
        of_queue = self._things.queues[queue].requirements if queue in self._things.queues else {}
        return match_all((*needs_of(of_queue), *needs_of(needs or {})), agent.skills) is not None

    def _preferred(
        self, path: KeyPath, words: Iterable[str], client: str, queue: str = "", needs: Mapping[str, Any] | None = None
    ) -> None:
        """An agent who is preferred by name and could never take the call is no mistake that stops a switch."""
        for at, word in enumerate(words):
            agent = self._things.agents.get(word) if word not in PREFERRED_WORDS else None
            if agent is not None and not self._may(agent, client, queue, needs):
                lacks = f"may not take callers of `{queue}`" if client in agent.clients else f"does not serve {client}"
                hint = "look at the agent's skills, clients and queues, or prefer somebody else"
                self._add(Code.NOBODY_SERVES, (*path, at), f"{agent.name} {lacks}", hint, warning=True)
