"""``/metrics``: what Prometheus asks for. Counts alone: no person, no number."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
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
from callcenter.storage.backup import last_made
from callcenter.storage.database import StorageError

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
    ended, beside = desk.ended_calls, _sizes(desk.settings.storage.path)
    if (backed_up := last_made(desk.settings.switch.data)) is not None:
        beside["callcenter_last_backup_time_seconds"] = backed_up.timestamp()
    # One of these fails when one looks here: what the others know is told all the same.
    try:
        await ended.read(desk.reader)
        beside["callcenter_desk_db_readable"] = 1
    except StorageError:
        beside["callcenter_desk_db_readable"] = 0
    others = None
    with contextlib.suppress(StorageError):
        others = await desk.integrations.figures()
    told: Mapping[str, Any] = {}
    try:
        told = await desk.switch.ask("metrics", None)
        beside["callcenter_switch_up"] = 1
    except (SwitchAway, CommandError):
        beside["callcenter_switch_up"] = 0
    if floor := told.get("floor"):
        beside["callcenter_desk_facts_behind"] = max(0, floor["database"]["facts"] - desk.hub.position)
    return _text(render(told, ended, beside, others))


def _text(rendered: str) -> Response:
    return Response(rendered, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _sizes(database: Path) -> dict[str, float]:
    """Bytes of the database and of its write-ahead log, and those free beside them; what is not there is 0."""

    def size(path: Path) -> int:
        try:
            return os.stat(path).st_size
        except OSError:
            return 0

    wal = database.with_name(database.name + "-wal")
    sizes: dict[str, float] = {"callcenter_db_bytes": size(database), "callcenter_db_wal_bytes": size(wal)}
    with contextlib.suppress(OSError):
        sizes["callcenter_data_free_bytes"] = shutil.disk_usage(database.parent).free
    return sizes


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
