"""What somebody is told to be kept is in the database, whichever table it is of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from callcenter.model.do_not_call import Entry, Source
from callcenter.simulation.clock import SimClock, run
from callcenter.simulation.database import SimDatabase
from callcenter.storage import log
from callcenter.storage.callbacks import Callbacks
from callcenter.storage.database import StorageError
from callcenter.storage.do_not_call import DoNotCall
from callcenter.storage.followups import Followups
from callcenter.storage.store import Storage
from tests.unit.storage.test_callbacks import ANN
from tests.unit.storage.test_followups import ONE

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)

Store = Followups | DoNotCall | Callbacks


def followup(storage: Storage) -> Store:
    storage.followups.keep(ONE)
    return storage.followups


def number(storage: Storage) -> Store:
    storage.do_not_call.keep(Entry("e-1", "acme", "+420777123456", "said so", Source.API, "", "ana", NOON, None))
    return storage.do_not_call


def callback(storage: Storage) -> Store:
    storage.callbacks.keep(ANN)
    return storage.callbacks


def erased(storage: Storage) -> Store:
    storage.callbacks.forget_person("acme", ["c1"], ["+14155550199"])
    return storage.callbacks


@pytest.mark.parametrize("keep", [followup, number, callback, erased])
def test_what_the_log_had_no_room_for_is_not_told_to_be_kept(
    keep: Callable[[Storage], Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> None:
        database = SimDatabase()
        storage = await Storage.over(database, clock=SimClock(asyncio.get_running_loop()))
        with monkeypatch.context() as full:
            full.setattr(log, "MAX_WAITING", 0)
            store = keep(storage)
            with pytest.raises(StorageError, match="it had to be let go"):
                await store.kept(1.0)
        await store.kept(1.0)  # who looks later is told of what is there
        await keep(storage).kept(1.0)
        await storage.close()
        database.destroy()

    run(story())
