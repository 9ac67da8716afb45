"""Customers as they are written down, in a CSV or by a program: read, checked, and made one way to write them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import phonenumbers

from callcenter.model.customer import WORDS, Customer, Rules, normalise_number
from callcenter.model.customer_fields import MAX_TEXT, BadField
from callcenter.model.ids import is_slug

MAX_NUMBERS = 20
MAX_ACCOUNTS = 20
MAX_ID = 128
# What lists of numbers and accounts are separated by in a CSV; none of an account's own letters.
SEPARATORS = ";|"

FROM_ELSEWHERE: Mapping[str, int] = {
    "id": 100,
    "name": 200,
    "account": 100,
    "tier": 80,
    "language": 20,
    "since": 40,
    "notes": 2_000,
    "agent": 64,
}
"""What another system tells of a customer while they call, as text, and how many characters of it at most."""
MAX_FIELD_FROM_ELSEWHERE = 500

KNOWN = ("name", "numbers", "accounts", *WORDS, "fields")
"""What may be written of a customer."""


def read_customer(
    client: str, id: str, written: Mapping[str, object], rules: Rules, before: Customer | None = None
) -> Customer:
    """The customer that comes of ``before`` (None: a new one) when this is written over it. Raises BadField.

    Whatever is not in ``written`` stays as it is. There must be a name, and a number or an account.
    """
    base = before or Customer(id, client, "")
    for name in written:
        if name not in KNOWN:
            raise BadField(name, f"a customer has none; there are: {', '.join(KNOWN)}")
    changes: dict[str, Any] = {}
    if "name" in written:
        changes["name"] = " ".join(_text("name", written["name"]).split())
    for name in WORDS:
        if name in written:
            # Notes that two records became may be longer, and are kept: an export is read again.
            changes[name] = _text(name, written[name], max(MAX_TEXT, len(getattr(base, name))))
    agent = changes.get("agent", "")
    if agent and not is_slug(agent):
        raise BadField("agent", f"{agent!r}: write the agent's id, lower-case letters, digits and dashes, or nothing")
    if "numbers" in written:
        changes["numbers"] = _numbers(written["numbers"], rules, len(base.numbers))
    if "accounts" in written:
        first, *further = _accounts(written["accounts"], len(base.accounts)) or ("",)
        changes["account"], changes["further_accounts"] = first, tuple(further)
    fields = written.get("fields", {})
    if not isinstance(fields, Mapping):
        raise BadField("fields", "is an object of names and values")
    changes["fields"] = rules.fields.read(
        {name: _clean(value) if isinstance(value, str) else value for name, value in fields.items()},
        before=base.fields,
    )
    customer = dataclasses.replace(base, **changes)
    if not customer.name:
        raise BadField("name", "is empty")
    if not customer.numbers and not customer.accounts:
        raise BadField("numbers", "is empty")
    return customer


def filled(before: Customer, written: Mapping[str, object], rules: Rules) -> dict[str, object]:
    """What of ``written`` says something that ``before`` does not: nothing that is there is overwritten."""
    news: dict[str, object] = {}
    for name in ("name", *WORDS):
        if name in written and not getattr(before, name):
            news[name] = written[name]
    if "numbers" in written:
        news["numbers"] = [*before.numbers, *(noted(each, rules) for each in _list("numbers", written["numbers"]))]
    if "accounts" in written:
        news["accounts"] = [*before.accounts, *_list("accounts", written["accounts"])]
    fields = written.get("fields")
    if isinstance(fields, Mapping):
        news["fields"] = {name: value for name, value in fields.items() if name not in before.fields}
    return news


def noted(written: str, rules: Rules) -> str:
    """A number that somebody wrote down, as it is kept.

    A spreadsheet takes the plus away. What begins with the code of the client's country, and is a number with a plus in
    front but none of the country without (by libphonenumber's tables, or because those have a prefix), is that one.
    """
    kept, plan = rules.number(written), rules.plan
    if plan is None or not plan.country or not kept.startswith(f"+{plan.country * 2}"):
        return kept
    whole = f"+{normalise_number(written)}"
    if whole != f"+{kept.removeprefix(f'+{plan.country}')}" or not _exists(whole):
        return kept
    return whole if plan.national_prefix or not _exists(kept) else kept


def with_plus(written: str, rules: Rules) -> str:
    """A number as it is written, but with the plus that a spreadsheet took away, as in :func:`noted`."""
    whole = noted(written, rules)
    return whole if whole != rules.number(written) else written


def _exists(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


def split(text: str) -> list[str]:
    """Numbers or accounts as a CSV lists them."""
    for separator in SEPARATORS[1:]:
        text = text.replace(separator, SEPARATORS[0])
    return [part.strip() for part in text.split(SEPARATORS[0]) if part.strip()]


def digits_of(account: str) -> str:
    """An account as it can be keyed in on a telephone."""
    return "".join(letter for letter in account if letter in "0123456789")


def _text(name: str, value: object, most: int = MAX_TEXT) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadField(name, "is a text")
    text = _clean(value)
    if len(text) > most:
        raise BadField(name, f"longer than {most} characters")
    return text


def _clean(text: str) -> str:
    # Half characters and NUL are refused by the database. A line ends as a file of text has it, whatever it came in.
    whole = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")
    return whole.replace("\r\n", "\n").replace("\r", "\n").strip()


def _list(name: str, value: object) -> list[str]:
    if value is None:
        return []
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise BadField(name, "is a list of texts")
    return [_clean(each) for each in value]


def _numbers(value: object, rules: Rules, before: int) -> tuple[str, ...]:
    numbers = _once(noted(each, rules) for each in _list("numbers", value))
    for number in numbers:
        if not (number.isascii() and number.removeprefix("+").isdigit()) or len(number) > 32:
            raise BadField("numbers", f"{number!r} is no telephone number; write +420777123456")
    # One that two records became may have more, and keeps them.
    if len(numbers) > max(MAX_NUMBERS, before):
        raise BadField("numbers", f"{len(numbers)}, at most {MAX_NUMBERS} are kept")
    return numbers


def _accounts(value: object, before: int) -> tuple[str, ...]:
    accounts = _once(_list("accounts", value))
    for account in accounts:
        if len(account) > MAX_ID:
            raise BadField("accounts", f"longer than {MAX_ID} characters")
        if any(letter in SEPARATORS for letter in account):
            raise BadField("accounts", f"{account!r}: write several as a list, without {' or '.join(SEPARATORS)}")
    if len(accounts) > max(MAX_ACCOUNTS, before):
        raise BadField("accounts", f"{len(accounts)}, at most {MAX_ACCOUNTS} are kept")
    return accounts


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))
