"""Customers over HTTP: whose they are, changes that do not overwrite each other's, and files in and out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.model.access import SCOPES, Role, Scope
from callcenter.model.customer import Customer
from callcenter.runtime.clock import SystemClock
from tests.unit.desk.support import TWO_COMPANIES, Floor, open_floor

PATH = "/api/v1/customers"
JANA: Mapping[str, Any] = {
    **Customer("c-1", "acme", "Jana", ("+420777123456",), "A-1", revision=3).plain(),
    "fields": {"seats": 3},
}
FIELDS = TWO_COMPANIES.replace(
    "acme: {name: Acme, languages: [en]}", "acme: {name: Acme, languages: [en], customers: {fields: {seats: number}}}"
)


async def test_customers_are_looked_up_listed_and_shown_by_who_asks(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT)
        floor.answers["customer_find"] = {"match": "maybe", "customers": [JANA]}
        found = await ana.get(f"{PATH}/lookup", params={"client": "acme", "number": "+420777123456"})
        assert (found.status_code, found.json()["match"]) == (200, "maybe")
        assert found.json()["items"][0]["fields"] == {"seats": 3}
        assert floor.asked[-1].fields == {"client": "acme", "number": "+420777123456"}
        assert floor.asked[-1].actor.clients == frozenset({"acme"})
        listed = (await ana.get(PATH, params={"client": "acme", "name": "ja", "limit": "1"})).json()
        assert listed["next"] == "c-1"
        floor.answers["customer_get"] = {"customer": {**JANA, "merged": []}}
        one = await ana.get(f"{PATH}/c-1", params={"client": "acme"})
        assert (one.headers["etag"], one.json()["accounts"]) == ('"3"', ["A-1"])
        for query in ({"client": "acme"}, {"client": "acme", "number": "1", "account": "2"}, {"number": "1"}):
            assert (await ana.get(f"{PATH}/lookup", params=query)).status_code == 422
        floor.answers["customer_get"] = CommandError("there is no client `globex`", Reason.NOT_FOUND, field="client")
        assert (await ana.get(f"{PATH}/c-1", params={"client": "globex"})).status_code == 404


async def test_a_change_of_what_somebody_has_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana = await floor.client(Role.AGENT)
        floor.answers["customer_create"] = {"customer": JANA}
        new = {"client": "acme", "name": "Jana", "numbers": ["777"]}
        made = await ana.post(PATH, json=new, headers={"Idempotency-Key": "one"})
        assert (made.status_code, made.headers["location"]) == (201, f"{PATH}/c-1?client=acme")
        assert floor.asked[-1].id is not None
        floor.answers["customer_create"] = {"customer": {**JANA, "id": "Č 1/2?"}}
        odd = await ana.post(PATH, json={**new, "id": "Č 1/2?"})
        assert (odd.status_code, odd.headers["location"]) == (201, f"{PATH}/%C4%8C%201%2F2%3F?client=acme")
        floor.answers["customer_update"] = {"customer": {**JANA, "revision": 4}}
        path = f"{PATH}/c-1?client=acme"
        changed = await ana.patch(path, json={"tier": None, "fields": {"seats": 4}}, headers={"If-Match": '"3"'})
        assert changed.headers["etag"] == '"4"'
        assert floor.asked[-1].fields == {
            "client": "acme",
            "customer": "c-1",
            "revision": 3,
            "tier": None,
            "fields": {"seats": 4},
        }
        floor.answers["customer_update"] = CommandError("changed", Reason.CONFLICT, field="revision", revision=5)
        stale = await ana.patch(path, json={"tier": "gold"}, headers={"If-Match": '"3"'})
        assert (stale.status_code, stale.headers["etag"], stale.json()["reason"]) == (412, '"5"', "stale")
        assert (await ana.patch(path, json={}, headers={"If-Match": "x"})).status_code == 412
        assert (await ana.patch(path, json={"nmae": "x"})).status_code == 422
        floor.answers["customer_update"] = CommandError("seats: no", field="seats")
        wrong = await ana.patch(path, json={"fields": {"seats": "x"}})
        assert (wrong.status_code, wrong.json()["field"]) == (422, "seats")


async def test_two_become_one_and_one_is_erased_by_who_may(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        ana, ida = await floor.client(Role.AGENT), await floor.client(Role.ADMIN)
        conflict = {"tier": {"kept": "gold", "other": "silver"}}
        floor.answers["customer_merge"] = {"customer": JANA, "merged": True, "conflicts": conflict}
        told = (await ana.post(f"{PATH}/c-1/merge", json={"client": "acme", "other": "c-2"})).json()
        assert (told["customer"]["id"], told["conflicts"]) == ("c-1", conflict)
        erased = {
            "client": "acme",
            "customers": ["c-1"],
            "found": True,
            "dry": True,
            "erased": {"calls": 2},
            "kept": [],
        }
        floor.answers["customer_erase"] = erased
        order = {"client": "acme", "customer": "c-1", "dry": True}
        assert (await ida.post(f"{PATH}/erase", json=order)).json() == erased
        assert floor.asked[-1].fields == order
        for role in (Role.AGENT, Role.SUPERVISOR, Role.CLIENT):
            somebody = await floor.client(role)
            assert (await somebody.post(f"{PATH}/erase", json=order)).status_code == 403
        client = await floor.client(Role.CLIENT)
        assert (await client.get(PATH, params={"client": "acme"})).status_code == 403
        reader = await floor.client(Role.ADMIN, scopes={Scope.CUSTOMERS_READ})
        assert (await reader.post(f"{PATH}/c-1/merge", json={"client": "acme", "other": "c-2"})).status_code == 403
        nobody = await floor.client(None)
        assert (await nobody.get(PATH, params={"client": "acme"})).status_code == 401


NEW = {"client": "acme", "name": "Jana", "numbers": ["+420777123456"]}
READ, WRITE = {Scope.CUSTOMERS_READ}, {Scope.CUSTOMERS_WRITE}
ROUTES: list[tuple[str, str, dict[str, Any], set[Scope]]] = [
    ("GET", PATH, {"params": {"client": "acme"}}, READ),
    ("GET", f"{PATH}/lookup", {"params": {"client": "acme", "number": "1"}}, READ),
    ("GET", f"{PATH}/export", {"params": {"client": "acme"}}, READ | {Scope.CUSTOMERS_BULK}),
    ("GET", f"{PATH}/c-1", {"params": {"client": "acme"}}, READ),
    ("POST", PATH, {"json": NEW}, WRITE),
    ("PATCH", f"{PATH}/c-1", {"params": {"client": "acme"}, "json": {"tier": "gold"}}, WRITE),
    ("POST", f"{PATH}/c-1/merge", {"json": {"client": "acme", "other": "c-2"}}, WRITE),
    ("POST", f"{PATH}/import", {"params": {"client": "acme"}, "json": {}}, WRITE | {Scope.CUSTOMERS_BULK}),
    ("POST", f"{PATH}/erase", {"json": {"client": "acme", "customer": "c-1"}}, {Scope.CUSTOMERS_ERASE}),
]


async def test_every_route_is_for_who_holds_its_scopes_and_for_nobody_else(tmp_path: Path) -> None:
    async with open_floor(tmp_path) as floor:
        gone = CommandError("there is no client `acme`", Reason.NOT_FOUND, field="client")
        floor.answers |= {f"customer_{do}": gone for do in ("find", "get", "create", "update", "merge", "erase")}
        roles = {role: await floor.client(role) for role in Role}
        nobody = await floor.client(None)
        for method, path, request, wanted in ROUTES:
            for role, somebody in roles.items():
                status = (await somebody.request(method, path, **request)).status_code
                assert (status == 403) is not (wanted <= SCOPES[role]), (role, method, path, status)
            # The switch of the tests asks for the scope of calls, whatever is wanted of it.
            just = await floor.client(Role.ADMIN, scopes=wanted | {Scope.CALLS_READ})
            assert (await just.request(method, path, **request)).status_code != 403, (method, path)
            for each in wanted:
                without = await floor.client(Role.ADMIN, scopes=set(Scope) - {each})
                assert (await without.request(method, path, **request)).status_code == 403, (each, method, path)
            assert (await nobody.request(method, path, **request)).status_code == 401


async def take_in(floor: Floor, text: bytes, kind: str = "text/csv", **query: str) -> Any:
    sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
    headers = {"Content-Type": kind}
    return await sue.post(f"{PATH}/import", params={"client": "acme", **query}, content=text, headers=headers)


async def test_a_file_is_taken_in_by_a_program_of_its_own_and_comes_out_the_same(tmp_path: Path) -> None:
    text = (
        "client,id,name,numbers,accounts,tier,language,since,notes,agent,seats\n"
        "acme,c-1,Jana,+420777123456,A-1;B-2,gold,cs,2019,likes tea,ana,3\n"
    )
    wrong = "globex,g-1,Hans,+420777000001,,,,,,,\nacme,c-2,,+420777000002,,,,,,,\n"
    async with open_floor(tmp_path, FIELDS) as floor:
        told: list[Asked] = []

        async def imported(asked: Asked) -> Mapping[str, Any]:
            told.append(asked)
            return {}

        floor.answers["customers_imported"] = imported
        dry = await take_in(floor, (text + wrong).encode(), dry="true")
        assert dry.json() == {
            "added": 1,
            "changed": 0,
            "unchanged": 0,
            "refused": 2,
            "dry": True,
            "rejected": [
                {"line": 3, "why": "client 'globex': customers of acme are taken in, of no others"},
                {"line": 4, "why": "name: is empty"},
            ],
            "passed_over": [],
        }
        assert told == []
        assert (await take_in(floor, text.encode())).json()["added"] == 1
        assert [each.fields for each in told] == [{"clients": {"acme": 1}}]
        [jana] = await floor.storage.customers.listed("acme")
        assert (jana.accounts, jana.fields) == (("A-1", "B-2"), {"seats": 3})
        sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
        out = await sue.get(f"{PATH}/export", params={"client": "acme"})
        assert (out.text, out.headers["content-type"]) == (text, "text/csv; charset=utf-8")
        (act,) = [each.fields for each in floor.asked if each.do == "audited"]
        assert (act["action"], act["client"], act["role"]) == ("customers_export", "acme", "supervisor")
        windows = "client,name,numbers\nacme,Novák,1\n".encode("cp1250")
        bad = await take_in(floor, windows)
        detail = "the file:2: not UTF-8; save the file as CSV UTF-8, or tell its encoding, as cp1252 or cp1250"
        assert (bad.status_code, bad.json()["detail"]) == (422, detail)
        good = await take_in(floor, windows, 'Text/CSV; charset="windows-1250"', dry="true")
        assert (good.json()["added"], good.json()["rejected"]) == (1, [])
        for kind in ("text/csv; charset=klingon", "text/csv; charset=hex", "text/csvx", ""):
            assert (await take_in(floor, windows, kind)).status_code == 415, kind
        assert not list((floor.desk.settings.switch.data).glob("import-*")), "nothing is left of the files"


async def test_a_file_that_stops_coming_keeps_no_other_one_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("callcenter.desk.routes.customers.PATIENCE", 0.01)

    async def stuck() -> AsyncIterator[bytes]:
        yield b"client,id,name,numbers\n"
        await asyncio.Event().wait()

    async with open_floor(tmp_path) as floor:
        sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
        headers = {"Content-Type": "text/csv"}
        given_up = await sue.post(f"{PATH}/import", params={"client": "acme"}, content=stuck(), headers=headers)
        assert (given_up.status_code, given_up.headers["content-type"]) == (408, "application/problem+json")
        assert not floor.desk.importing.locked()


@pytest.mark.parametrize("verb", ["import", "export"])
async def test_files_of_another_company_are_nobodys_business(tmp_path: Path, verb: str) -> None:
    async with open_floor(tmp_path) as floor:
        await floor.storage.customers.create(Customer("g-1", "globex", "Hans", account="1"), SystemClock().now())
        sue = await floor.client(Role.SUPERVISOR, clients={"acme"})
        for client in ("globex", "nobody"):
            if verb == "import":
                answer = await take_in(floor, b"", client=client)
            else:
                answer = await sue.get(f"{PATH}/export", params={"client": client})
            assert answer.status_code == 404
            assert answer.json()["detail"] == f"there is no client `{client}`"
        plain = await sue.post(f"{PATH}/import", params={"client": "acme"}, json={})
        assert plain.status_code == 415
