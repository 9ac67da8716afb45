"""What no single value shows: names that clash, callers nobody can serve, languages that are missing, endless flows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from callcenter.calls.phrases import needed_prompts
from callcenter.calls.settings import CodeAction
from callcenter.config import schema
from callcenter.config.explain import KeyPath, dotted
from callcenter.config.problems import Code, Problems
from callcenter.config.source import Node


@dataclass(slots=True)
class Things:
    """What of the configuration could be read; the names of what could not are in ``broken``."""

    calls: schema.Calls = field(default_factory=schema.Calls)
    clients: dict[str, schema.Client] = field(default_factory=dict)
    numbers: dict[str, schema.Number] = field(default_factory=dict)
    flows: dict[str, schema.Flow] = field(default_factory=dict)
    hours: dict[str, schema.Hours] = field(default_factory=dict)
    queues: dict[str, schema.Queue] = field(default_factory=dict)
    agents: dict[str, schema.Agent] = field(default_factory=dict)
    feature_codes: dict[str, schema.FeatureCode] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    prompts: dict[str, schema.Prompt] = field(default_factory=dict)
    music: dict[str, schema.Music] = field(default_factory=dict)
    broken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


def lint(things: Things, root: Node, problems: Problems) -> None:
    """Note everything that is wrong between the things."""
    _Lint(things, root, problems).run()


def walk(
    steps: Sequence[schema.Step], path: KeyPath, *, chosen: bool = False
) -> Iterator[tuple[KeyPath, schema.Step, bool]]:
    """Every step with its path; ``chosen`` when a caller comes there only by a key."""
    for at, step in enumerate(steps):
        here = (*path, at)
        yield here, step, chosen
        if step.menu is not None:
            for key, choice in step.menu.choices.items():
                yield from walk(choice.then, (*here, "menu", "choices", key, "then"), chosen=True)
            yield from walk(step.menu.otherwise, (*here, "menu", "otherwise"), chosen=chosen)
        if step.queue is not None:
            yield from walk(step.queue.on_timeout, (*here, "queue", "on_timeout"), chosen=chosen)


class _Lint:
    def __init__(self, things: Things, root: Node, problems: Problems) -> None:
        self._things = things
        self._root = root
        self._problems = problems
        self._steps = {name: list(walk(flow.steps, ("flows", name))) for name, flow in things.flows.items()}
        self._clients = self._clients_of_flows()

    def run(self) -> None:
        self._numbers()
        self._codes()
        self._menus()
        self._languages()
        self._queues()
        self._endless()
        if not self._problems.fatal:  # else what is unused may be so by a mistake that is told already
            self._unused()
            self._agents()

    def _add(
        self, code: Code, path: KeyPath, message: str, hint: str = "", *, key: bool = False, warning: bool = False
    ) -> None:
        self._problems.add(code, self._root.place_of(path, key=key), dotted(path), message, hint, warning=warning)

    def _onward(self, name: str, *, silent: bool = False) -> Iterator[tuple[str, str]]:
        """Queue and flow that follow a flow when a queue gives the caller back; ``silent``: without any key."""
        for _, step, chosen in self._steps.get(name, ()):
            if step.queue is None or step.queue.on_timeout or (silent and chosen):
                continue
            queue = self._things.queues.get(step.queue.to)
            if queue is not None and queue.on_max_wait != "continue":
                yield step.queue.to, queue.on_max_wait

    def _clients_of_flows(self) -> dict[str, set[str]]:
        clients: dict[str, set[str]] = defaultdict(set)
        todo = [(number.flow, number.client) for number in self._things.numbers.values()]
        while todo:
            flow, client = todo.pop()
            if client not in clients[flow]:
                clients[flow].add(client)
                todo += [(target, client) for _, target in self._onward(flow)]
        return clients

    def _numbers(self) -> None:
        owners = {number.lstrip("+"): number for number in self._things.numbers}
        for name, number in self._things.numbers.items():
            for at, alias in enumerate(number.aliases):
                owner = owners.setdefault(alias, name)
                path: KeyPath = ("numbers", name, "aliases", at)
                if owner != name:
                    self._add(Code.SAME_NUMBER, path, f"`{alias}` reaches {owner} already", "take another, or one away")
                elif alias in number.aliases[:at]:
                    self._add(Code.SAME_NUMBER, path, f"`{alias}` stands here twice", "take one away")

    def _codes(self) -> None:
        """Codes must be told from each other and from numbers, and whoever dials one must hear an answer."""
        things = self._things
        owners = {number.lstrip("+"): number for number in things.numbers}
        owners |= {alias: name for name, number in things.numbers.items() for alias in number.aliases}
        for code, about in things.feature_codes.items():
            path: KeyPath = ("feature_codes", code)
            if code in owners:
                message, hint = f"`{code}` reaches {owners[code]} already", "take another, or one away"
                self._add(Code.SAME_NUMBER, path, message, hint, key=True)
                continue
            for other in (*owners, *things.feature_codes):
                short, long = sorted((code, other), key=len)
                # Of two codes the longer one is told of, once.
                if short != long and long.startswith(short) and (other in owners or code == long):
                    self._add(
                        Code.SAME_NUMBER,
                        path,
                        f"`{short}` is how `{long}` begins: a phone that dials as one types never comes to the longer",
                        "take another, that none begins with",
                        key=True,
                    )
            if about.action is CodeAction.NOT_READY and not about.not_ready and things.reasons:
                listed = ", ".join(things.reasons)
                self._add(
                    Code.MISSING, path, "the reason is missing", f"write {{not_ready: REASON}} with one of {listed}"
                )
        if things.feature_codes:
            self._phrases(next(iter(things.feature_codes)))

    def _phrases(self, code: str) -> None:
        things, broken = self._things, self._things.broken["prompts"]
        needed = list(needed_prompts(things.reasons))
        missing = [name for name in needed if name not in things.prompts and name not in broken]
        if missing and "" not in broken:
            more = f" and {len(missing) - 1} others" if len(missing) > 1 else ""
            self._add(
                Code.MISSING,
                ("feature_codes", code),
                f"whoever dials a code must be answered: there is no prompt `{missing[0]}`{more}",
                "the shipped prompts.yaml has them: " + ", ".join(missing),
                key=True,
            )
        for name, agent in things.agents.items():
            language = language_of(agent, things)
            for prompt in needed:
                if language and prompt in things.prompts and language not in things.prompts[prompt].languages:
                    self._add(
                        Code.NO_TRANSLATION,
                        ("prompts", prompt),
                        f"it is not there in {language}, which agents hear (agents.{name})",
                        f"add `{language}: ...`, or give the agent another `language`",
                        key=True,
                    )

    def _menus(self) -> None:
        for steps in self._steps.values():
            seen: dict[str, KeyPath] = {}
            for path, step, _ in steps:
                if step.menu is None:
                    continue
                name = step.menu.id or step.menu.prompt
                if name in seen:
                    self._add(
                        Code.SAME_STEP,
                        (*path, "menu", "id"),
                        f"two menus of this flow are named `{name}`",
                        "give one another `id`: records tell them apart by it",
                    )
                seen.setdefault(name, path)

    def _languages(self) -> None:
        calls = self._things.calls
        for name, steps in self._steps.items():
            used: list[tuple[str, KeyPath]] = []
            for path, step, _ in steps:
                match step:
                    case schema.Step(say=schema.SayStep() as say):
                        used.append((say.prompt, (*path, "say")))
                    case schema.Step(hangup=schema.HangupStep(prompt=str() as prompt)):
                        used.append((prompt, (*path, "hangup")))
                    case schema.Step(menu=schema.MenuStep() as menu):
                        around = [menu.invalid or calls.invalid, menu.no_input or calls.no_input]
                        around += [] if menu.otherwise else [calls.goodbye]
                        used += [(each, (*path, "menu")) for each in (menu.prompt, *around) if each is not None]
                        self._choices(menu, path, self._clients[name])
                    case _:
                        pass
            for client in sorted(self._clients[name]):
                # Once for each prompt, wherever it is said.
                for prompt, path in dict(reversed(used)).items():
                    self._translations(client, prompt, path)
        for client, about in self._things.clients.items():
            lacking = [language for language in about.languages if about.greeting and language not in about.greeting]
            if lacking:
                self._add(
                    Code.NO_TRANSLATION,
                    ("clients", client, "greeting"),
                    f"the greeting is not there in {_listed(lacking)}",
                    f"add `{lacking[0]}: ...`",
                    key=True,
                )

    def _choices(self, menu: schema.MenuStep, path: KeyPath, clients: set[str]) -> None:
        for key, choice in menu.choices.items():
            for client in sorted(clients & self._things.clients.keys()):
                languages = self._things.clients[client].languages
                if choice.language is not None and choice.language not in languages:
                    self._add(
                        Code.NO_TRANSLATION,
                        (*path, "menu", "choices", key, "language"),
                        f"{client} is not served in `{choice.language}`",
                        f"write one of {', '.join(languages)}, or add it to clients.{client}.languages",
                    )

    def _translations(self, client: str, prompt: str, path: KeyPath) -> None:
        there = self._things.prompts.get(prompt)
        about = self._things.clients.get(client)
        if there is None or about is None:
            return
        lacking = [language for language in about.languages if language not in there.languages]
        if lacking:
            self._add(
                Code.NO_TRANSLATION,
                ("prompts", prompt),
                f"it is not there in {_listed(lacking)}, which {client} is served in ({dotted(path)})",
                f"add `{lacking[0]}: ...`",
                key=True,
            )

    def _queues(self) -> None:
        for name, steps in self._steps.items():
            for path, step, _ in steps:
                queue = self._things.queues.get(step.queue.to) if step.queue is not None else None
                if queue is None:
                    continue
                for client in sorted(self._clients[name] - {queue.client}):
                    self._add(
                        Code.OTHER_CLIENT,
                        (*path, "queue"),
                        f"callers of {client} would wait in a queue of {queue.client}",
                        f"lead them to a queue of {client}",
                    )
        if not self._things.broken["agents"]:
            for name, queue in self._things.queues.items():
                if queue.client in self._things.clients and not any(
                    serves(agent, queue) for agent in self._things.agents.values()
                ):
                    needs = ", ".join(f"{skill} {level}" for skill, level in queue.requirements.items())
                    self._add(
                        Code.NOBODY_SERVES,
                        ("queues", name),
                        f"nobody serves {queue.client} and has {needs}" if needs else f"nobody serves {queue.client}",
                        self._nearest(queue),
                        key=True,
                    )

    def _nearest(self, queue: schema.Queue) -> str:
        """Who comes nearest to serving a queue, and what he lacks."""
        best, least = "", 10**6
        for name, agent in self._things.agents.items():
            short = {s: lv for s, lv in queue.requirements.items() if agent.skills.get(s, 0) < lv}
            lacks = [f"{skill} {agent.skills.get(skill, 0)} of {level}" for skill, level in short.items()]
            distance = sum(level - agent.skills.get(skill, 0) for skill, level in short.items())
            if queue.client not in agent.clients:
                lacks.append(f"the client {queue.client}")
                distance += 3
            if distance < least:
                best, least = f"nearest is {name}, who lacks {_listed(lacks)}", distance
        return best or "add an agent"

    def _agents(self) -> None:
        for name, agent in self._things.agents.items():
            if not any(serves(agent, queue) for queue in self._things.queues.values()):
                self._add(
                    Code.UNUSED,
                    ("agents", name),
                    f"no queue's callers can come to {agent.name}",
                    "look at the skills and clients",
                    key=True,
                    warning=True,
                )

    def _endless(self) -> None:
        """A caller who presses nothing must come to an end: no flow may lead back to itself by queues alone."""
        for name in self._steps:
            for queue, target in self._onward(name, silent=True):
                way = self._way(target, name)
                if way is not None:
                    self._add(
                        Code.ENDLESS,
                        ("queues", queue, "on_max_wait"),
                        f"a caller who presses nothing goes round for ever: {' → '.join([name, *way])}",
                        "let one of them end with hangup",
                    )

    def _way(self, start: str, goal: str) -> list[str] | None:
        ways, seen = [[start]], {start}
        while ways:
            way = ways.pop(0)
            if way[-1] == goal:
                return way
            for _, target in self._onward(way[-1], silent=True):
                if target not in seen:
                    seen.add(target)
                    ways.append([*way, target])
        return None

    def _unused(self) -> None:
        queues = {step.queue.to for name in self._clients for _, step, _ in self._steps.get(name, ()) if step.queue}
        called = {number.client for number in self._things.numbers.values()}
        for kind, there, used, why in (
            (
                "flows",
                self._things.flows,
                {flow for flow, clients in self._clients.items() if clients},
                "no number leads to this flow",
            ),
            ("queues", self._things.queues, queues, "no flow that is used leads to this queue"),
            ("clients", self._things.clients, called, "no number belongs to this client"),
        ):
            found: Mapping[str, object] = there
            for name in found:
                if name not in used:
                    self._add(Code.UNUSED, (kind, name), why, key=True, warning=True)


def language_of(agent: schema.Agent, things: Things) -> str:
    """What an agent hears: the own language, else the first of the agent's first client; empty when that is broken."""
    client = things.clients.get(agent.clients[0]) if agent.clients else None
    return agent.language or (client.languages[0] if client is not None else "")


def serves(agent: schema.Agent, queue: schema.Queue) -> bool:
    """Whether an agent may take a queue's callers."""
    return queue.client in agent.clients and all(
        agent.skills.get(skill, 0) >= level for skill, level in queue.requirements.items()
    )


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
