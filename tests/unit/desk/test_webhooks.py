"""Receivers are told what became of calls: in order, signed, at least once, and none because of another."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from callcenter.config.crm import WebhookSettings
from callcenter.desk.integrations import lane, webhooks
from callcenter.desk.integrations.integrations import Integrations
from callcenter.desk.integrations.signature import key_of, sign
from callcenter.desk.integrations.store import ERASURES, Store
from callcenter.model.facts import (
    CallAnswered,
    CallArrived,
    CallConnected,
    CallEnded,
    CallQueued,
    CustomerErased,
    OfferMade,
    WrapUpEnded,
)
from callcenter.model.interaction import Interaction
from callcenter.model.states import EndCause, Side
from callcenter.signaling.trunks.settings import PasswordFrom
from tests.unit.desk.receiver import Receiver, Seen, eventually, open_receiver, response
from tests.unit.desk.support import Floor, open_floor

SECRET = "a secret of thirty-two characters"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses in which nobody has to wait for a test."""
    monkeypatch.setenv("HOOK", SECRET)
    monkeypatch.setattr(lane, "FIRST_RETRY", 0.02)
    monkeypatch.setattr(lane, "LAST_RETRY", 0.05)
    monkeypatch.setattr(webhooks, "LOOK_EVERY", 0.05)


def hook(receiver: Receiver, name: str = "crm", **more: Any) -> WebhookSettings:
    return WebhookSettings("acme", name, receiver.url, (PasswordFrom(env="HOOK"),), private=True, **more)


def told_to(floor: Floor, *hooks: WebhookSettings) -> None:
    """These are the receivers from now on."""
    floor.desk.settings = replace(floor.desk.settings, webhooks=hooks)


@contextlib.asynccontextmanager
async def running(floor: Floor) -> AsyncIterator[Integrations]:
    """A desk's webhooks, which are killed at the end of the block."""
    desk = floor.desk
    integrations = Integrations(lambda: desk.settings, desk.switch, desk.reader, desk.own, desk.clock, random=Random(1))
    task = asyncio.create_task(integrations.webhooks.run())

    # A receiver is told what happens once it is known.
    async def known() -> bool:
        return task.done() or len(integrations.webhooks.lanes) >= len(desk.settings.webhooks)

    await eventually(known)
    try:
        yield integrations
        assert not task.done(), task.result()
    finally:
        task.cancel()
        await asyncio.wait({task})
        integrations.web.close()


def call(floor: Floor, name: str, *, client: str = "acme", handled: bool = False) -> None:
    """A call from its first fact to its last."""
    add = floor.stream.append
    add(CallArrived(client, "welcome", "+12025550111", "", "+15555550100", "UDP", "x", "s"), name)
    add(CallAnswered(), name)
    if handled:
        add(CallQueued(f"{name}-1", "sales", "acme", 0, (), 0), name)
        add(OfferMade(f"{name}-1", "o1", 1, "sales", "ana", 20_000, 25_000), name)
        add(CallConnected(f"{name}-1", "o1", "ana"), name)
    add(CallEnded(Side.CALLER, EndCause.HANGUP, 0, "", 0), name)


