"""``/metrics``: what Prometheus asks for. Counts alone: no person, no number."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.identity import TheDesk, who_asks
from callcenter.desk.metrics import render
from callcenter.desk.problems import Problem
from callcenter.desk.switch import SwitchAway
from callcenter.model.access import Scope

router = APIRouter(tags=["operations"])

# Headers by which a proxy says that somebody else asks.
_BY_A_PROXY = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


_bearer = HTTPBearer(auto_error=False)


async def may_scrape(request: Request, desk: TheDesk) -> None:
    """Let in who asks from this machine itself, and a token that may read reports. Raises Problem."""
    bearer = await _bearer(request)
    if bearer is None and _from_this_machine(request):
        return
    actor = await who_asks(request, desk, bearer)
    if not actor.may(Scope.REPORTS_READ) or actor.clients is not None:
        detail = f"this takes the scope {Scope.REPORTS_READ} for all companies"
        raise Problem(403, Reason.FORBIDDEN, detail, scope=Scope.REPORTS_READ)


@router.get("/metrics", dependencies=[Depends(may_scrape)], response_class=Response)
async def metrics(desk: TheDesk) -> Response:
    """The text format of Prometheus. While the switch is away `callcenter_switch_up` is 0, and the rest is what is
    known without it. From this machine no token is needed; through a proxy, and from elsewhere, one is.
    """
    ended = desk.ended_calls
    await ended.read(desk.reader)
    beside = _sizes(desk.settings.storage.path)
    others = await desk.integrations.figures()
    try:
        told: Mapping[str, Any] = await desk.switch.ask("metrics", None)
    except (SwitchAway, CommandError):
        return _text(render({}, ended, {**beside, "callcenter_switch_up": 0}, others))
    return _text(render(told, ended, {**beside, "callcenter_switch_up": 1}, others))


def _text(rendered: str) -> Response:
    return Response(rendered, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _sizes(database: Path) -> dict[str, float]:
    """Bytes of the database and of its write-ahead log; what is not there is 0."""

    def size(path: Path) -> int:
        try:
            return os.stat(path).st_size
        except OSError:
            return 0

    wal = database.with_name(database.name + "-wal")
    return {"callcenter_db_bytes": size(database), "callcenter_db_wal_bytes": size(wal)}


def _is_local(host: str) -> bool:
    """Whether a host can be nobody's name but this machine's: an address, or one without a domain."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return "." not in host
    return True


def _from_this_machine(request: Request) -> bool:
    if request.client is None or any(name in request.headers for name in _BY_A_PROXY):
        return False
    # A page in a browser here asks by a name of its own that leads to us (DNS rebinding).
    if not _is_local(request.url.hostname or ""):
        return False
    try:
        return ipaddress.ip_address(request.client.host).is_loopback
    except ValueError:
        return False
