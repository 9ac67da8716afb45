"""WrapUpFields: what agents filled in after a talk, with the values that were there before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from callcenter.storage.database import Database, storable
from callcenter.storage.log import FactLog


@dataclass(frozen=True, slots=True)
class FieldValue:
    """One value of one field in one talk, from ``revision`` on; None: none any more. ``at`` is UTC in ISO 8601."""

    call: str
    offer: str
    field: str
    revision: int
    client: str
    agent: str
    value: str | None
    at: str
    by: str
    why: str = ""

    def plain(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self)


class WrapUpFields:
    """Written behind the facts, by the log's writer; read by call."""

    def __init__(self, database: Database, log: FactLog) -> None:
        self._database = database
        self._log = log

    def keep(self, *values: FieldValue) -> None:
        """These hold from now on, together. Never waits."""
        self._log.put(
            *(
                (
                    _INSERT,
                    (
                        storable(each.call),
                        storable(each.offer),
                        storable(each.field),
                        each.revision,
                        storable(each.client),
                        storable(each.agent),
                        None if each.value is None else storable(each.value),
                        each.at,
                        storable(each.by),
                        storable(each.why),
                    ),
                )
                for each in values
            )
        )

    async def of_call(self, call: str) -> list[FieldValue]:
        """Every value that was ever given in a call, by talk and field, the first one first. Raises StorageError."""
        rows = await self._database.fetch_all(
            "SELECT call_id, offer, field, revision, client, agent, value, at, by, why FROM wrap_up_fields"
            " WHERE call_id = ? ORDER BY offer, field, revision",
            (storable(call),),
        )
        return [FieldValue(*row) for row in rows]


def in_force(values: list[FieldValue]) -> Mapping[tuple[str, str], FieldValue]:
    """What holds of values as :meth:`WrapUpFields.of_call` gives them, by offer and field."""
    return {(each.offer, each.field): each for each in values}


_INSERT = (
    "INSERT INTO wrap_up_fields (call_id, offer, field, revision, client, agent, value, at, by, why)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (call_id, offer, field, revision) DO NOTHING"
)
