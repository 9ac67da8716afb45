"""Customers ask on a website to be called: in two steps, within limits, and without learning anything by it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.desk import call_me
from callcenter.model.access import Role, Scope
from callcenter.model.customer import Customer
from callcenter.model.facts import utc
from tests.unit.desk.support import TWO_COMPANIES, Floor, open_floor

PAGE = "https://acme.example"
PATH = "/public/v1/clients/acme/call-me"
NUMBER = "+14155550101"


def configured(more: str = "") -> str:
    """Acme has a door, Globex none."""
    outbound = '{trunks: [carrier], caller_id: "+15555550100", country: "1", national_prefix: "1"}'
    door = f"{{queue: sales, reasons: {{invoice: An invoice}}, origins: {PAGE}{more}}}"
    acme = "acme: {name: Acme, languages: [en]"
    assert acme in TWO_COMPANIES
    text = TWO_COMPANIES.replace(acme, f"{acme}, outbound: {outbound}, call_me: {door}", 1)
    return f"{text}trunks:\n  carrier: {{peers: [192.0.2.10]}}\n"


async def planned(asked: Asked) -> Mapping[str, Any]:
    return {"callback": {"id": f"cb-{asked.fields['number'][-3:]}"}, "merged": False}


def plans(floor: Floor) -> list[Asked]:
    return [each for each in floor.asked if each.do == "callback_schedule"]


async def asks(page: httpx.AsyncClient, number: str = NUMBER, **more: Any) -> dict[str, Any]:
    answer = await page.post(PATH, json={"number": number, **more})
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def confirms(page: httpx.AsyncClient, made: Mapping[str, Any]) -> httpx.Response:
    return await page.post(f"{PATH}/{made['id']}/confirm", json={"code": made["code"]})


async def test_nothing_is_planned_before_it_is_confirmed_and_then_once_and_not_at_once(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        made = await asks(page, "(415) 555-0101", reason="invoice", name="Ann  Lee")
        assert (made["state"], made["confirm"]) == ("requested", "caller")
        assert plans(floor) == []
        first, second = await confirms(page, made), await confirms(page, made)
        assert first.json() == second.json()
        assert first.json() == {
            **{name: made[name] for name in ("id", "not_before", "confirm_by")},
            "state": "confirmed",
        }
        (plan,) = plans(floor)
        assert (plan.actor.clients, plan.actor.scopes) == (frozenset({"acme"}), frozenset({Scope.CALLBACKS_WRITE}))
        wanted = {"client": "acme", "queue": "sales", "number": NUMBER, "source": "call_me", "reason": "An invoice"}
        assert wanted.items() <= plan.fields.items()
        assert plan.fields["name"] == "Ann Lee"
        earliest = datetime.fromisoformat(plan.fields["not_before"])
        assert timedelta(seconds=50) < earliest - datetime.now(UTC) <= timedelta(seconds=60)
        kept = await floor.desk.own.fetch_all("SELECT reason, name, code FROM call_me")
        assert kept[0][:2] == ("", "")
        assert made["code"].encode() not in kept[0][2]


async def test_who_has_no_code_sees_confirms_and_cancels_nothing(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        floor.answers["callback_schedule"] = planned
        floor.answers["callback_cancel"] = {}
        page = await floor.client(None)
        made = await asks(page)
        wrong = {"Call-Me-Code": "guessed"}
        assert (await confirms(page, {**made, "code": "guessed"})).status_code == 404
        assert (await page.post(f"{PATH}/{made['id']}/confirm")).status_code == 404
        assert (await page.post(f"{PATH}/{made['id']}/cancel", json={"code": "guessed"})).status_code == 404
        assert (await page.get(f"{PATH}/{made['id']}", headers=wrong)).status_code == 404
        assert (await page.get(f"{PATH}/cm-none", headers=wrong)).status_code == 404
        right = {"Call-Me-Code": made["code"]}
        assert (await page.get(f"{PATH}/{made['id']}", headers=right)).json()["state"] == "requested"
        await confirms(page, made)
        over = await page.post(f"{PATH}/{made['id']}/cancel", json={"code": made["code"]})
        assert over.json()["state"] == "cancelled"
        assert floor.asked[-1].fields == {"callback": "cb-101"}
        assert (await confirms(page, made)).status_code == 409


@pytest.mark.parametrize("reason", [Reason.FORBIDDEN, Reason.CONFLICT, Reason.INVALID, Reason.TOO_MANY])
async def test_a_number_that_is_not_to_be_called_is_answered_as_any_other(reason: Reason, tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        page = await floor.client(None)
        floor.answers["callback_schedule"] = planned
        called = (await confirms(page, await asks(page))).json()
        floor.answers["callback_schedule"] = CommandError("it is on the do-not-call list", reason)
        made = await asks(page, "+14155550102")
        answer = await confirms(page, made)
        assert answer.status_code == 200
        assert {name: type(value) for name, value in answer.json().items()} == {
            name: type(value) for name, value in called.items()
        }
        assert answer.json()["state"] == called["state"] == "confirmed"


async def test_a_switch_that_is_away_plans_it_when_it_is_back(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        page = await floor.client(None)
        made = await asks(page)
        floor.answers["callback_schedule"] = CommandError("the database is away", Reason.UNAVAILABLE)
        assert (await confirms(page, made)).status_code == 503
        floor.answers["callback_schedule"] = planned
        assert (await confirms(page, made)).json()["state"] == "confirmed"
        assert len({each.id for each in plans(floor)}) == 1


async def test_so_much_is_asked_and_no_more_by_one_address_and_of_one_client_and_of_one_number(tmp_path: Path) -> None:
    limits = ", per_address: 3, per_number: 1, per_hour: 5"
    async with open_floor(tmp_path, configured(limits)) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        for made in [await asks(page), await asks(page)]:
            assert (await confirms(page, made)).json()["state"] == "confirmed"
        assert len(plans(floor)) == 1, "the second one was answered alike, and dropped"
        await asks(page, "+14155550102")
        answer = await page.post(PATH, json={"number": "+14155550103"})
        assert (answer.status_code, answer.json()["reason"]) == (429, "too_many")
        assert 3500 < int(answer.headers["retry-after"]) <= 3600
        other = httpx.ASGITransport(floor.app, client=("192.0.2.77", 1))
        async with httpx.AsyncClient(transport=other, base_url="http://desk.test") as elsewhere:
            await asks(elsewhere)
            await asks(elsewhere)
            assert (await elsewhere.post(PATH, json={"number": NUMBER})).status_code == 429


async def test_who_asked_before_there_were_keys_of_numbers_is_not_counted_with_everybody_else_of_then(
    tmp_path: Path,
) -> None:
    async with open_floor(tmp_path, configured(", per_number: 1")) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        ann, ben = await asks(page), await asks(page, "+14155550102")
        await confirms(page, ann)
        await floor.desk.own.execute("UPDATE call_me SET number_key = '', address_key = ''")
        await confirms(page, ben)
        assert len(plans(floor)) == 2


async def named(floor: Floor, *secrets: str) -> list[str]:
    """Which of these stand in the desk's own table of requests, or in its file."""
    rows = str(await floor.desk.own.fetch_all("SELECT * FROM call_me"))
    files = b"".join(each.read_bytes() for each in sorted(floor.desk.settings.switch.data.glob("desk.db*")))
    return [each for each in secrets if each in rows or each.encode() in files]


