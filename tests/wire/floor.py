"""What the shipped floor is, as far as the tests lean on it, and its phones ready to be plugged in."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from tests.wire.baresip import Baresip
from tests.wire.switch import ROOT, Switch

CALLER = "+14155550100"


@dataclass(frozen=True, slots=True)
class Company:
    """A company of the shipped configuration, one way through its menu, and an agent who may take that call."""

    id: str
    name: str
    alias: str
    key: str
    intent: str
    queue: str
    agent: str

    @property
    def keys(self) -> str:
        """What an impatient caller presses: the key, and one more, that cuts the announcement short."""
        return self.key + "#"


TECH = Company("the-tech-giant", "The Tech Giant", "1000", "1", "sales", "tech-giant-sales-en", "ana")
LUMINA = Company("casa-lumina", "Casa Lumina", "2000", "1", "sales", "lumina-sales", "carla")


def known_customer(company: Company) -> tuple[str, str]:
    """A number and the name of its owner, from the shipped customers."""
    with (ROOT / "config" / "customers.csv").open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["client"] == company.id)
    return row["numbers"].split(";")[0], row["name"]


def agent_phone(
    switch: Switch,
    folder: Path,
    company: Company,
    *,
    hz: float = 880.0,
    transport: str = "udp",
    codec: str = "PCMU",
) -> Baresip:
    """The phone of the company's agent, that registers when its block begins."""
    line = switch.agent(company.agent)
    return Baresip(
        folder / f"agent-{company.agent}",
        line["user"],
        switch.address(transport),
        password=line["password"],
        hz=hz,
        transport=transport,
        codec=codec,
    )


def caller_phone(
    switch: Switch,
    folder: Path,
    number: str = CALLER,
    *,
    hz: float = 440.0,
    transport: str = "udp",
    codec: str = "PCMU",
) -> Baresip:
    """Somebody's phone, that registers nowhere."""
    return Baresip(
        folder / f"caller{number.strip('+')}",
        number,
        switch.address(transport),
        hz=hz,
        transport=transport,
        codec=codec,
    )


async def talk(caller: Baresip, agent: Baresip, company: Company) -> None:
    """From dialling to talking: each hears the other's tone."""
    await agent.registered()
    await caller.dial(company.alias)
    await caller.event("CALL_ESTABLISHED")
    await caller.press(company.keys)
    await agent.event("CALL_INCOMING")
    await agent.accept()
    await agent.event("CALL_ESTABLISHED")
    await caller.heard(agent.hz)
    await agent.heard(caller.hz)
