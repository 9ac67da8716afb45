"""Follow-ups as they are written: when somebody is reminded, which queue has them, and whom a promise prefers."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.calls.settings import PROMISE
from callcenter.config import Code
from callcenter.model.followup import USUAL_RULES, FollowupRules
from tests.unit.config.floor import is_pointed_at, load_text

FLOOR = """\
clients:
  acme:
    name: Acme
    languages: [en]
    prefer: [promise, last_agent]
    followups: {remind: 15m, overdue_after: 30m, queue: sales}
  other: {name: Other, languages: [en], followups: {remind: off}}
numbers:
  "+15555550100": {client: acme, flow: welcome}
flows:
  welcome: [{queue: sales}]
queues:
  sales: {client: acme}
  theirs: {client: other}
agents:
  ana: {name: Ana, clients: [acme, other]}
"""


def test_a_company_says_when_it_reminds_and_who_has_what_is_nobodys(tmp_path: Path) -> None:
    clients = load_text(tmp_path, FLOOR).calls.clients
    assert clients["acme"].followups == FollowupRules(900.0, 1800.0, "sales")
    assert clients["other"].followups == USUAL_RULES
    assert clients["acme"].routing.prefer == (PROMISE, "last_agent")


@pytest.mark.parametrize(
    ("code", "before", "after", "hint"),
    [
        (Code.OTHER_CLIENT, "queue: sales}\n  other", "queue: «theirs»}\n  other", "name a queue of acme"),
        (Code.NAMES_NOTHING, "queue: sales}\n  other", "queue: «sale»}\n  other", "did you mean `sales`?"),
        (Code.DURATION, "remind: 15m", "remind: «15»", "write 15s for seconds"),
        (Code.NAMES_NOTHING, "[promise", "[«promises»", "did you mean `promise`?"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_what_to_write(
    code: Code, before: str, after: str, hint: str, tmp_path: Path
) -> None:
    assert before in FLOOR
    is_pointed_at(tmp_path, FLOOR.replace(before, after), code, hint=hint)
