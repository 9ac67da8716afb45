"""CallsSettings: the companies served, their numbers, and the flows that a call runs through."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from callcenter.media.plane import Clip
from callcenter.model.customer import normalise_number


@dataclass(frozen=True, slots=True)
class Client:
    """A company in whose name calls are answered. ``languages``: the first is spoken until another is chosen."""

    id: str
    name: str
    languages: tuple[str, ...]
    greeting: Mapping[str, str] = field(default_factory=dict)

    @property
    def language(self) -> str:
        """The language that a call begins in."""
        return self.languages[0]

    def greeting_for(self, language: str, agent: str) -> str:
        """What the agent named ``agent`` says first; in the client's first language when ``language`` has none."""
        text = self.greeting.get(language) or self.greeting.get(self.language, "")
        return text.replace("{agent}", agent)


@dataclass(frozen=True, slots=True)
class Number:
    """A number that callers dial, in E.164, and the short forms that reach it too."""

    number: str
    client: str
    flow: str
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Say:
    """Play a prompt. With ``barge_in`` a key ends it; the key counts for the next menu either way (type-ahead)."""

    prompt: str
    barge_in: bool = True


@dataclass(frozen=True, slots=True)
class Choice:
    """What a key of a menu means. ``language``: speak this from now on; None: stay."""

    intent: str
    language: str | None = None
    then: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Menu:
    """Play a prompt and take one key.

    ``timeout``: seconds to wait for a key after the prompt. ``retries``: how often it is asked again; ``invalid`` and
    ``no_input`` are prompts played before that (None: only the menu's own prompt again). ``otherwise``: the steps
    after the last try; the flow does not come back behind the menu from them, nor from a choice that ends the call.
    """

    id: str
    prompt: str
    choices: Mapping[str, Choice]
    timeout: float = 5.0
    retries: int = 2
    invalid: str | None = None
    no_input: str | None = None
    otherwise: tuple[Step, ...] = ()
    barge_in: bool = True


@dataclass(frozen=True, slots=True)
class ToQueue:
    """Wait in a queue for an agent. ``priority``: None takes the queue's.

    ``on_timeout``: the steps after the queue's longest wait, or when the queue refuses the caller; empty: the steps
    behind this one.
    """

    queue: str
    priority: int | None = None
    on_timeout: tuple[Step, ...] = ()


@dataclass(frozen=True, slots=True)
class Hangup:
    """Play a last prompt, if there is one, and end the call."""

    prompt: str | None = None


Step = Say | Menu | ToQueue | Hangup


@dataclass(frozen=True, slots=True)
class Flow:
    """The steps of a call, one after the other; behind the last one the call is hung up."""

    id: str
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class QueueTreatment:
    """What a caller hears in a queue, and from an agent who holds: ``music`` is the id of a piece."""

    queue: str
    music: str


@dataclass(frozen=True, slots=True)
class Prompts:
    """Every prompt and every piece of music as sound on disk, by prompt id and language."""

    texts: Mapping[tuple[str, str], tuple[Clip, ...]] = field(default_factory=dict)
    pieces: Mapping[str, tuple[Clip, ...]] = field(default_factory=dict)

    def prompt(self, id: str, language: str) -> tuple[Clip, ...]:
        """The clips of a prompt. Raises KeyError for one that the configuration does not have."""
        return self.texts[id, language]

    def music(self, id: str) -> tuple[Clip, ...]:
        """The clips of a piece of music, to be looped. Raises KeyError."""
        return self.pieces[id]

    def clips(self) -> Iterator[Clip]:
        """Every clip, for the media plane to prepare."""
        for clips in (*self.texts.values(), *self.pieces.values()):
            yield from clips


class CodeAction(StrEnum):
    """What an agent may order by dialling a code. ``STATE``: nothing, but hear how things stand."""

    READY = "ready"
    NOT_READY = "not_ready"
    SIGN_OUT = "sign_out"
    WRAP_UP_DONE = "wrap_up_done"
    WRAP_UP_EXTEND = "wrap_up_extend"
    STATE = "state"


@dataclass(frozen=True, slots=True)
class FeatureCode:
    """What a dialled code means; ``reason`` of being not ready, ``disposition`` of the call that is wrapped up."""

    action: CodeAction
    reason: str = ""
    disposition: str = ""


@dataclass(frozen=True, slots=True)
class CallsSettings:
    """All that the scripts of calls go by.

    ``reasons`` for being not ready, with what each means in words. ``feature_codes`` by what an agent dials;
    ``agent_languages`` is what each agent hears then.
    ``pop_wait``: seconds that an agent's INVITE waits for the broker's acknowledgement of the screen pop.
    ``max_calls``: calls at once; one more is answered 503.
    """

    clients: Mapping[str, Client] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    flows: Mapping[str, Flow] = field(default_factory=dict)
    treatments: Mapping[str, QueueTreatment] = field(default_factory=dict)
    prompts: Prompts = field(default_factory=Prompts)
    reasons: Mapping[str, str] = field(default_factory=dict)
    feature_codes: Mapping[str, FeatureCode] = field(default_factory=dict)
    agent_languages: Mapping[str, str] = field(default_factory=dict)
    pop_wait: float = 0.15
    max_calls: int = 400

    def find_number(self, dialled: str) -> Number | None:
        """The number that was dialled: in full, without its plus, with ``00`` for it, or by an alias."""
        wanted = normalise_number(dialled)
        found = self.numbers.get(wanted) or self.numbers.get("+" + wanted)
        if found is not None:
            return found
        return next((each for each in self.numbers.values() if wanted in each.aliases), None)
