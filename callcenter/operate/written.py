"""Written: a command that tells somebody of a fact waits until the fact is in the database, and not for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from callcenter.control.protocol import CommandError, Reason
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

# A healthy disk takes some milliseconds; whoever asks has something better to do than to wait for another.
PATIENCE = 2.0


async def written(house: House, seq: int) -> None:
    """Until fact ``seq`` is in the database, two seconds at most. Raises CommandError."""
    try:
        async with asyncio.timeout(PATIENCE):
            await house.edges.storage.log.flushed(seq)
    except (TimeoutError, StorageError) as error:
        detail = str(error) or house.edges.storage.log.detail or "it takes too long"
        raise CommandError(f"the log cannot be written: {detail}", Reason.UNAVAILABLE) from None
