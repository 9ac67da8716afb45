"""Things: what of the configuration could be read, before it is held against each other."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from callcenter.config.acd import Reason
from callcenter.config.agents import Agent
from callcenter.config.calls import Calls
from callcenter.config.clients import Client
from callcenter.config.desk import Desk
from callcenter.config.explain import KeyPath, dotted
from callcenter.config.feature_codes import FeatureCode
from callcenter.config.flows import Flow
from callcenter.config.hours import Hours
from callcenter.config.numbers import Number
from callcenter.config.problems import Code, Problems
from callcenter.config.prompts import Music, Prompt
from callcenter.config.queues import Queue
from callcenter.config.recordings import Recordings
from callcenter.config.supervision import Supervisor
from callcenter.config.tree import Node
from callcenter.config.trunks import Trunk


@dataclass(slots=True)
class Things:
    """What of the configuration could be read; the names of what could not are in ``broken``."""

    calls: Calls = field(default_factory=Calls)
    recordings: Recordings = field(default_factory=Recordings)
    desk: Desk = field(default_factory=Desk)
    clients: dict[str, Client] = field(default_factory=dict)
    numbers: dict[str, Number] = field(default_factory=dict)
    flows: dict[str, Flow] = field(default_factory=dict)
    hours: dict[str, Hours] = field(default_factory=dict)
    queues: dict[str, Queue] = field(default_factory=dict)
    agents: dict[str, Agent] = field(default_factory=dict)
    feature_codes: dict[str, FeatureCode] = field(default_factory=dict)
    supervisors: dict[str, Supervisor] = field(default_factory=dict)
    reasons: dict[str, Reason] = field(default_factory=dict)
    prompts: dict[str, Prompt] = field(default_factory=dict)
    music: dict[str, Music] = field(default_factory=dict)
    trunks: dict[str, Trunk] = field(default_factory=dict)
    asks_for_certificates: bool = True
    codecs: tuple[str, ...] = ()
    broken: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class Notes:
    """Notes problems at paths of the configuration."""

    def __init__(self, root: Node, problems: Problems) -> None:
        self._root = root
        self._problems = problems

    def add(
        self, code: Code, path: KeyPath, message: str, hint: str = "", *, key: bool = False, warning: bool = False
    ) -> None:
        """Note one; ``key``: it is the key that is pointed at, not its value."""
        place, name = self._root.place_of(path, key=key), dotted(self._root.existing(path))
        self._problems.add(code, place, name, message, hint, warning=warning)

    def warn(self, code: Code, path: KeyPath, message: str, hint: str) -> None:
        """Note what does not keep the switch from starting, at its key."""
        self.add(code, path, message, hint, key=True, warning=True)
