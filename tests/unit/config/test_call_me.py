"""The public "call me" as it is written: what it allows, and every way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import Code
from callcenter.config.settings import CallMe
from tests.unit.config.floor import is_pointed_at, load_text

FLOOR = """\
clients:
  acme:
    name: Acme
    languages: [en]
    outbound: {trunks: [carrier], caller_id: "+15555550100", country: "1"}
    call_me: {queue: sales, reasons: {invoice: An invoice}, origins: "https://Acme.example/", delay: 2m, hours: office}
  other:
    name: Other
    languages: [en]
numbers:
  "+15555550100": {client: acme, flow: welcome}
trunks:
  carrier: {peers: [192.0.2.10]}
hours:
  office: {open: {mon-fri: "09:00-18:00"}, time_zone: Europe/Madrid}
flows:
  welcome: [{queue: sales}]
queues:
  sales: {client: acme, hours: office}
  theirs: {client: other}
agents:
  ana: {name: Ana, clients: [acme, other]}
"""


def test_a_company_says_who_may_ask_for_what_and_how_often(tmp_path: Path) -> None:
    found = load_text(tmp_path, FLOOR).call_me
    assert found == {
        "acme": CallMe("sales", {"invoice": "An invoice"}, ("https://acme.example",), delay=120.0, hours="office")
    }
    more = "delay: 2m, confirm: backend, per_address: 1, per_number: 2, per_hour: 3, per_day: 4"
    acme = load_text(tmp_path, FLOOR.replace("delay: 2m", more)).call_me["acme"]
    assert (acme.backend, acme.per_address, acme.per_number, acme.per_hour, acme.per_day) == (True, 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("code", "before", "after", "hint"),
    [
        (Code.OTHER_CLIENT, "{queue: sales, reasons", "{queue: «theirs», reasons", "name a queue of acme"),
        (Code.NAMES_NOTHING, "{queue: sales, reasons", "{queue: «sale», reasons", "did you mean `sales`?"),
        (Code.NAMES_NOTHING, "delay: 2m, hours: office", "delay: 2m, hours: «offices»", "did you mean `office`?"),
        (Code.DURATION, "delay: 2m", "delay: «1s»", "write e.g. 1m"),
        (Code.FORM, '"https://Acme.example/"', '«"*"»', "write each origin"),
        (Code.FORM, '"https://Acme.example/"', '«"https://acme.example/page"»', "scheme, host and perhaps a port"),
        (Code.MISSING, "    outbound: {tr", "    «call_me»: {queue: sales}\n    x: {tr", "add `outbound`"),
        (Code.FORM, "    call_me: {", "    callbacks: off\n    «call_me»: {", "take `callbacks: off` away"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(
    code: Code, before: str, after: str, hint: str, tmp_path: Path
) -> None:
    assert before in FLOOR
    text = FLOOR.replace(before, after, 1)
    if code is Code.MISSING:
        text = text.replace('    x: {trunks: [carrier], caller_id: "+15555550100", country: "1"}\n', "", 1)
        text = "\n".join(line for line in text.split("\n") if not line.startswith("    call_me: {queue: sales, r"))
    is_pointed_at(tmp_path, text, code, hint=hint)
