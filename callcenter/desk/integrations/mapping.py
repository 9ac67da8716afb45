"""Mapping: what a CRM is asked, and what of its answer is a customer. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from callcenter.config.crm import SECRET, CrmSettings
from callcenter.model.customer import caller_number
from callcenter.model.customer_form import FROM_ELSEWHERE, MAX_FIELD_FROM_ELSEWHERE
from callcenter.model.ids import is_slug

LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Z]{2})?\Z")


class BadAnswer(Exception):
    """An answer that says nothing we understand; one line, without anything of its content."""


def asks_for(settings: CrmSettings, number: str) -> str:
    """The number as the CRM is asked for it; empty: it is not asked, for who withholds it or what is never asked."""
    wanted = caller_number(number)
    if not wanted or not wanted.removeprefix("+").isdigit():
        return ""
    return "" if any(wanted.startswith(each) for each in settings.never) else wanted


def address(settings: CrmSettings, values: Mapping[str, str], secret: str = "") -> str:
    """The address to ask at. A value can never add to the path or the query: it is quoted, and so is the secret."""
    known = {**values, SECRET.strip("{}"): secret}
    return re.sub(r"\{([^{}]*)\}", lambda found: quote(known.get(found[1], ""), safe=""), settings.url)


def headers(settings: CrmSettings, secret: str) -> dict[str, str]:
    """The headers of the question, with the secret in its place."""
    written = {name: text.replace(SECRET, secret) for name, text in settings.headers.items()}
    return {"Accept": "application/json", **written}


def customer_of(settings: CrmSettings, body: bytes) -> dict[str, Any] | None:
    """The customer of an answer, as the switch takes it; None: the CRM knows nobody. Raises BadAnswer.

    What is of another kind than text, number or truth is left out, as is a language or an agent that cannot be one.
    """
    try:
        answer = json.loads(body) if body.strip() else None
    except (ValueError, RecursionError):
        raise BadAnswer("the answer is no JSON") from None
    if answer is None or answer in ({}, []):
        return None
    if not isinstance(answer, dict | list):
        raise BadAnswer("the answer is neither an object nor a list")
    found: dict[str, Any] = {}
    for name, path in settings.answer.items():
        text = _text(_at(answer, path))
        if text and (name != "language" or LANGUAGE.match(text)) and (name != "agent" or is_slug(text)):
            # What is longer is cut, as the switch would refuse it.
            found[name] = text[: FROM_ELSEWHERE[name]]
    if "id" not in found:
        if any(_at(answer, path) is not None for path in settings.answer.values()):
            raise BadAnswer(f"the answer has no id at `{settings.answer['id']}`")
        return None
    fields = {name: _text(_at(answer, path))[:MAX_FIELD_FROM_ELSEWHERE] for name, path in settings.fields.items()}
    found["fields"] = {name: text for name, text in fields.items() if text}
    return found


def _at(answer: Any, path: str) -> Any:
    for step in path.split("."):
        if isinstance(answer, dict):
            answer = answer.get(step)
        elif isinstance(answer, list) and step.isdigit() and int(step) < len(answer):
            answer = answer[int(step)]
        else:
            return None
    return answer


def _text(value: Any) -> str:
    """A value as text of one line's characters, broken UTF-8 left out; nothing for what is no word."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        return ""
    text = str(value).encode("utf-8", "ignore").decode()
    return "".join(char for char in text if char.isprintable() or char in "\n\t").strip()
