"""What a company's CRM knows of a caller, told by the desk, which asks it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callcenter.calls.crm import learn
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.customer import Customer
from callcenter.model.customer_form import FROM_ELSEWHERE, MAX_FIELD_FROM_ELSEWHERE
from callcenter.model.ids import is_slug

if TYPE_CHECKING:
    from callcenter.app.house import House

MOST_FIELDS = 50


def crm_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names."""

    async def known(asked: Asked) -> dict[str, Any]:
        asked.only("call", "customer", "by_account")
        call_id, by_account = asked.fields.get("call"), asked.fields.get("by_account", False)
        call = house.supervisor.calls.get(call_id) if isinstance(call_id, str) else None
        if call is None or not asked.actor.sees(call.client.id):
            raise CommandError("there is no such call any more", Reason.NOT_FOUND, field="call")
        if not isinstance(by_account, bool):
            raise CommandError("`by_account` is true or false", field="by_account")
        customer = customer_of(call.client.id, asked.fields.get("customer"))
        return {"call": call.id, "customer": customer.id, "known": await learn(call, customer, by_account=by_account)}

    return {"customer_known": Command(known)}


def customer_of(client: str, told: object) -> Customer:
    """A customer as a CRM tells of one. Raises CommandError."""
    if not isinstance(told, Mapping):
        raise CommandError('`customer` is an object such as {"id": "c-1", "name": "Jo Doe"}', field="customer")
    for name in told:
        if name not in FROM_ELSEWHERE and name != "fields":
            raise CommandError(
                f"`customer` knows no `{name}`; there are: {', '.join(FROM_ELSEWHERE)}, fields", field="customer"
            )
    texts: dict[str, Any] = {name: _text(told, name, most) for name, most in FROM_ELSEWHERE.items()}
    if not texts["id"]:
        raise CommandError("`customer.id` is missing", field="customer.id")
    if texts["agent"] and not is_slug(texts["agent"]):
        raise CommandError("`customer.agent` is the id of an agent", field="customer.agent")
    return Customer(client=client, fields=_fields(told.get("fields")), **texts)


def _text(told: Mapping[str, Any], name: str, most: int) -> str:
    value = told.get(name, "")
    if not isinstance(value, str) or len(value) > most:
        raise CommandError(f"`customer.{name}` is a text of up to {most} characters", field=f"customer.{name}")
    return value


def _fields(told: object) -> dict[str, str]:
    if told is None:
        return {}
    if not isinstance(told, Mapping) or len(told) > MOST_FIELDS:
        raise CommandError(f"`customer.fields` is an object of up to {MOST_FIELDS} texts", field="customer.fields")
    for name, value in told.items():
        if not isinstance(name, str) or not isinstance(value, str) or len(value) > MAX_FIELD_FROM_ELSEWHERE:
            sentence = f"`customer.fields` holds texts of up to {MAX_FIELD_FROM_ELSEWHERE} characters"
            raise CommandError(sentence, field="customer.fields")
    return dict(told)
