"""Receivers by the API: made, changed, tried, told a new secret, and taken away; and how CRMs do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from callcenter.config.crm import CrmSettings
from callcenter.control.protocol import Asked
from callcenter.desk.integrations.signature import key_of
from callcenter.desk.integrations.store import KEPT_FOR, Event
from callcenter.model.access import Role, Scope
from callcenter.model.facts import CallArrived
from callcenter.signaling.trunks.settings import PasswordFrom
from callcenter.storage.database import Row, Value
from tests.unit.desk.receiver import eventually, open_receiver, response
from tests.unit.desk.support import open_floor
from tests.unit.desk.test_webhooks import SECRET, hook, running, told_to

NEW = {"client": "acme", "url": "https://crm.example.com/calls", "events": ["interaction", "call.answered"]}
PATH = "/api/v1/webhooks"


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", SECRET)


async def test_a_receiver_is_made_once_for_each_key_and_its_secret_is_shown_this_once(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        admin = await floor.client()
        key = {"Idempotency-Key": "k1"}
        made = await admin.post(PATH, json=NEW, headers=key)
        assert made.status_code == 201
        shown = made.json()
        assert len(key_of(shown["secret"])) == 32
        assert (shown["state"], shown["configured"], shown["pending"]) == ("well", False, 0)
        assert (await admin.post(PATH, json=NEW, headers=key)).json() == shown
        other = await admin.post(PATH, json={**NEW, "url": "https://x.example.com/"}, headers=key)
        assert (other.status_code, other.json()["field"]) == (409, "Idempotency-Key")
        listed = (await admin.get(PATH)).json()["items"]
        assert [each["id"] for each in listed] == [shown["id"]]
        assert "secret" not in listed[0]


async def test_a_receiver_is_changed_and_gets_a_new_secret_while_the_old_one_still_signs(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        admin = await floor.client()
        made = (await admin.post(PATH, json=NEW)).json()
        path = f"{PATH}/{made['id']}"
        changed = (await admin.patch(path, json={"events": ["call"], "description": "ours", "enabled": False})).json()
        assert (changed["events"], changed["description"], changed["state"]) == (["call"], "ours", "off")
        assert (await admin.patch(path, json={"enabled": True})).json()["state"] == "well"
        secret = (await admin.post(f"{path}/secret")).json()["secret"]
        keys = floor.desk.integrations.webhooks.receivers[made["id"]].keys
        assert keys == (key_of(secret), key_of(made["secret"]))
        again = (await admin.post(f"{path}/secret")).json()["secret"]
        keys = floor.desk.integrations.webhooks.receivers[made["id"]].keys
        assert keys == (key_of(again), key_of(secret), key_of(made["secret"])), "whose answer was lost has it sign on"
        assert (await admin.delete(path)).status_code == 204
        assert (await admin.get(path)).status_code == 404
        assert (await admin.get(PATH)).json()["items"] == []
        acts = [each.fields for each in floor.asked if each.do == "audited"]
        assert {(act["client"], act["target"]) for act in acts} == {("acme", made["id"])}
        assert [act["action"].removeprefix("webhook_") for act in acts] == [
            "create", "change", "change", "secret", "secret", "delete",
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"client": "nobody"}, "client"),
        ({"url": "http://crm.example.com/"}, "url"),
        ({"url": "https://me:word@crm.example.com/"}, "url"),
        ({"url": "crm"}, "url"),
        ({"events": ["calls"]}, "events"),
        ({"events": []}, "events"),
        ({"secret": "mine"}, "secret"),
    ],
)
async def test_what_cannot_be_is_refused_by_field(tmp_path: Path, wrong: dict[str, object], field: str) -> None:
    async with open_floor(tmp_path) as floor:
        refused = await (await floor.client()).post(PATH, json={**NEW, **wrong})
        assert refused.status_code == 422
        assert field in refused.json()["field"]


async def test_one_of_the_configuration_is_changed_there(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        admin = await floor.client()
        (shown,) = (await admin.get(PATH)).json()["items"]
        assert (shown["id"], shown["configured"]) == ("acme.crm", True)
        for refused in (
            await admin.delete(f"{PATH}/acme.crm"),
            await admin.patch(f"{PATH}/acme.crm", json={"url": "https://x.example.com"}),
            await admin.post(f"{PATH}/acme.crm/secret"),
        ):
            assert (refused.status_code, refused.json()["reason"]) == (409, "conflict")


async def test_a_test_says_what_came_of_it(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        admin = await floor.client()
        tested = (await admin.post(f"{PATH}/acme.crm/test")).json()
        assert (tested["delivered"], tested["status"], tested["error"]) == (True, 200, "")
        assert receiver.seen[0].event["type"] == "webhook.test"
        receiver.answer = response(302, b"", "Location: http://127.0.0.1/")
        tested = (await admin.post(f"{PATH}/acme.crm/test")).json()
        assert (tested["delivered"], tested["error"]) == (False, "it answered 302: no redirect is followed")
        made = (await admin.post(PATH, json={**NEW, "url": f"https://localhost:{receiver.port}/"})).json()
        tested = (await admin.post(f"{PATH}/{made['id']}/test")).json()
        assert tested["error"] == "it is on this machine or in a private network, where we send nothing"


async def test_receivers_are_for_who_holds_the_scope_and_each_company_for_itself(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        other = await floor.client(clients={"globex"})
        assert (await other.get(PATH)).json()["items"] == []
        assert (await other.post(PATH, json=NEW)).status_code == 422
        for method, rest in (
            ("GET", ""), ("DELETE", ""), ("GET", "/deliveries"), ("POST", "/replay"), ("POST", "/test"),
            ("POST", "/secret"), ("POST", "/deliveries/msg_1/replay"), ("PATCH", ""),
        ):  # fmt: skip
            json: dict[str, object] | None = {} if method == "PATCH" else None
            assert (await other.request(method, f"{PATH}/acme.crm{rest}", json=json)).status_code == 404
            for nobody in (await floor.client(Role.SUPERVISOR), await floor.client(scopes={Scope.CALLS_READ})):
                assert (await nobody.request(method, f"{PATH}/acme.crm{rest}", json=json)).status_code == 403
        assert (await (await floor.client(Role.AGENT)).get("/api/v1/crms")).status_code == 403


async def test_a_crm_is_asked_with_its_secret_and_its_state_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_TOKEN", "t0ken")
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        receiver.answer = response(200, b'{"id": "c-1", "name": "Jo Doe"}')
        crm = CrmSettings(
            "acme", receiver.url, "POST", {"Authorization": "Bearer {secret}"}, PasswordFrom(env="CRM_TOKEN")
        )  # fmt: skip
        floor.desk.settings = replace(floor.desk.settings, crm={"acme": crm})
        told = asyncio.Event()

        async def known(asked: Asked) -> dict[str, object]:
            told.set()
            return {}

        floor.answers["customer_known"] = known
        admin = await floor.client()
        task = asyncio.create_task(floor.desk.integrations.look_ups.run())
        try:
            floor.stream.append(CallArrived("acme", "welcome", "+12025550111", "", "+1555", "UDP", "x", "s"), "cc1-1")
            async with asyncio.timeout(10):
                await told.wait()
            (seen,) = receiver.seen
            assert seen.headers["authorization"] == "Bearer t0ken"
            assert seen.event == {"number": "+12025550111", "call": "cc1-1"}
            assert floor.asked[-1].fields["customer"] == {"id": "c-1", "name": "Jo Doe", "fields": {}}
            (shown,) = (await admin.get("/api/v1/crms")).json()["items"]
            assert (shown["state"], shown["asked"], shown["found"], shown["failed"]) == ("closed", 1, 1, 0)
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_without_its_secret_a_crm_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CRM_TOKEN", raising=False)
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        crm = CrmSettings("acme", receiver.url, "POST", {"X": "{secret}"}, PasswordFrom(env="CRM_TOKEN"))
        floor.desk.settings = replace(floor.desk.settings, crm={"acme": crm})
        admin = await floor.client()
        task = asyncio.create_task(floor.desk.integrations.look_ups.run())
        try:

            async def shown() -> bool:
                return bool((await admin.get("/api/v1/crms")).json()["items"])

            await eventually(shown)
            (state,) = (await admin.get("/api/v1/crms")).json()["items"]
            assert (state["state"], "no CRM_TOKEN" in state["reason"]) == ("unused", True)
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_a_receiver_that_is_made_hears_of_what_happens_from_then_on(tmp_path: Path) -> None:
    """One that stands in the configuration hears of its own events meanwhile."""
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver, events=("call.arrived",)))
        async with running(floor) as integrations:
            floor.desk.integrations = integrations
            admin = await floor.client()
            floor.stream.append(CallArrived("acme", "welcome", "+1202", "", "+1555", "UDP", "x", "s"), "cc1-1")
            await floor.written()
            await receiver.has(1)
            made = (await admin.post(PATH, json={**NEW, "events": ["call.arrived"]})).json()
            floor.stream.append(CallArrived("acme", "welcome", "+1202", "", "+1555", "UDP", "x", "s"), "cc1-2")
            await floor.written()

            async def queued() -> bool:
                found = (await admin.get(f"{PATH}/{made['id']}/deliveries")).json()["items"]
                return [each["call"] for each in found] == ["cc1-2"]

            await eventually(queued)
            assert [each.event["data"]["call"] for each in await receiver.has(2)] == ["cc1-1", "cc1-2"]


@pytest.mark.parametrize(
    ("events", "takes"),
    [
        (["interaction"], Scope.CALLS_READ),
        (["call.answered"], Scope.CALLS_READ),
        (["callback"], Scope.CALLBACKS_READ),
        (["followup.due"], Scope.FOLLOWUPS_READ),
        (["customer"], Scope.CUSTOMERS_READ),
    ],
)
async def test_a_receiver_is_told_no_more_than_its_maker_may_read(
    tmp_path: Path, events: list[str], takes: Scope
) -> None:
    async with open_floor(tmp_path) as floor:
        narrow = await floor.client(scopes=set(Scope) - {takes})
        refused = await narrow.post(PATH, json={**NEW, "events": events})
        assert (refused.status_code, refused.json()["scope"]) == (403, takes.value)
        just = await floor.client(scopes={Scope.WEBHOOKS, takes})
        made = await just.post(PATH, json={**NEW, "events": events})
        assert made.status_code == 201, made.text
        other = next(each for each in (["callback"], ["customer"]) if each != events)
        wider = await just.patch(f"{PATH}/{made.json()['id']}", json={"events": other})
        assert wider.status_code == 403
        elsewhere = {"url": "https://thief.example.com/"}
        taken = await narrow.patch(f"{PATH}/{made.json()['id']}", json=elsewhere)
        assert (taken.status_code, taken.json()["scope"]) == (403, takes.value), (
            "it would be told what they may not read"
        )
        assert (await just.patch(f"{PATH}/{made.json()['id']}", json=elsewhere)).status_code == 200


async def test_one_that_is_taken_from_the_configuration_is_shown_as_removed_and_goes_on_when_it_is_back(
    tmp_path: Path,
) -> None:
    """What waited for it is told then, in order; what happened meanwhile is not, nor anything a second time."""
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        theirs = hook(receiver, events=("call.arrived",))
        told_to(floor, theirs)
        admin, store = await floor.client(), floor.desk.integrations.store

        async def shown(state: str, pending: int) -> None:
            async def so() -> bool:
                found = (await admin.get(f"{PATH}/acme.crm")).json()
                return (found["state"], found["pending"]) == (state, pending)

            await eventually(so)

        async def arrives(call: str) -> None:
            floor.stream.append(CallArrived("acme", "welcome", "+1202", "", "+1555", "UDP", "x", "s"), call)
            await floor.written()

        async with running(floor) as integrations:
            floor.desk.integrations = integrations
            await arrives("cc1-1")
            await receiver.has(1)
            await shown("well", 0)
            assert (await admin.patch(f"{PATH}/acme.crm", json={"enabled": True})).status_code == 200
            receiver.answer = response(503)
            await arrives("cc1-2")
            await shown("failing", 1)
            told_to(floor)
            await shown("removed", 1)
            (told,) = (await integrations.figures()).webhooks
            assert (told.webhook, told.client, told.state, told.pending) == ("acme.crm", "acme", "removed", 1)
            assert 0 <= told.oldest_s < 60
            assert [each["id"] for each in (await admin.get(PATH)).json()["items"]] == ["acme.crm"]
            assert len((await admin.get(f"{PATH}/acme.crm/deliveries")).json()["items"]) == 2
            other = await floor.client(clients={"globex"})
            assert (await other.get(PATH)).json()["items"] == []
            assert (await other.get(f"{PATH}/acme.crm")).status_code == 404
            for refused in (admin.post(f"{PATH}/acme.crm/test"), admin.post(f"{PATH}/acme.crm/replay")):
                assert (await refused).status_code == 409
            await arrives("cc1-3")
            receiver.answer = response(200)
            told_to(floor, theirs)
            await shown("failing", 1)
            await arrives("cc1-4")
            assert (await admin.patch(f"{PATH}/acme.crm", json={"enabled": True})).status_code == 200
            seen = await receiver.has(4)
            assert [each.event["data"]["call"] for each in seen] == ["cc1-1", "cc1-2", "cc1-2", "cc1-4"]
            # Whoever does not wait for two weeks has it forgotten at once.
            told_to(floor)
            await shown("removed", 0)
            assert (await admin.delete(f"{PATH}/acme.crm")).status_code == 204
            assert (await admin.get(f"{PATH}/acme.crm")).status_code == 404
            assert not await store.lanes()


async def test_what_waited_for_one_that_was_removed_is_kept_for_two_weeks(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor, open_receiver() as receiver:
        told_to(floor, hook(receiver))
        hooks, store = floor.desk.integrations.webhooks, floor.desk.integrations.store
        await hooks.refresh()
        waits = Event("msg_1", "acme.crm", "acme", 1, "call.arrived", "cc1-1", "", b"{}")
        now = floor.desk.clock.now().timestamp()
        await store.take([waits], 1, now)
        told_to(floor)
        await hooks.refresh()
        await store.tidy(now + KEPT_FOR - 60)
        assert (await store.counts()) == {"acme.crm": {"pending": 1}}
        await store.tidy(now + KEPT_FOR + 60)
        assert (await store.counts(), await store.lanes()) == ({}, {})


async def test_how_many_wait_is_counted_without_a_look_into_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prometheus asks for it all the time, and whoever shows a token meanwhile waits for the same thread."""
    async with open_floor(tmp_path) as floor:
        own, asked = floor.desk.own, list[str]()
        fetch = own.fetch_all

        async def heard(sql: str, params: Sequence[Value] = ()) -> list[Row]:
            asked.append(sql)
            return await fetch(sql, params)

        monkeypatch.setattr(own, "fetch_all", heard)
        store = floor.desk.integrations.store
        await store.counts()
        await store.oldest_pending()
        plans = [(await fetch(f"EXPLAIN QUERY PLAN {sql}"))[0][3] for sql in asked]
        assert "USING COVERING INDEX deliveries_by_state" in plans[0]
        assert "USING INDEX deliveries_pending" in plans[1]
