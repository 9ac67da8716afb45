"""A floor told fact by fact, for the ledger's tests: who joins, waits, is answered, holds, wraps up; and crashes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from callcenter.ledger.figures import Figures, total
from callcenter.ledger.ledger import Ledger, fold
from callcenter.model.facts import (
    AgentLegEnded,
    AgentRang,
    AgentStateChanged,
    Body,
    CallConnected,
    CallEnded,
    CallHeld,
    CallQueued,
    CallResumed,
    Fact,
    OfferEnded,
    OfferMade,
    QueueLeft,
    SwitchStarted,
)
from callcenter.model.states import Device, EndCause, Intent, OfferResult, Side, VisitOutcome, Work

NINE = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Told:
    """Facts in the making. Time passes by :meth:`wait`, in seconds."""

    def __init__(self, at: datetime = NINE) -> None:
        self.at = at
        self.ms = 1_000_000
        self.boot = "boot1"
        self.facts: list[Fact] = []
        self.offers: dict[str, int] = {}

    def tell(self, body: Body, call: str | None = None) -> None:
        self.facts.append(Fact(len(self.facts) + 1, self.at, self.boot, self.ms, call, body))

    def wait(self, seconds: float) -> None:
        passed = round(seconds * 1000)
        self.ms += passed
        self.at += timedelta(milliseconds=passed)

    def reboot(self, *, ms: int = 5_000) -> None:
        """Another boot: its clock starts anew."""
        self.boot, self.ms = f"{self.boot}+", ms

    def started(self) -> None:
        self.tell(SwitchStarted("cc1", "0", "digest"))

    # Callers

    def joins(self, visit: str, queue: str = "sales", client: str = "acme", *, agent: str = "") -> None:
        self.tell(CallQueued(visit, queue, client, 0, (), self.ms, agent), f"call-{visit}")

    def leaves(self, visit: str, outcome: VisitOutcome, reason: str = "", queue: str = "sales") -> None:
        self.tell(QueueLeft(visit, queue, outcome, reason), f"call-{visit}")

    def hangs_up(self, visit: str) -> None:
        self.tell(CallEnded(Side.CALLER, EndCause.HANGUP), f"call-{visit}")

    # Offers and talks

    def offers_to(self, agent: str, visit: str, queue: str = "sales") -> str:
        number = self.offers[visit] = self.offers.get(visit, 0) + 1
        offer = f"{visit}-{number}"
        self.tell(OfferMade(visit, offer, 1, queue, agent, 20_000, 25_000), f"call-{visit}")
        self.is_at(agent, Work.RESERVED, offer=offer)
        return offer

    def rings(self, offer: str, agent: str) -> None:
        self.tell(AgentRang(offer, agent), self._call(offer))
        self.is_at(agent, Work.RINGING, offer=offer)

    def ends_offer(self, offer: str, agent: str, result: OfferResult) -> None:
        self.tell(OfferEnded(self._visit(offer), offer, agent, result), self._call(offer))
        self.is_at(agent, Work.IDLE)

    def answers(self, offer: str, agent: str, queue: str = "sales") -> None:
        visit = self._visit(offer)
        self.tell(OfferEnded(visit, offer, agent, OfferResult.ACCEPTED), self._call(offer))
        self.is_at(agent, Work.TALKING, offer=offer)
        self.tell(CallConnected(visit, offer, agent), self._call(offer))
        self.leaves(visit, VisitOutcome.ANSWERED, queue=queue)

    def connects(self, visit: str, agent: str, queue: str = "sales") -> str:
        """Offered, rung and answered in a moment."""
        offer = self.offers_to(agent, visit, queue)
        self.rings(offer, agent)
        self.answers(offer, agent, queue)
        return offer

    def holds(self, offer: str, agent: str, by: Side = Side.AGENT) -> None:
        self.tell(CallHeld(by, offer), self._call(offer))
        self.is_at(agent, Work.HELD, offer=offer)

    def resumes(self, offer: str, agent: str, by: Side = Side.AGENT) -> None:
        self.tell(CallResumed(by, offer), self._call(offer))
        self.is_at(agent, Work.TALKING, offer=offer)

    def parts(self, offer: str, agent: str, *, wraps_up: bool = True) -> None:
        self.tell(AgentLegEnded(offer, agent, Side.CALLER, EndCause.HANGUP), self._call(offer))
        if wraps_up:
            self.is_at(agent, Work.WRAP_UP, offer=offer)
        else:
            self.is_at(agent, Work.IDLE)
        self.hangs_up(self._visit(offer))

    # Agents

    def is_at(
        self,
        agent: str,
        work: Work = Work.IDLE,
        intent: Intent = Intent.READY,
        reason: str = "",
        device: Device = Device.REGISTERED,
        *,
        offer: str = "",
        remaining_ms: int = 0,
        forced: bool = False,
    ) -> None:
        state = AgentStateChanged(agent, intent, reason, work, device, "told", offer, forced, remaining_ms=remaining_ms)
        self.tell(state)

    # What it comes to

    def ledger(self) -> Ledger:
        return fold(self.facts)

    def figures(self) -> Figures:
        """All figures together, as of now; each cell of them adds up."""
        cells = self.ledger().figures(self.ms)
        assert not cells.gaps()
        return total(figures for _, figures in cells.every)

    @staticmethod
    def _visit(offer: str) -> str:
        return offer.rpartition("-")[0]

    def _call(self, offer: str) -> str:
        return f"call-{self._visit(offer)}"
