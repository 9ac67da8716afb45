"""TrunkGate: tells who calls by a trunk, and asks those for their password who have one; all others go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog

from callcenter.runtime.clock import Clock
from callcenter.signaling.challenger import NO, Challenger
from callcenter.signaling.trunks.board import TrunkBoard
from callcenter.signaling.trunks.trunk import Trunk
from callcenter.sip.digest import DigestServer, parse_directives
from callcenter.sip.endpoint import FromTrunk, Refusal, Screen

if TYPE_CHECKING:
    from callcenter.signaling.gate import Gate
    from callcenter.sip.flow import Flow
    from callcenter.sip.message import Request

# A trunk that is full has room again when somebody hangs up.
RETRY_AFTER = 5

log = structlog.get_logger()


class TrunkGate:
    """The first of the endpoint's screens. Whom it takes for a trunk is not asked by the others; ``then`` is the next.

    A trunk that has networks and an account must come from there and know the password. One with an account alone may
    come from anywhere: it is challenged when it calls in its own name or domain.
    """

    def __init__(
        self, board: TrunkBoard, digest: DigestServer, clock: Clock, then: Screen, gate: Gate | None = None
    ) -> None:
        self._board = board
        self._challenger = Challenger(digest, clock, gate)
        self._then = then

    def screen(self, request: Request, flow: Flow) -> str | FromTrunk | Refusal:
        """Whether the caller is a trunk; else what the next screen says."""
        if not len(self._board):
            return self._then(request, flow)
        trunk = self._board.by_flow(flow)
        if trunk is not None and trunk.settings.accept.account is None:
            return self._admit(trunk)
        claimed = trunk or self._claimed(request)
        if claimed is None:
            return self._then(request, flow)
        return self._ask(request, flow, claimed)

    def _claimed(self, request: Request) -> Trunk | None:
        """The trunk that who calls from anywhere says to be."""
        answers = [parse_directives(value) or {} for value in request.headers.all("Authorization")]
        users = [answer.get("username", "") for answer in answers if answer.get("realm") == self._challenger.realm]
        for user in users:
            trunk = self._board.by_user(user)
            if trunk is not None and not trunk.settings.accept.networks:
                return trunk
        if users:
            return None  # one of the agents, perhaps, whose domain may be the trunk's
        caller = request.from_.uri
        for trunk in self._board:
            accept, domain = trunk.settings.accept, trunk.settings.from_domain
            if accept.account is None or accept.networks:
                continue
            if caller.user == accept.account.user or (domain and caller.host.lower() == domain.lower()):
                return trunk
        return None

    def _ask(self, request: Request, flow: Flow, trunk: Trunk) -> FromTrunk | Refusal:
        who = self._challenger.who(request, flow, self._board.credentials)
        if isinstance(who, str) and self._board.by_user(who) is trunk:
            return self._admit(trunk)
        if isinstance(who, Refusal) and who is not NO:
            return who
        log.warning("a trunk was refused", trunk=trunk.id, source=flow.remote.host, why="wrong user or password")
        return who if isinstance(who, Refusal) else self._challenger.no(flow)

    def _admit(self, trunk: Trunk) -> FromTrunk | Refusal:
        if trunk.full:
            trunk.counts.received += 1
            trunk.counts.refused += 1
            return Refusal(503, (("Retry-After", str(RETRY_AFTER)),))
        return FromTrunk(trunk.id)

    def __repr__(self) -> str:
        return f"<TrunkGate before {len(self._board)} trunks>"
