"""What no single value shows: names that clash, callers nobody can serve, languages that are missing, endless flows."""

from __future__ import annotations

import ipaddress
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from callcenter.acd.requirements import Requirement, lacking, match, match_all, requirements, text
from callcenter.acd.settings import MAX_DISPOSITION, Dispositions
from callcenter.calls.phrases import needed_prompts, reason_prompt
from callcenter.calls.settings import CodeAction
from callcenter.config.agents import Agent
from callcenter.config.asked import asked
from callcenter.config.call_me import call_me
from callcenter.config.callbacks import callbacks
from callcenter.config.crm import integrations
from callcenter.config.desk import desk
from callcenter.config.dispositions import leaves
from callcenter.config.explain import KeyPath, dotted
from callcenter.config.flows import CollectStep, DoNotCallStep, HangupStep, MenuStep, SayStep, Step, When
from callcenter.config.followups import followups
from callcenter.config.gaps import hours
from callcenter.config.in_talk import entries
from callcenter.config.paths import Paths, Reach, Stop
from callcenter.config.problems import Code, Problems, did_you_mean
from callcenter.config.queues import OVERFLOW_KEYS, Queue
from callcenter.config.recordings import recordings
from callcenter.config.rounds import rounds, routing_steps
from callcenter.config.skills import needs_of
from callcenter.config.things import Notes, Things
from callcenter.config.times import times
from callcenter.config.tree import Node
from callcenter.config.unused import skills, unused
from callcenter.config.whispers import whisper_of
from callcenter.config.wording import HIGH, LOW, names, names_position, names_wait, numbers_asked
from callcenter.rtp.codecs import CODECS


def lint(things: Things, root: Node, problems: Problems, today: date) -> None:
    """Note everything that is wrong between the things."""
    notes = Notes(root, problems)
    _Lint(things, root, problems).run()
    hours(things, notes, today)
    rounds(things, notes)
    if not problems.fatal:  # else what is unused may be so by a mistake that is told already
        unused(things, notes)
        skills(things, notes)
        routing_steps(things, notes)
        times(things, Paths(things.flows, things.queues), notes)


