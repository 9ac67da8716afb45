"""Numbers: how they and what else is dialled are written, and what is dialled to reach us."""

from __future__ import annotations

import re
from typing import Annotated

from callcenter.config.names import ClientName, FlowName
from callcenter.config.shape import Shape, form


def _number_hint(value: str) -> str:
    digits = re.sub(r"\D", "", value)
    if re.match(r"\s*(\+|00)", value) and 7 <= len(digits.removeprefix("00")) <= 15:
        return f'write it as "+{digits.removeprefix("00")}"'
    return 'write it in E.164 and in quotes, e.g. "+15555550100"'


E164 = Annotated[str, form(r"\+[1-9]\d{6,14}", "a number in E.164", _number_hint)]
Alias = Annotated[str, form(r"[a-z0-9*#._-]{1,32}", "a short number or word to dial", "write e.g. 1000 or welcome")]
CodeKey = Annotated[str, form(r"[0-9*#]{2,8}", "a code to dial", 'write 2 to 8 of 0 to 9, * and #, in quotes: "*21"')]
Extension = Annotated[str, form(r"[0-9]{2,8}", "an extension", 'write 2 to 8 digits, in quotes: "201"')]
DialPrefix = Annotated[
    str, form(r"[0-9*#]{1,6}", "a prefix to dial", 'write 1 to 6 of 0 to 9, * and #, in quotes: "9"')
]
Beginning = Annotated[
    str,
    form(
        r"\+(?:[1-9]\d{0,14})?",
        "the beginning of a number in E.164",
        'write a plus and digits, in quotes: "+1", or "+" for all the world',
    ),
]
Key = Annotated[str, form(r"[0-9*#]", "a key of a telephone", 'write one of 0 to 9, "*" or "#"')]
Prefix = Annotated[str, form(r"\d{0,5}", "what is dialled before a number", 'write digits, as in "011", or ""')]
Country = Annotated[str, form(r"[1-9]\d{0,2}", "the code of a country", 'write it without plus, as in "1" or "44"')]
Digits = Annotated[str, form(r"\+?\d{1,15}", "the beginning of a number", 'write digits, as in "+1" or "0800"')]


class Number(Shape):
    """What is dialled."""

    client: ClientName
    flow: FlowName
    aliases: tuple[Alias, ...] = ()
