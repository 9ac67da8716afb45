"""The do-not-call list as it is written: a step of a flow, and what becomes of agents who dial by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.calls.settings import AddDoNotCall, DoNotCallRule
from callcenter.config import Code
from tests.unit.config.floor import is_pointed_at, load_text

FLOOR = """\
clients:
  acme:
    name: Acme
    languages: [en]
    outbound: {trunks: [carrier], caller_id: "+15555550100", country: "1", do_not_call: warn}
numbers:
  "+15555550100": {client: acme, flow: welcome}
trunks:
  carrier: {peers: [192.0.2.10]}
flows:
  welcome:
    - do_not_call: {prompt: hello, reason: asked}
    - do_not_call: hello
    - do_not_call
    - queue: sales
queues:
  sales: {client: acme}
agents:
  ana: {name: Ana, clients: [acme]}
prompts:
  hello: {en: {file: hello.wav}}
"""


def test_the_step_is_written_long_short_and_alone(tmp_path: Path) -> None:
    settings = load_text(tmp_path, FLOOR).calls
    steps = settings.flows["welcome"].steps[:3]
    assert steps == (AddDoNotCall("hello", "asked"), AddDoNotCall("hello"), AddDoNotCall())
    outbound = settings.clients["acme"].outbound
    assert outbound is not None
    assert outbound.do_not_call is DoNotCallRule.WARN


@pytest.mark.parametrize(
    ("code", "before", "after", "hint"),
    [
        (Code.NAMES_NOTHING, "do_not_call: hello", "do_not_call: «helo»", "did you mean `hello`?"),
        (Code.CHOICE, "do_not_call: warn", "do_not_call: «warm»", "warn"),
        (Code.CHOICE, "    - do_not_call\n", "    - «do-not-call»\n", "did you mean `do_not_call`?"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(
    code: Code, before: str, after: str, hint: str, tmp_path: Path
) -> None:
    assert before in FLOOR
    is_pointed_at(tmp_path, FLOOR.replace(before, after), code, hint=hint)