async def test_every_finished_call_is_told_signed_and_in_order(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        async with running(floor):
            for number in range(5):
                call(floor, f"cc1-{number}")
            call(floor, "cc1-other", client="globex")
            await floor.written()
            seen = await receiver.has(5)
            assert [each.event["data"]["call"] for each in seen] == [f"cc1-{number}" for number in range(5)]
            first = seen[0].event
            assert (first["type"], first["data"]["version"], first["data"]["client"]) == (
                "interaction.finished", 1, "acme",
            )  # fmt: skip
            assert first["data"]["interaction"]["from_number"] == "+12025550111"
            headers = seen[0].headers
            wanted = sign([key_of(SECRET)], headers["webhook-id"], int(headers["webhook-timestamp"]), seen[0].body)
            assert headers["webhook-signature"] == wanted
            assert len({each.headers["webhook-id"] for each in seen}) == 5


async def test_a_wrap_up_makes_another_version(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        async with running(floor):
            call(floor, "cc1-1", handled=True)
            floor.stream.append(WrapUpEnded("ana", "o1", "sold"), "cc1-1")
            await floor.written()
            finished, changed = (each.event for each in await receiver.has(2))
            assert (finished["type"], finished["data"]["version"]) == ("interaction.finished", 1)
            assert (changed["type"], changed["data"]["version"]) == ("interaction.changed", 2)
            assert changed["data"]["because"] == "WrapUpEnded"
            assert changed["data"]["interaction"]["legs"][0]["disposition"] == "sold"


async def test_other_events_are_told_to_who_wants_them(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver, events=("call.queued", "call.answered")))
        async with running(floor):
            call(floor, "cc1-1", handled=True)
            await floor.written()
            seen = await receiver.has(2)
            assert [each.event["type"] for each in seen] == ["call.queued", "call.answered"]
            assert seen[0].event["data"]["data"]["queue"] == "sales"


@pytest.mark.parametrize("kill_when", ["before", "while", "after"])
async def test_nothing_is_lost_or_overtaken_when_the_desk_is_killed(tmp_path: Path, kill_when: str) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        async with running(floor):
            if kill_when != "before":
                if kill_when == "while":
                    receiver.answer = forever
                call(floor, "cc1-0")
                await floor.written()
                await receiver.has(1)
        receiver.answer = response()
        for number in range(1, 4):
            call(floor, f"cc1-{number}")
        await floor.written()
        wanted = [f"cc1-{number}" for number in range(0 if kill_when != "before" else 1, 4)]
        async with running(floor):

            async def told() -> bool:
                return [each.event["data"]["call"] for each in receiver.seen][-len(wanted) :] == wanted

            await eventually(told)
        ids = [each.headers["webhook-id"] for each in receiver.seen]
        calls = [each.event["data"]["call"] for each in receiver.seen]
        assert len(set(ids)) == len(wanted), "one id for each, however often it was sent"
        assert list(dict.fromkeys(calls)) == wanted


async def forever(seen: Seen) -> bytes:
    await asyncio.sleep(30)
    return response()


async def test_a_receiver_that_fails_gets_all_in_order_afterwards_and_no_other_waits_for_it(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as bad, open_receiver() as slow, open_receiver() as good:
        bad.answer, slow.answer = response(503), forever
        told_to(floor, hook(bad, "bad"), hook(slow, "slow", timeout=0.3), hook(good, "good"))
        async with running(floor) as integrations:
            for number in range(3):
                call(floor, f"cc1-{number}")
            await floor.written()
            assert [each.event["data"]["call"] for each in await good.has(3)] == ["cc1-0", "cc1-1", "cc1-2"]
            for receiver in (bad, slow):
                await receiver.has(2)
                # The first one is tried again: none overtakes it.
                assert {each.event["data"]["call"] for each in receiver.seen} == {"cc1-0"}
                tried = len(receiver.seen)
                receiver.answer = response(200, b"", "Content-Type: text/html")
                seen = await receiver.has(tried + 3)
                assert [each.event["data"]["call"] for each in seen[-2:]] == ["cc1-1", "cc1-2"]

            async def all_delivered() -> bool:
                counts = await integrations.store.counts()
                return counts == {name: {"delivered": 3} for name in ("acme.bad", "acme.slow", "acme.good")}

            await eventually(all_delivered)
            assert not any(row.lane.failures for row in integrations.webhooks.lanes.values())


async def test_what_is_given_up_is_listed_and_can_be_replayed_under_its_id(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        receiver.answer = response(500)
        told_to(floor, hook(receiver, give_up_after=0.05))
        admin = await floor.client()
        async with running(floor) as integrations:
            floor.desk.integrations = integrations
            call(floor, "cc1-0")
            call(floor, "cc1-1")
            await floor.written()
            path = "/api/v1/webhooks/acme.crm"

            async def given_up() -> bool:
                return bool((await admin.get(path)).json()["given_up"] == 2)

            await eventually(given_up)
            listed = (await admin.get(f"{path}/deliveries", params={"state": "given_up"})).json()["items"]
            assert [each["call"] for each in listed] == ["cc1-1", "cc1-0"]
            assert listed[0]["error"] == "it answered 500"
            sent = len(receiver.seen)
            receiver.answer = response()
            assert (await admin.post(f"{path}/replay")).json() == {"replayed": 2}
            seen = await receiver.has(sent + 2)
            assert [each.event["data"]["call"] for each in seen[-2:]] == ["cc1-0", "cc1-1"]
            assert [each.headers["webhook-id"] for each in seen[-2:]] == [each["id"] for each in reversed(listed)]
            one = f"{path}/deliveries/{listed[0]['id']}/replay"

            async def replayed() -> bool:
                return (await admin.post(one)).status_code == 200  # not before it is delivered

            await eventually(replayed)
            assert (await receiver.has(sent + 3))[-1].event["data"]["call"] == "cc1-1"


async def test_a_receiver_that_is_gone_is_off_until_somebody_turns_it_on(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        receiver.answer = response(410)
        told_to(floor, hook(receiver))
        admin = await floor.client()
        async with running(floor) as integrations:
            floor.desk.integrations = integrations
            call(floor, "cc1-0")
            await floor.written()

            async def disabled() -> bool:
                return bool((await admin.get("/api/v1/webhooks/acme.crm")).json()["state"] == "disabled")

            await eventually(disabled)
            assert "410" in (await admin.get("/api/v1/webhooks/acme.crm")).json()["reason"]
            receiver.answer = response()
            changed = await admin.patch("/api/v1/webhooks/acme.crm", json={"enabled": True})
            assert changed.json()["state"] == "well"
            assert (await receiver.has(2))[1].event["data"]["call"] == "cc1-0"


async def test_a_restored_switch_is_gone_on_with_from_where_it_is(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        async with running(floor) as integrations:
            pass
        await integrations.store.take([], 1_000_000, 0.0)
        async with running(floor) as integrations:

            async def begun_anew() -> bool:
                return await integrations.store.cursor() != 1_000_000

            await eventually(begun_anew)
            call(floor, "cc1-0")
            await floor.written()
            assert (await receiver.has(1))[0].event["data"]["call"] == "cc1-0"


async def test_a_secret_that_cannot_be_read_is_told_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK")
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        admin = await floor.client()
        async with running(floor) as integrations:
            floor.desk.integrations = integrations
            call(floor, "cc1-0")
            await floor.written()

            async def queued() -> bool:
                return bool((await admin.get("/api/v1/webhooks/acme.crm")).json()["pending"])

            await eventually(queued)
            shown = (await admin.get("/api/v1/webhooks/acme.crm")).json()
            assert (shown["state"], "no HOOK" in shown["reason"]) == ("unsigned", True)
            monkeypatch.setenv("HOOK", SECRET)
            await integrations.webhooks.refresh()
            await receiver.has(1)


async def test_what_is_erased_is_not_sent_any_more_and_not_kept(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        receiver.answer = response(503)
        told_to(floor, hook(receiver, events=("call.arrived", "interaction.finished")))
        async with running(floor) as integrations:
            for name in ("cc1-0", "cc1-1"):
                call(floor, name)
            await floor.written()
            await deliveries(floor, 4)
            # Of neither call is it known whose it is: what is erased in the switch's own tables tells.
            await erased(floor, "cc1-0")

            async def emptied() -> bool:
                return await floor.desk.own.fetch_all(
                    "SELECT call_id, event, state, body = x'' FROM deliveries ORDER BY n"
                ) == [
                    ("cc1-0", "call.arrived", "erased", 1),
                    ("cc1-0", "interaction.finished", "erased", 1),
                    ("cc1-1", "call.arrived", "pending", 0),
                    ("cc1-1", "interaction.finished", "pending", 0),
                ]

            await eventually(emptied)
            first = await integrations.store.first("acme.crm")
            assert first is not None
            assert first[0].call == "cc1-1"


@pytest.mark.parametrize("desk_was_there", [True, False])
async def test_who_is_erased_is_forgotten_also_where_nobody_is_told_of_anything(
    tmp_path: Path, desk_was_there: bool
) -> None:
    async with open_floor(tmp_path) as floor:
        store = floor.desk.integrations.store
        for client in ("acme", "globex"):
            await store.remember(client, "number +1", {"id": "c-1", "name": "Jo"}, 9e12)
        await store.set_cursor(ERASURES, 0)
        if desk_was_there:
            async with running(floor):
                floor.stream.append(CustomerErased("acme", (), "admin ada"))
                await floor.written()
                await eventually(lambda: forgotten(store, "acme"))
        else:
            floor.stream.append(CustomerErased("acme", (), "admin ada"))
            await floor.written()
            async with running(floor):
                await eventually(lambda: forgotten(store, "acme"))
        assert not await forgotten(store, "globex")


async def forgotten(store: Store, client: str) -> bool:
    return await store.remembered(client, "number +1", 0.0) is None


async def deliveries(floor: Floor, number: int) -> None:
    """Until so many were made."""

    async def made() -> bool:
        return await floor.desk.own.fetch_all("SELECT COUNT(*) FROM deliveries") == [(number,)]

    await eventually(made)


async def erased(floor: Floor, name: str) -> None:
    """Who has called is erased, as the switch does it."""
    storage = floor.storage
    storage.interactions.save(Interaction.from_facts(await storage.log.read(0, 100, name)))
    await storage.log.drained()
    await storage.erasure.erase_call(name, floor.desk.clock.now())
    floor.stream.append(CustomerErased("acme", (), "admin ada"))
    await floor.written()
