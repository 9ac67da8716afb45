"""Customers by command: found, written down, changed, and made one of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from callcenter.calls.erasure import SeveralHaveIt
from callcenter.control.protocol import Asked, CommandError, Reason
from callcenter.control.server import Command
from callcenter.model.access import Scope
from callcenter.model.customer import Customer, Rules, caller_number
from callcenter.model.customer_fields import BadField
from callcenter.model.customer_form import KNOWN, MAX_ID, digits_of, read_customer
from callcenter.model.facts import CustomerMerged, CustomerSaved, CustomersImported
from callcenter.model.ids import derived_id
from callcenter.operate import fields
from callcenter.storage.customers import MAX_ROWS, CustomerExists, NoSuchCustomer, StaleCustomer
from callcenter.storage.database import StorageError

if TYPE_CHECKING:
    from callcenter.app.house import House

DEFAULT_LIMIT = 50
MAX_WORDS = 200


def customer_commands(house: House) -> Mapping[str, Command]:
    """The commands by their names. What belongs to a client that is not theirs to see, nobody is told of."""
    commands = _Customers(house)
    return {
        "customer_find": Command(commands.find, changes=False, scope=Scope.CUSTOMERS_READ),
        "customer_get": Command(commands.get, changes=False, scope=Scope.CUSTOMERS_READ),
        "customer_create": Command(commands.create, scope=Scope.CUSTOMERS_WRITE),
        "customer_update": Command(commands.update, scope=Scope.CUSTOMERS_WRITE),
        "customer_merge": Command(commands.merge, scope=Scope.CUSTOMERS_WRITE),
        "customer_erase": Command(commands.erase, scope=Scope.CUSTOMERS_ERASE),
        "customers_imported": Command(commands.imported, scope=Scope.CUSTOMERS_WRITE),
    }


class _Customers:
    def __init__(self, house: House) -> None:
        self._house = house
        self._base = house.edges.storage.customers

    async def find(self, asked: Asked) -> dict[str, Any]:
        """By ``number``, by ``account`` (its digits), or by the beginning of the ``name``; else all, page by page."""
        asked.only("client", "number", "account", "name", "after", "limit")
        client, rules = self._client(asked)
        words = {name: word(asked, name) for name in ("number", "account", "name", "after")}
        limit = fields.number(asked, "limit", least=1, most=MAX_ROWS, usual=DEFAULT_LIMIT)
        try:
            if words["number"]:
                match, found = await self._base.find(client, caller_number(words["number"]), rules)
                return {"match": match.value, "customers": [each.plain() for each in found]}
            if words["account"]:
                one = await self._base.find_account(client, digits_of(words["account"]))
                match_word = "none" if one is None else "sure"
                return {"match": match_word, "customers": [] if one is None else [one.plain()]}
            found = await self._base.listed(client, name=words["name"], after=words["after"], limit=limit)
        except StorageError as error:
            raise away(error) from error
        return {"customers": [each.plain() for each in found]}

    async def get(self, asked: Asked) -> dict[str, Any]:
        """One, also by an id that it had before it became one with another."""
        asked.only("client", "customer")
        client, _ = self._client(asked)
        wanted = word(asked, "customer", wanted=True)
        try:
            found = await self._base.get(client, wanted)
            if found is None:
                raise nobody(wanted)
            merges = await self._base.merges_of(client, found.id)
        except StorageError as error:
            raise away(error) from error
        return {"customer": {**found.plain(), "merged": [each.plain() for each in merges]}}

    async def create(self, asked: Asked) -> dict[str, Any]:
        """A new one, under an id of one's own (``customer``) or one that is made of the command's."""
        asked.only("client", "customer", *KNOWN)
        client, rules = self._client(asked)
        own = word(asked, "customer")
        if not own and asked.id is None:
            raise CommandError("give the command an `id`, so that the same again is no second customer", field="id")
        customer = self._read(client, own or derived_id(asked.by, asked.id or ""), written(asked), rules)
        try:
            made = await self._base.create(customer, self._house.edges.clock.now())
        except CustomerExists:
            there = await self._base.get(client, customer.id)
            if there is None or own:
                raise CommandError(
                    f"there is a customer {customer.id}, or was", Reason.CONFLICT, field="customer"
                ) from None
            return {"customer": there.plain()}  # asked again, behind a restart
        except StorageError as error:
            raise away(error) from error
        self._tell(made, asked.by, created=True)
        return {"customer": made.plain()}

    async def update(self, asked: Asked) -> dict[str, Any]:
        """Change what is written; null takes it away. With ``revision``, only if nobody has changed it since."""
        asked.only("client", "customer", "revision", *KNOWN)
        client, rules = self._client(asked)
        wanted, revision = word(asked, "customer", wanted=True), asked.fields.get("revision")
        if revision is not None and (not isinstance(revision, int) or isinstance(revision, bool)):
            raise CommandError("`revision` is a number, as the customer told it", field="revision")
        changes, before = written(asked), 0

        def change(customer: Customer) -> Customer:
            nonlocal before
            before = customer.revision
            return read_customer(client, customer.id, changes, rules, customer)

        try:
            changed = await self._base.update(client, wanted, change, self._house.edges.clock.now(), revision)
        except BadField as error:
            raise CommandError(str(error), field=error.field) from error
        except NoSuchCustomer:
            raise nobody(wanted) from None
        except StaleCustomer as error:
            raise CommandError(str(error), Reason.CONFLICT, field="revision", revision=error.revision) from error
        except StorageError as error:
            raise away(error) from error
        if changed.revision != before:
            self._tell(changed, asked.by)
        return {"customer": changed.plain()}

    async def merge(self, asked: Asked) -> dict[str, Any]:
        """Have ``other`` become one with ``customer``, which keeps its word where the two contradict each other."""
        asked.only("client", "customer", "other")
        client, _ = self._client(asked)
        into, other = word(asked, "customer", wanted=True), word(asked, "other", wanted=True)
        if into == other:
            raise CommandError("a customer is one with itself already", field="other")
        now = self._house.edges.clock.now()
        try:
            for wanted in (into, other):
                if await self._base.get(client, wanted) is None:
                    raise nobody(wanted)
            whole, conflicts, done = await self._base.merge(client, into, other, now, asked.by)
        except NoSuchCustomer as error:
            raise nobody(str(error)) from None
        except StorageError as error:
            raise away(error) from error
        if done:
            self._house.callbacks.belong_to(client, other, whole.id)
            self._house.stream.append(CustomerMerged(client, whole.id, other, asked.by, tuple(conflicts)))
        told = {name: {"kept": kept, "other": theirs} for name, (kept, theirs) in conflicts.items()}
        return {"customer": whole.plain(), "merged": done, "conflicts": told}

    async def erase(self, asked: Asked) -> dict[str, Any]:
        """Erase the person of an id or of a number; with ``dry`` only tell what would be."""
        asked.only("client", "customer", "number", "dry")
        client, rules = self._client(asked)
        customer, number, dry = word(asked, "customer"), word(asked, "number"), fields.flag(asked, "dry")
        if bool(customer) == bool(number):
            raise CommandError("say who: by `customer`, or by `number`", field="customer")
        if number and rules.plan is None and not caller_number(number):
            raise CommandError("`number` is no number", field="number")
        try:
            erased = await self._house.eraser.erase(client, customer=customer, number=number, by=asked.by, dry=dry)
        except SeveralHaveIt as error:
            raise CommandError(str(error), Reason.CONFLICT, field="number", customers=list(error.ids)) from error
        except StorageError as error:
            raise away(error) from error
        return erased.plain()

    async def imported(self, asked: Asked) -> dict[str, Any]:
        """A program beside the switch tells what it has taken in: ``clients`` with the rows of each."""
        asked.only("clients")
        told = asked.fields.get("clients")
        if not isinstance(told, Mapping) or not all(isinstance(rows, int) for rows in told.values()):
            raise CommandError("`clients` is an object of clients and numbers of rows", field="clients")
        clients = self._house.services.settings.clients
        for client, rows in told.items():
            if client not in clients or not asked.actor.sees(client):
                raise CommandError(f"there is no client `{client}`", Reason.NOT_FOUND, field="clients")
            self._house.stream.append(CustomersImported(client, asked.by, int(rows)))
        return {}

    def _client(self, asked: Asked) -> tuple[str, Rules]:
        name = fields.client(self._house, asked)
        return name, self._house.services.settings.clients[name].customers

    @staticmethod
    def _read(client: str, customer: str, changes: Mapping[str, object], rules: Rules) -> Customer:
        try:
            return read_customer(client, customer, changes, rules)
        except BadField as error:
            raise CommandError(str(error), field=error.field) from error

    def _tell(self, customer: Customer, by: str, *, created: bool = False) -> None:
        self._house.stream.append(CustomerSaved(customer.client, customer.id, by, customer.revision, created))


def written(asked: Asked) -> dict[str, object]:
    """What a command writes of a customer."""
    return {name: asked.fields[name] for name in KNOWN if name in asked.fields}


def nobody(customer: str) -> CommandError:
    """The answer to who asks for somebody whom there is not."""
    return CommandError(f"there is no customer `{customer}`", Reason.NOT_FOUND, field="customer")


def away(error: StorageError) -> CommandError:
    """The answer while the database does not."""
    return CommandError(str(error), Reason.UNAVAILABLE)


def word(asked: Asked, name: str, *, wanted: bool = False) -> str:
    """A field that is a short text; empty where it is not there."""
    most = MAX_ID if name in ("customer", "other", "after") else MAX_WORDS
    return fields.text(asked, name, most=most, wanted=wanted)
