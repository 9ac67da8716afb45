"""What nobody uses, and skills that nobody has or nobody asks for: all of it warnings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from callcenter.calls.phrases import needed_prompts
from callcenter.calls.settings import SUPERVISING
from callcenter.config.problems import Code, did_you_mean, many
from callcenter.config.references import Reference, references
from callcenter.config.things import Notes, Things
from callcenter.config.wording import names_position

# The kinds of things that are looked for, by their sections, and what is said of one that nobody uses.
WORDS = {
    "flows": "no number leads to this flow",
    "queues": "no flow that is used leads to this queue",
    "hours": "no flow or queue that is used asks for these hours",
    "prompts": "nobody is ever told it",
    "music": "it is played nowhere",
}
SECTIONS = {
    "flow": "flows",
    "queue": "queues",
    "set of hours": "hours",
    "prompt": "prompts",
    "piece of music": "music",
    "trunk": "trunks",
    "client": "clients",
}


def unused(things: Things, notes: Notes) -> None:
    """Note what no call can come to."""
    reached = _reached(things)
    for section, words in WORDS.items():
        for name in getattr(things, section):
            if (section, name) in reached or things.broken["flows"] or _place_in_line(section, name, things):
                continue
            notes.warn(Code.UNUSED, (section, name), words, "use it, or take it away")
    called = {number.client for number in things.numbers.values()}
    for name in things.clients:
        if name not in called:
            notes.warn(Code.UNUSED, ("clients", name), "no number belongs to this client", "use it, or take it away")
    if not any(supervisor.agent for supervisor in things.supervisors.values()):
        for code, about in things.feature_codes.items():
            if about.action in SUPERVISING:
                hint = "say under a supervisor whose phone is hers: {name: Sofia, agent: felipe}"
                notes.warn(Code.UNUSED, ("feature_codes", code), "no supervisor has a phone to dial it by", hint)
    for name, trunk in things.trunks.items():
        accepts = trunk.accept.networks or trunk.accept.certificates or trunk.accept.account
        if ("trunks", name) not in reached and not accepts and trunk.register_ is None:
            hint = "name it in the `outbound` of a client, or say under `accept` who comes by it"
            notes.warn(Code.UNUSED, ("trunks", name), "no call goes out by this trunk, and none comes in", hint)


def skills(things: Things, notes: Notes) -> None:
    """Note skills that are asked for and nobody has, and those that are there and nobody asks for."""
    best: dict[str, int] = defaultdict(int)
    for agent in things.agents.values():
        for skill, level in agent.skills.items():
            best[skill] = max(best[skill], level)
    asked = [each for each in _all_references(things) if each.kind == "skill" and each.path[0] != "agents"]
    for reference in asked:
        if reference.name not in best:
            hint = did_you_mean(reference.name, best, otherwise="give it to an agent, or take it away")
            notes.warn(Code.SKILL, reference.path, f"no agent has the skill `{reference.name}`", hint)
    names = {reference.name for reference in asked}
    for skill in best.keys() - names if names else ():
        having = [name for name, agent in things.agents.items() if skill in agent.skills]
        who = f"{having[0]} and {many(len(having) - 1, 'other')} have" if having[1:] else f"{having[0]} has"
        hint = did_you_mean(skill, names - best.keys(), otherwise="ask for it in a queue, or take it away")
        notes.warn(Code.SKILL, ("agents", having[0], "skills", skill), f"nobody asks for `{skill}`, which {who}", hint)


def _all_references(things: Things) -> Iterator[Reference]:
    for section in ("clients", "numbers", "flows", "queues", "agents"):
        for name, thing in getattr(things, section).items():
            yield from references(thing, (section, name))


def _reached(things: Things) -> set[tuple[str, str]]:
    """Everything that a call can come to, from the numbers and what holds for all calls."""
    todo: list[Reference] = [
        *references(things.calls, ("calls",)),
        *references(things.recordings, ("recordings",)),
        *(Reference("prompt", name, ()) for name in _said_by_us(things)),
        *(Reference("queue", name, ()) for name in _dialled(things)),
    ]
    if things.calls.music is None and things.music:
        todo.append(Reference("piece of music", next(iter(things.music)), ()))
    for section in ("numbers", "feature_codes", "clients"):
        for name, thing in getattr(things, section).items():
            todo += references(thing, (section, name))
    reached: set[tuple[str, str]] = set()
    while todo:
        reference = todo.pop()
        section = SECTIONS.get(reference.kind, "")
        here = (section, reference.name)
        if not section or here in reached:
            continue
        reached.add(here)
        thing = getattr(things, section).get(reference.name)
        if thing is not None and section in ("flows", "queues"):
            todo += references(thing, here)
    return reached


def _said_by_us(things: Things) -> Iterator[str]:
    """The prompts that are said without being named anywhere."""
    if things.feature_codes:
        yield from needed_prompts(things.reasons, limited=True, recorded=True)


def _dialled(things: Things) -> Iterator[str]:
    """The queues that agents can dial."""
    yield from (name for name, queue in things.queues.items() if queue.extension is not None)


def _place_in_line(section: str, name: str, things: Things) -> bool:
    """Whether it is a prompt that names a place in line: of these is told elsewhere why nobody hears them."""
    return section == "prompts" and any(names_position(parts) for parts in things.prompts[name].languages.values())
