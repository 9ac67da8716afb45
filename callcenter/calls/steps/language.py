"""The step ``language``: what is spoken from now on."""

from __future__ import annotations

from callcenter.calls.call import Call
from callcenter.model.facts import LanguageChosen


def speak(call: Call, language: str | None) -> None:
    """Speak this language from now on; None: stay with what is spoken."""
    if language is not None and language != call.captured.language:
        call.captured.language = language
        call.add(LanguageChosen(language))


def customers_language(call: Call) -> str | None:
    """The language of the company that serves the customer best; None where it is not known for sure, or not ours."""
    customer = call.known.customer
    return call.client.speaks(customer.language) if customer is not None else None