async def test_who_has_confirmed_or_was_late_stands_nowhere_and_counts_all_the_same_over_a_restart(
    tmp_path: Path,
) -> None:
    secrets = (NUMBER, "+14155550102", "127.0.0.1", "Ann Lee")
    limits = ", per_address: 2, per_number: 1"
    async with open_floor(tmp_path, configured(limits)) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        made = await asks(page, name="Ann Lee")
        late = await asks(page, "+14155550102")
        assert await named(floor, *secrets) == [NUMBER, "+14155550102", "Ann Lee"], "they are to be called"
        await confirms(page, made)
        await floor.desk.own.execute(
            "UPDATE call_me SET created_at = ? WHERE id = ?",
            (utc(datetime.now(UTC) - timedelta(minutes=16)), late["id"]),
        )
        await floor.desk.call_me.clean()
        assert await named(floor, *secrets) == []
    async with open_floor(tmp_path, configured(limits)) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        assert (await page.post(PATH, json={"number": "+14155550103"})).status_code == 429
        elsewhere = httpx.ASGITransport(floor.app, client=("192.0.2.77", 1))
        async with httpx.AsyncClient(transport=elsewhere, base_url="http://desk.test") as page:
            assert (await confirms(page, await asks(page))).json()["state"] == "confirmed"
            assert plans(floor) == [], "this number was called once today"


