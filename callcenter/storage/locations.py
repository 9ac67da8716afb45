"""Locations: registrations kept over a restart, their expiry as an instant of UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from callcenter.model.facts import utc
from callcenter.runtime.clock import Clock
from callcenter.runtime.encoding import from_json, json_text
from callcenter.sip.errors import SipError
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.registrar import Binding
from callcenter.sip.uri import Uri
from callcenter.storage.database import Database, Statement, storable
from callcenter.storage.log import FactLog


class Locations:
    """Where each address of record can be reached. In memory, expiry counts seconds of ``clock.monotonic()``."""

    def __init__(self, database: Database, log: FactLog, clock: Clock) -> None:
        self._database = database
        self._log = log
        self._clock = clock
        # The contact and instance of each row that was saved here: a refresh changes the rows that are there already.
        self._rows: dict[str, set[tuple[str, str]]] = {}

    def save(self, aor: str, bindings: Sequence[Binding]) -> None:
        """These are the bindings of ``aor`` from now on; none removes it. Never waits."""
        elapsed, now = self._clock.monotonic(), self._clock.now()
        aor = storable(aor)
        rows = [(storable(str(binding.contact)), storable(binding.instance or "")) for binding in bindings]
        statements: list[Statement] = []
        if set(rows) != self._rows.get(aor):
            statements.append(("DELETE FROM locations WHERE aor = ?", (aor,)))
        for row, binding in zip(rows, bindings, strict=True):
            expires_at = utc(now + timedelta(seconds=binding.expires_at - elapsed))
            statements.append((_INSERT, (aor, *row, expires_at, json_text(_plain(binding)))))
        if rows:
            self._rows[aor] = set(rows)
        else:
            self._rows.pop(aor, None)
        self._log.put(*statements)

    async def load_all(self) -> dict[str, list[Binding]]:
        """The bindings that have not run out, by address of record. Raises StorageError.

        A connection of the time before is gone: its bindings have flow connection 0, reuse or open one.
        A row that this program cannot read is left out: its phone registers again.
        """
        elapsed, now = self._clock.monotonic(), self._clock.now()
        found: dict[str, list[Binding]] = {}
        rows = await self._database.fetch_all(
            "SELECT aor, expires_at, binding FROM locations WHERE expires_at > ? ORDER BY aor, expires_at", (utc(now),)
        )
        for aor, expires_at, text in rows:
            left = (datetime.fromisoformat(expires_at) - now).total_seconds()
            try:
                binding = _binding(from_json(text), elapsed + left)
            except (SipError, ValueError, KeyError, TypeError):
                continue
            found.setdefault(aor, []).append(binding)
        return found


_INSERT = (
    "INSERT INTO locations (aor, contact, instance, expires_at, binding) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (aor, contact, instance) DO UPDATE SET expires_at = excluded.expires_at, binding = excluded.binding"
)


def _plain(binding: Binding) -> dict[str, Any]:
    flow = binding.flow
    return {
        "contact": str(binding.contact),
        "flow": {
            "transport": flow.transport.value,
            "local": [flow.local.host, flow.local.port],
            "remote": [flow.remote.host, flow.remote.port],
        },
        "q": binding.q,
        "call_id": binding.call_id,
        "cseq": binding.cseq,
        "path": list(binding.path),
        "instance": binding.instance,
        "user_agent": binding.user_agent,
        "reg_id": binding.reg_id,
    }


def _binding(values: dict[str, Any], expires_at: float) -> Binding:
    flow = values["flow"]
    return Binding(
        contact=Uri.parse(values["contact"]),
        flow=Flow(Transport[flow["transport"]], Address(*flow["local"]), Address(*flow["remote"])),
        q=values["q"],
        expires_at=expires_at,
        call_id=values["call_id"],
        cseq=values["cseq"],
        path=tuple(values["path"]),
        instance=values["instance"],
        user_agent=values["user_agent"],
        reg_id=values.get("reg_id", 0),
    )