class _Lint:
    def __init__(self, things: Things, root: Node, problems: Problems) -> None:
        self._things = things
        self._root = root
        self._problems = problems
        self._paths = Paths(things.flows, things.queues)
        self._steps = self._paths.stops
        self._clients = self._clients_of_flows()

    def run(self) -> None:
        self._numbers()
        self._codes()
        self._extensions()
        self._dispositions()
        self._supervisors()
        self._menus()
        self._branches()
        self._languages()
        self._announcements()
        self._whispers()
        self._queues()
        callbacks(self._things, self._paths, self._clients, Notes(self._root, self._problems))
        followups(self._things, Notes(self._root, self._problems))
        entries(self._things, Notes(self._root, self._problems))
        recordings(self._things, Notes(self._root, self._problems))
        integrations(self._things, Notes(self._root, self._problems))
        desk(self._things, Notes(self._root, self._problems))
        call_me(self._things, Notes(self._root, self._problems))
        asked(self._things, (stop for stops in self._steps.values() for stop in stops), self._add)
        self._hours()
        self._trunks()
        self._codecs()
        self._endless()
        if not self._problems.fatal:  # else what is unused may be so by a mistake that is told already
            self._untold_places()
            self._agents()

    def _add(
        self, code: Code, path: KeyPath, message: str, hint: str = "", *, key: bool = False, warning: bool = False
    ) -> None:
        place, name = self._root.place_of(path, key=key), dotted(self._root.existing(path))
        self._problems.add(code, place, name, message, hint, warning=warning)

    def _clients_of_flows(self) -> dict[str, set[str]]:
        clients: dict[str, set[str]] = defaultdict(set)
        todo = [(number.flow, number.client) for number in self._things.numbers.values()]
        todo += [(flow, name) for name, client in self._things.clients.items() for flow in client.in_talk]
        while todo:
            flow, client = todo.pop()
            if client not in clients[flow]:
                clients[flow].add(client)
                todo += [(onward.target, client) for onward in self._paths.onward(flow)]
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

    def _dispositions(self) -> None:
        """A disposition is short enough to be told, and one that a code dials is there for somebody."""
        things = self._things
        trees = {name: dict(leaves(client.dispositions or {})) for name, client in things.clients.items()}
        for name, codes in trees.items():
            for code in codes:
                if len(code) > MAX_DISPOSITION:
                    path: KeyPath = ("clients", name, "dispositions", *code.replace("/", "/codes/").split("/"))
                    message = f"`{code}` has {len(code)} characters: {MAX_DISPOSITION} at most"
                    self._add(Code.FORM, path, message, "take shorter names", key=True)
        for name, queue in things.queues.items():
            if queue.dispositions_required and queue.client in trees and not trees[queue.client]:
                self._add(
                    Code.MISSING,
                    ("queues", name, "dispositions_required"),
                    f"`{queue.client}` has no dispositions: there is nothing to choose from",
                    "add dispositions to the client, or take it away",
                )
            client = things.clients.get(queue.client)
            both = (client.wrap_up_fields or {}).keys() & (queue.wrap_up_fields or {}).keys() if client else ()
            for field in sorted(both):
                self._add(
                    Code.TWICE,
                    ("queues", name, "wrap_up_fields", field),
                    f"`{field}` is asked for after every talk of `{queue.client}` already",
                    "take it away here, or give it another name",
                    key=True,
                )
        dispositions = [Dispositions(codes) for codes in trees.values()]
        for code, about in things.feature_codes.items():
            given = about.wrap_up_done
            if given and dispositions and not any(each.find(given) for each in dispositions):
                known = sorted({code for codes in trees.values() for code in codes})
                self._add(
                    Code.NAMES_NOTHING,
                    ("feature_codes", code, "wrap_up_done"),
                    f"no client has the disposition `{given}`",
                    did_you_mean(given, known, otherwise=f"there are {', '.join(known)}"),
                )

    def _supervisors(self) -> None:
        """A login is one person's, and so is the phone."""
        phones: dict[str, str] = {}
        for name, about in self._things.supervisors.items():
            if about.agent is not None and phones.setdefault(about.agent, name) != name:
                self._add(
                    Code.TWICE,
                    ("supervisors", name, "agent"),
                    f"{phones[about.agent]} has the phone of `{about.agent}` already",
                    "take another agent: whose phone dials says who listens",
                )
        for name in self._things.supervisors:
            if name in self._things.agents:
                path: KeyPath = ("supervisors", name)
                self._add(
                    Code.TWICE, path, f"`{name}` is an agent already", "take another name for the login", key=True
                )

    def _extensions(self) -> None:
        """An extension reaches one agent or queue and nothing else, and a prefix chooses one client."""
        things = self._things
        owners = {number.lstrip("+"): number for number in things.numbers}
        owners |= {alias: name for name, number in things.numbers.items() for alias in number.aliases}
        owners |= {code: f"the code {code}" for code in things.feature_codes}
        parties: list[tuple[str, str, str | None]] = [
            *(("agents", name, agent.extension) for name, agent in things.agents.items()),
            *(("queues", name, queue.extension) for name, queue in things.queues.items()),
        ]
        for section, name, extension in parties:
            if extension is None:
                continue
            owner = owners.setdefault(extension, f"{section}.{name}")
            if owner != f"{section}.{name}":
                path: KeyPath = (section, name, "extension")
                self._add(Code.SAME_NUMBER, path, f"`{extension}` reaches {owner} already", "take another")
        chosen: dict[str, str] = {}
        for name, client in things.clients.items():
            if client.dial_prefix and chosen.setdefault(client.dial_prefix, name) != name:
                other = chosen[client.dial_prefix]
                self._add(
                    Code.SAME_NUMBER,
                    ("clients", name, "dial_prefix"),
                    f"`{client.dial_prefix}` chooses {other} already",
                    "take another",
                )
            elif client.dial_prefix and client.dial_prefix in owners:
                self._add(
                    Code.SAME_NUMBER,
                    ("clients", name, "dial_prefix"),
                    f"`{client.dial_prefix}` reaches {owners[client.dial_prefix]} already",
                    "take another, that nothing is dialled by",
                )

    def _phrases(self, code: str) -> None:
        things, broken = self._things, self._things.broken["prompts"]
        limited = any(reason.at_once is not None for reason in things.reasons.values())
        recorded = any(each.action.value.startswith("record_") for each in things.feature_codes.values())
        needed = list(needed_prompts(things.reasons, limited=limited, recorded=recorded))
        missing = [name for name in needed if name not in things.prompts and name not in broken]
        unsaid = {reason_prompt(reason): reason for reason in things.reasons}
        if missing and unsaid.keys() >= set(missing) and "" not in broken:
            for prompt in missing:
                self._add(
                    Code.MISSING,
                    ("acd", "reasons", unsaid[prompt]),
                    f"an agent who dials a code hears the reason, and there is no prompt `{prompt}`",
                    f'add it to `prompts`, e.g. {prompt}: {{en: "{things.reasons[unsaid[prompt]].label}"}}',
                    key=True,
                )
        elif missing and "" not in broken:
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
            for path, step in _placed(steps):
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
            for path, step in _placed(steps):
                match step:
                    case Step(say=SayStep() as say):
                        used.append((say.prompt, (*path, "say")))
                    case Step(do_not_call=DoNotCallStep(prompt=str() as prompt)):
                        used.append((prompt, (*path, "do_not_call")))
                    case Step(hangup=HangupStep(prompt=str() as prompt)):
                        used.append((prompt, (*path, "hangup")))
                    case Step(menu=MenuStep() as menu):
                        around = [menu.invalid or calls.invalid, menu.no_input or calls.no_input]
                        around += [] if menu.otherwise else [calls.goodbye]
                        used += [(each, (*path, "menu")) for each in (menu.prompt, *around) if each is not None]
                        for key, choice in menu.choices.items():
                            if choice.language is not None:
                                self._spoken(choice.language, (*path, "menu", "choices", key, "language"), name)
                    case Step(collect=CollectStep() as collect):
                        asked = [collect.prompt, collect.invalid or calls.invalid, collect.no_input or calls.no_input]
                        asked += [calls.goodbye] if collect.otherwise is None else []
                        used += [(each, (*path, "collect")) for each in asked if each is not None]
                    case Step(language=str() as language) if language != "customer":
                        self._spoken(language, (*path, "language"), name)
                    case _:
                        pass
            for client in sorted(self._clients[name]):
                # Once for each prompt, wherever it is said.
                for prompt, path in dict(reversed(used)).items():
                    self._translations(client, prompt, path)
            self._without_position(used)
        for client, about in self._things.clients.items():
            if about.supervision is not None and about.supervision.announce is not None:
                self._translations(client, about.supervision.announce, ("clients", client, "supervision", "announce"))
            lacking = [language for language in about.languages if about.greeting and language not in about.greeting]
            if lacking:
                self._add(
                    Code.NO_TRANSLATION,
                    ("clients", client, "greeting"),
                    f"the greeting is not there in {_listed(lacking)}",
                    f"add `{lacking[0]}: ...`",
                    key=True,
                )

    def _announcements(self) -> None:
        """What waiting callers are told must be there in the languages of the queue's company, and name the place."""
        things = self._things
        counting: set[str] = set()
        for name, queue in things.queues.items():
            path: KeyPath = ("calls", "announce") if queue.announce is None else ("queues", name, "announce")
            announce = queue.announce or things.calls.announce
            if announce is None:
                continue
            rest = [(prompt, (*path, "prompts", at)) for at, prompt in enumerate(announce.prompts)]
            rest += [(announce.beyond, (*path, "beyond"))] if announce.beyond is not None else []
            place = [(announce.position, (*path, "position"))] if announce.position is not None else []
            times: list[tuple[str, KeyPath]] = []
            if announce.wait is not None:
                times = [(getattr(announce.wait, key), (*path, "wait", key)) for key in ("under", "between")]
            for prompt, where in (*place, *times, *rest):
                self._translations(queue.client, prompt, where)
            self._without_position(rest)
            for prompt, where in times:
                if prompt not in counting:
                    self._with_times(prompt, where)
                counting.add(prompt)
            for prompt, where in place:
                if prompt not in counting:
                    self._with_position(prompt, where)
                counting.add(prompt)

    def _untold_places(self) -> None:
        things = self._things
        told = numbers_asked(things.calls, things.queues)
        for prompt, about in things.prompts.items():
            if prompt not in told and any(names_position(parts) for parts in about.languages.values()):
                self._add(
                    Code.POSITION,
                    ("prompts", prompt),
                    "nobody is ever told it: `{position}` has a meaning in `announce.position` alone",
                    "write announce: {position: " + prompt + "} under `calls` or at a queue",
                    key=True,
                    warning=True,
                )

    def _with_position(self, prompt: str, path: KeyPath) -> None:
        there = self._things.prompts.get(prompt)
        silent = [] if there is None else [tag for tag, parts in there.languages.items() if not names_position(parts)]
        if silent:
            self._add(
                Code.POSITION,
                ("prompts", prompt, silent[0]),
                f"it does not say the place in line, as {dotted(path)} wants",
                "write {position} where the number belongs, e.g. You are number {position} in line.",
            )

    def _with_times(self, prompt: str, path: KeyPath) -> None:
        there = self._things.prompts.get(prompt)
        wanted, unwanted = ((HIGH,), LOW) if path[-1] == "under" else ((LOW, HIGH), "")
        for tag, parts in there.languages.items() if there is not None else ():
            missing = [each for each in wanted if not names(each, parts)]
            if missing or (unwanted and names(unwanted, parts)):
                said = f"does not say {missing[0]}" if missing else f"says {unwanted}"
                example = "between {low} and {high} minutes" if path[-1] == "between" else "less than {high} minutes"
                self._add(
                    Code.POSITION,
                    ("prompts", prompt, tag),
                    f"it {said}, which {dotted(path)} wants otherwise",
                    f"write e.g. The expected wait is {example}.",
                )

    def _whispers(self) -> None:
        """What agents hear before a caller must be there in their languages."""
        things = self._things
        silent: set[KeyPath] = set()
        for queue, about in things.queues.items():
            path, written = whisper_of(queue, things)
            for name, agent in things.agents.items() if written else ():
                language = language_of(agent, things)
                if language and language not in written and path not in silent and serves(agent, queue, about):
                    silent.add(path)
                    self._add(
                        Code.NO_TRANSLATION,
                        path,
                        f"it is not there in {language}, which agents hear (agents.{name})",
                        f"add `{language}: ...`, or give the agent another `language`",
                        key=True,
                    )

    def _without_position(self, used: Sequence[tuple[str, KeyPath]]) -> None:
        for prompt, path in used:
            there = self._things.prompts.get(prompt)
            if there is not None and any(names_position(parts) for parts in there.languages.values()):
                self._add(
                    Code.POSITION,
                    path,
                    f"`{prompt}` names a place in line, and here there is none",
                    "take a prompt without {position}",
                )
            elif there is not None and any(names_wait(parts) for parts in there.languages.values()):
                self._add(
                    Code.POSITION,
                    path,
                    f"`{prompt}` names a time to wait, and here there is none",
                    "take a prompt without {low} and {high}",
                )

    def _spoken(self, language: str, path: KeyPath, flow: str) -> None:
        """A language that a flow changes to must be one of the companies' that it serves."""
        for client in sorted(self._clients[flow] & self._things.clients.keys()):
            languages = self._things.clients[client].languages
            if language not in languages:
                self._add(
                    Code.NO_TRANSLATION,
                    path,
                    f"{client} is not served in `{language}`",
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
            for path, step in _placed(steps):
                queue = self._things.queues.get(step.waiting[1].to) if step.waiting is not None else None
                if queue is None or step.waiting is None:
                    continue
                for client in sorted(self._clients[name] - {queue.client}):
                    self._add(
                        Code.OTHER_CLIENT,
                        (*path, step.waiting[0]),
                        f"callers of {client} would wait in a queue of {queue.client}",
                        f"lead them to a queue of {client}",
                    )
        names: dict[str, str] = {}
        for name, queue in self._things.queues.items():
            self._overflows(name, queue)
            for at, old in enumerate(queue.was):
                where: KeyPath = ("queues", name, "was", at)
                if old in self._things.queues or old in self._things.broken["queues"]:
                    message, hint = f"the queue `{old}` is still there", "name one that is not there any more"
                    self._add(Code.TWICE, where, message, hint)
                elif names.setdefault(old, name) != name:
                    message = f"`{old}` is {names[old]} now, as that says: its callers cannot go to both"
                    self._add(Code.TWICE, where, message, "leave it to one of the two queues")
        if not self._things.broken["agents"]:
            for name, queue in self._things.queues.items():
                if queue.client in self._things.clients and not any(
                    serves(agent, name, queue) for agent in self._things.agents.values()
                ):
                    needs = ", ".join(
                        f"{need.skill} {need.minimum}" if isinstance(need, Requirement) else text((need,))
                        for need in needs_of(queue.requirements)
                    )
                    self._add(
                        Code.NOBODY_SERVES,
                        ("queues", name),
                        f"nobody serves {queue.client} and has {needs}" if needs else f"nobody serves {queue.client}",
                        self._nearest(name, queue),
                        key=True,
                    )

                for at, relaxed in enumerate(queue.routing):
                    if not any(
                        meets(agent, name, queue, relaxed.requirements) for agent in self._things.agents.values()
                    ):
                        self._add(
                            Code.NOBODY_SERVES,
                            ("queues", name, "routing", at),
                            f"nobody meets what is asked from {relaxed.after:g} s on",
                            "a later step should ask for less than the one before, not for more",
                            warning=True,
                        )

    def _overflows(self, name: str, queue: Queue) -> None:
        """Where a queue's callers overflow to must be able to take them."""
        things = self._things
        client = things.clients.get(queue.client)
        for key, overflow in dict(queue.follows(event) for event in OVERFLOW_KEYS).items():
            path: KeyPath = ("queues", name, key)
            other = things.queues.get(overflow.queue or "")
            if other is not None and other.client != queue.client:
                message = f"callers of {queue.client} would wait in a queue of {other.client}"
                self._add(Code.OTHER_CLIENT, (*path, "queue"), message, f"name a queue of {queue.client}")
            if overflow.queue == name:
                message, hint = "the queue overflows into itself", "name another queue"
                self._add(Code.ENDLESS, (*path, "queue"), message, hint)
            if overflow.number is not None and client is not None and client.outbound is None:
                self._add(
                    Code.MISSING,
                    (*path, "number"),
                    f"{queue.client} has no trunk to dial a number by",
                    f"add `outbound: ...` to clients.{queue.client}, as trunks.yaml shows",
                )
        hours = things.hours.get(queue.hours or "")
        if hours is not None and hours.time_zone is None and client is not None and client.time_zone is None:
            self._add(
                Code.MISSING,
                ("hours", queue.hours or ""),
                f"it has no time zone, nor has {queue.client}, whose queue is open by it (queues.{name}.hours)",
                f"add `time_zone: ...` to it or to clients.{queue.client}, e.g. Europe/Madrid",
                key=True,
            )

    def _nearest(self, queue_name: str, queue: Queue) -> str:
        """Who comes nearest to serving a queue, and what he lacks."""
        best, least = "", 10**6
        for name, agent in self._things.agents.items():
            short = [need for need in needs_of(queue.requirements) if match(need, agent.skills) is None]
            lacks = [lack.removesuffix(" needed") for lack in lacking(short, agent.skills)]
            distance = sum(max(0, n.minimum - agent.skills.get(n.skill, 0)) for n in requirements(short))
            if queue.client not in agent.clients:
                lacks.append(f"the client {queue.client}")
                distance += 3
            if agent.queues is not None and queue_name not in agent.queues:
                lacks.append("a place in this queue")
                distance += 3
            if distance < least:
                best, least = f"nearest is {name}, who lacks {_listed(lacks)}", distance
        return best or "add an agent"

    def _agents(self) -> None:
        for name, agent in self._things.agents.items():
            for at, each in enumerate(agent.queues or ()):
                queue = self._things.queues.get(each)
                if queue is not None and queue.client not in agent.clients:
                    self._add(
                        Code.OTHER_CLIENT,
                        ("agents", name, "queues", at),
                        f"`{each}` is a queue of {queue.client}, whose callers {agent.name} does not take",
                        f"add {queue.client} to the agent's `clients`, or take the queue away",
                    )
            if not any(serves(agent, each, queue) for each, queue in self._things.queues.items()):
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
            for onward in self._paths.onward(name):
                way = self._paths.round(onward.target, name) if onward.reach is Reach.SILENT else None
                if way is not None:
                    self._add(
                        Code.ENDLESS,
                        onward.path,
                        f"a caller who presses nothing goes round for ever: {' → '.join([name, *way])}",
                        "let one of them end with hangup",
                    )
        for path in self._paths.unreached:
            self._add(
                Code.UNREACHED,
                path,
                "no call comes to this step: what stands before it ends the call, or leads elsewhere",
                "take it away, or look at the step before it",
                warning=True,
            )

    def _branches(self) -> None:
        """What a branch asks for must be something that a flow can have noted."""
        if self._things.broken["flows"]:
            return
        steps = [step for stops in self._steps.values() for _, step in _placed(stops)]
        attributes = {name for step in steps for name in step.set or ()}
        attributes |= {step.collect.into for step in steps if step.collect is not None}
        intents = {choice.intent for step in steps if step.menu for choice in step.menu.choices.values()} - {None}
        for flow, stops in self._steps.items():
            for path, when in _conditions(stops):
                for name in when.attribute.keys() - attributes:
                    self._add(
                        Code.NAMES_NOTHING,
                        (*path, "attribute", name),
                        f"no step sets the attribute `{name}`",
                        did_you_mean(name, attributes, otherwise="`set` and `collect` do"),
                        key=True,
                    )
                for at, intent in enumerate(when.intent):
                    if intent not in intents:
                        self._add(
                            Code.NAMES_NOTHING,
                            (*path, "intent", at),
                            f"no menu has the intent `{intent}`",
                            did_you_mean(
                                intent, filter(None, intents), otherwise="the choices of a menu have `intent`"
                            ),
                        )
                clients = self._clients[flow] & self._things.clients.keys()
                spoken = {language for client in clients for language in self._things.clients[client].languages}
                for at, language in enumerate(when.language):
                    if clients and language not in spoken:
                        self._add(
                            Code.NO_TRANSLATION,
                            (*path, "language", at),
                            f"no company of this flow is served in `{language}`",
                            f"write one of {', '.join(sorted(spoken))}",
                        )

    def _hours(self) -> None:
        """Hours are those of some time zone."""
        for flow, stops in self._steps.items():
            for name, path in _hours_asked(stops):
                hours_there = self._things.hours.get(name)
                if hours_there is None or hours_there.time_zone is not None:
                    continue
                for client in sorted(self._clients[flow] & self._things.clients.keys()):
                    if self._things.clients[client].time_zone is None:
                        self._add(
                            Code.MISSING,
                            ("hours", name),
                            f"it has no time zone, nor has {client}, who is served by it ({dotted(path)})",
                            f"add `time_zone: ...` to it or to clients.{client}, e.g. Europe/Madrid",
                            key=True,
                        )

    def _codecs(self) -> None:
        """A codec whose library is not here is left out, and whoever has no other gets no call."""
        lists: list[tuple[KeyPath, tuple[str, ...]]] = [(("media", "codecs"), self._things.codecs)]
        lists += [(("trunks", name, "codecs"), trunk.codecs or ()) for name, trunk in self._things.trunks.items()]
        lists += [(("agents", name, "codecs"), agent.codecs or ()) for name, agent in self._things.agents.items()]
        for path, listed in lists:
            missing = [name for name in listed if CODECS[name].missing]
            for name in missing:
                hint = f"{CODECS[name].missing}; or take it out of the list"
                if missing == list(listed):
                    self._add(Code.CODEC, path, f"there is nothing but `{name}`, whose library is not here", hint)
                else:
                    self._add(Code.CODEC, path, f"`{name}` is left out: its library is not here", hint, warning=True)

    def _trunks(self) -> None:
        """Whoever calls must be one trunk's, or nobody's."""
        networks: list[tuple[str, ipaddress.IPv4Network | ipaddress.IPv6Network]] = []
        owners: dict[str, str] = {name: f"the agent {name}" for name in self._things.agents}
        certificates: dict[str, str] = {}
        for name, trunk in self._things.trunks.items():
            if trunk.peers is None and not trunk.register_here:
                hint = "add `peers: ...`, or `register_here: true` where it registers at us"
                self._add(Code.MISSING, ("trunks", name), "`peers` is missing", hint, key=True)
            register: KeyPath = ("trunks", name, "register")
            if trunk.register_ is None and self._root.existing(register) == register:
                # A key without a value is as if it were not there, and whoever wrote this one waits for calls.
                hint = "write `register: {}` to register by the login at the first of the peers, or take it away"
                self._add(Code.FORM, register, "nothing stands behind it, so that nobody registers", hint, key=True)
            path: KeyPath = ("trunks", name, "accept")
            for at, written in enumerate(trunk.accept.networks):
                network = ipaddress.ip_network(written)
                for other, theirs in networks:
                    if other != name and network.version == theirs.version and network.overlaps(theirs):
                        self._add(
                            Code.SAME_SOURCE,
                            (*path, "networks", at),
                            f"who calls from there may be {other} too, which has {theirs}",
                            "leave it to one of the two trunks",
                        )
                networks.append((name, network))
            if trunk.accept.certificates and not self._things.asks_for_certificates:
                hint = "add `client_ca` under sip.tls: the file of who signs them"
                self._add(Code.MISSING, (*path, "certificates"), "who calls by TLS is asked for no certificate", hint)
            for at, certificate in enumerate(trunk.accept.certificates):
                if (owner := certificates.setdefault(certificate.lower(), name)) != name:
                    where, hint = (*path, "certificates", at), "leave it to one of the two trunks"
                    self._add(Code.SAME_SOURCE, where, f"the certificate is that of {owner} already", hint)
            account = trunk.accept.account
            if account is not None and owners.setdefault(account.user, f"the trunk {name}") != f"the trunk {name}":
                where, hint = (*path, "account", "user"), "take another user"
                self._add(Code.SAME_SOURCE, where, f"`{account.user}` is {owners[account.user]} already", hint)
            for at, number in enumerate(trunk.numbers or ()):
                if number not in self._things.numbers and number not in self._things.broken["numbers"]:
                    where = ("trunks", name, "numbers", at)
                    hint = did_you_mean(number, self._things.numbers, otherwise="add it to the section `numbers`")
                    self._add(Code.NAMES_NOTHING, where, f"no number is `{number}`", hint)


def language_of(agent: Agent, things: Things) -> str:
    """What an agent hears: the own language, else the first of the agent's first client; empty when that is broken."""
    client = things.clients.get(agent.clients[0]) if agent.clients else None
    return agent.language or (client.languages[0] if client is not None else "")


def _placed(stops: Iterable[Stop]) -> Iterator[tuple[KeyPath, Step]]:
    return ((stop.path, stop.step) for stop in stops)


def _conditions(stops: Iterable[Stop]) -> Iterator[tuple[KeyPath, When]]:
    """What the branches among these steps ask."""
    for path, step in _placed(stops):
        for at, case in enumerate(step.branch.cases if step.branch is not None else ()):
            if case.when is not None:
                yield (*path, "branch", "cases", at, "when"), case.when


def _hours_asked(stops: Iterable[Stop]) -> Iterator[tuple[str, KeyPath]]:
    """Each set of hours that these steps ask for, and where."""
    stops = list(stops)
    for path, step in _placed(stops):
        if step.hours is not None:
            yield step.hours.name, (*path, "hours")
    for path, when in _conditions(stops):
        yield from ((name, (*path, "hours")) for name in when.hours)


def serves(agent: Agent, name: str, queue: Queue) -> bool:
    """Whether an agent may take the callers of the queue of this name, at once or when its steps have relaxed it."""
    asked = (queue.requirements, *(step.requirements for step in queue.routing))
    return any(meets(agent, name, queue, each) for each in asked)


def meets(agent: Agent, name: str, queue: Queue, asked: Mapping[str, object]) -> bool:
    """Whether an agent may take callers of a queue who ask this."""
    if queue.client not in agent.clients or (agent.queues is not None and name not in agent.queues):
        return False
    return match_all(needs_of(asked), agent.skills) is not None


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