async def test_who_is_erased_before_they_have_confirmed_it_is_not_called(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        floor.answers["callback_schedule"] = planned
        erased = {"client": "acme", "customers": [], "found": False, "erased": {}, "kept": []}
        floor.answers["customer_erase"] = lambda asked: answer(erased, asked)
        page, ida = await floor.client(None), await floor.client(Role.ADMIN)
        await floor.storage.customers.create(
            Customer("c-1", "acme", "Ben", numbers=("+14155550102",)), datetime.now(UTC)
        )
        ann, ben, cleo = await asks(page), await asks(page, "+14155550102"), await asks(page, "+14155550103")
        for order in ({"number": "(415) 555-0101", "dry": True}, {"number": "(415) 555-0101"}, {"customer": "c-1"}):
            given = await ida.post("/api/v1/customers/erase", json={"client": "acme", **order})
            assert given.status_code == 200
            assert (NUMBER in await named(floor, NUMBER)) is ("dry" in order)
        assert [(await confirms(page, made)).status_code for made in (ann, ben, cleo)] == [409, 409, 200]
        assert await named(floor, NUMBER, "+14155550102") == []


async def answer(told: Mapping[str, Any], asked: Asked) -> Mapping[str, Any]:
    return {**told, "dry": bool(asked.fields.get("dry"))}


async def test_a_backend_confirms_with_its_token_and_nobody_with_the_code(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured(", confirm: backend")) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        made = await asks(page)
        assert made["confirm"] == "backend"
        assert (await confirms(page, made)).status_code == 401
        path = f"{PATH}/{made['id']}/confirm"
        reads = await floor.client(Role.SUPERVISOR, clients={"acme"}, scopes={Scope.CALLBACKS_READ})
        assert (await reads.post(path)).status_code == 403
        globex = await floor.client(Role.SUPERVISOR, clients={"globex"})
        assert (await globex.post(path)).status_code == 404
        acme = await floor.client(Role.SUPERVISOR, clients={"acme"}, scopes={Scope.CALLBACKS_WRITE})
        assert (await acme.post(path)).json()["state"] == "confirmed"
        assert len(plans(floor)) == 1


async def test_a_request_that_nobody_confirms_is_over_and_forgotten(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        page = await floor.client(None)
        made = await asks(page, name="Ann")
        await floor.desk.own.execute(
            "UPDATE call_me SET created_at = ?", ((datetime.now(UTC) - timedelta(minutes=16)).isoformat(),)
        )
        assert (await confirms(page, made)).json()["detail"] == "it is expired: ask again"
        assert plans(floor) == []
        await floor.desk.own.execute(
            "UPDATE call_me SET created_at = ?", ((datetime.now(UTC) - call_me.KEPT).isoformat(),)
        )
        await floor.desk.call_me.clean()
        assert await floor.desk.own.fetch_all("SELECT 1 FROM call_me") == []


async def test_only_pages_of_the_client_may_ask_and_only_where_there_is_a_door(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        page = await floor.client(None)
        for path in ("/public/v1/clients/globex/call-me", "/public/v1/clients/nobody/call-me"):
            answer = await page.post(path, json={"number": NUMBER})
            assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such client")
        asked = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
        allowed = await page.options(PATH, headers=asked)
        assert allowed.headers["access-control-allow-origin"] == PAGE
        assert "Call-Me-Code" in allowed.headers["access-control-allow-headers"]
        for path, origin in ((PATH, "https://evil.example"), ("/api/v1/me", PAGE)):
            refused = await page.options(path, headers={**asked, "Origin": origin})
            assert "access-control-allow-origin" not in refused.headers
        answer = await page.post(PATH, json={"number": NUMBER}, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403
        answer = await page.post(PATH, json={"number": NUMBER}, headers={"Origin": PAGE})
        assert answer.headers["access-control-allow-origin"] == PAGE


async def test_mistakes_name_the_field_and_what_to_write(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        page = await floor.client(None)
        for field, body in (
            ("number", {"number": "abc"}),
            ("number", {"number": "911"}),
            ("number", {"number": "+1900555010"}),
            ("number", {}),
            ("reason", {"number": NUMBER, "reason": "other"}),
            ("at", {"number": NUMBER, "at": "soon"}),
            ("at", {"number": NUMBER, "at": "2001-01-01T10:00"}),
            ("at", {"number": NUMBER, "at": "in 20 days"}),
            ("until", {"number": NUMBER, "at": "in 3h", "until": "in 2h"}),
            ("language", {"number": NUMBER, "language": "<b>"}),
            ("colour", {"number": NUMBER, "colour": "red"}),
        ):
            answer = await page.post(PATH, json=body)
            assert (answer.status_code, answer.json()["field"]) == (422, field), body
        big = await page.post(PATH, json={"number": NUMBER, "name": "x" * 5000})
        assert big.status_code in (413, 422)
        assert await floor.desk.own.fetch_all("SELECT 1 FROM call_me") == []


async def test_who_wishes_a_time_is_called_then_and_within_the_hours_in_which_somebody_is_there(tmp_path: Path) -> None:
    never = 'hours:\n  shut: {open: {daily: "00:00-24:00"}, time_zone: Europe/Madrid}\n'
    async with open_floor(tmp_path, configured(", hours: shut, delay: 10m") + never) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        made = await asks(page, at="in 3h", until="in 5h")
        await confirms(page, made)
        fields = plans(floor)[0].fields
        window = [datetime.fromisoformat(fields[name]) - datetime.now(UTC) for name in ("not_before", "not_after")]
        assert [round(each.total_seconds() / 3600) for each in window] == [3, 5]
        soon = await asks(page, at="in 1 min")
        assert datetime.fromisoformat(soon["not_before"]) - datetime.now(UTC) > timedelta(minutes=9)


async def test_who_asks_here_calls_off_nothing_that_was_promised_in_another_way(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        floor.answers["callback_schedule"] = {"callback": {"id": "cb-of-an-agent"}, "merged": True}
        floor.answers["callback_cancel"] = {}
        page = await floor.client(None)
        made = await asks(page)
        await confirms(page, made)
        over = await page.post(f"{PATH}/{made['id']}/cancel", json={"code": made["code"]})
        assert over.json()["state"] == "cancelled"
        assert [each.do for each in floor.asked if each.do == "callback_cancel"] == []


async def test_nothing_is_confirmed_when_the_time_that_was_wished_is_over(tmp_path: Path) -> None:
    async with open_floor(tmp_path, configured()) as floor:
        floor.answers["callback_schedule"] = planned
        page = await floor.client(None)
        made = await asks(page, until="in 3h")
        await floor.desk.own.execute("UPDATE call_me SET not_after = ?", (datetime.now(UTC).isoformat(),))
        answer = await confirms(page, made)
        assert (answer.status_code, answer.json()["reason"]) == (409, "conflict")
        assert plans(floor) == []
