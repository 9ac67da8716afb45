"""What admins get wrong in what a company notes, promises and sends: pointed at to the word, with what to write."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import Code, Settings
from tests.unit.config.floor import load_text, marked, problems_of, span

FLOOR = """\
clients:
  acme:
    name: Acme
    languages: [en]
    outbound: {trunks: [carrier], caller_id: "+15555550100", country: "1"}
    TRIED
numbers:
  "+15555550100": {client: acme, flow: welcome}
trunks:
  carrier: {peers: [192.0.2.10]}
flows:
  welcome: [{queue: sales}]
queues:
  sales: {client: acme}
agents:
  ana: {name: Ana, clients: [acme]}
"""
CRM = 'crm: {url: "https://crm.example.com/?n={number}", '
HOOK = "webhooks: {crm: {url: https://crm.example.com/x, secret_file: floor.yaml, "


def tried(written: str) -> str:
    """The floor with this among what is said of the client, or at its end where it begins a section."""
    section = written.split(":", maxsplit=1)[0].strip("«»")
    if section in ("desk", "customers_file", "supervisors"):
        return FLOOR.replace("    TRIED\n", "") + written.replace("customers_file", "customers") + "\n"
    return FLOOR.replace("TRIED", written)


@pytest.mark.parametrize(
    ("code", "written", "hint"),
    [
        # Secrets, where everybody reads along.
        (Code.FORM, CRM + "«secret»: hunter2}", "write `secret_env: VARIABLE`"),
        (Code.FORM, CRM + 'headers: {«Authorization»: "Bearer abc"}}', "write {secret} where it belongs"),
        (Code.FORM, CRM + "headers: {«X-Api-Key»: 5f4dcc}}", "write {secret} where it belongs"),
        (Code.FORM, 'crm: {url: «"https://crm.example.com/?key=5f4dcc&n={number}"»}', "send it in a header"),
        (Code.FORM, HOOK + "«former_secret»: abc}}", "write `secret_env: VARIABLE`"),
        (Code.FORM, "webhooks: {crm: {url: https://a.example/x, secret_env: «my secret 1»}}", "as in CRM_TOKEN"),
        (Code.UNKNOWN_KEY, "desk: {users: {ida: {name: Ida, role: admin, «password»: x}}}", "callcenter password USER"),
        (Code.UNKNOWN_KEY, "supervisors: {sofia: {name: Sofia, «password»: x}}", "callcenter password USER"),
        # The key that is wrong, and not the whole of which it is one.
        (Code.MISSING, CRM + "«secret_env»: CRM_TOKEN}", "write e.g. headers"),
        (Code.MISSING, CRM + '«headers»: {Authorization: "Bearer {secret}"}}', "add `secret_env: VARIABLE`"),
        (Code.MISSING, "crm: {«url»: https://crm.example.com/}", "customers?number={number}"),
        (Code.FORM, "customers: {fields: {plan: {type: text, «choices»: [a]}}}", "write type: choice"),
        (Code.FORM, "customers: {fields: {plan: {type: number, «max_length»: 5}}}", "write type: text"),
        (Code.MISSING, "customers: {fields: {plan: {«type»: choice}}}", "add choices"),
        (Code.FORM, "wrap_up_fields: {order: {label: O, type: number, «mask»: true}}", "write type: text"),
        (Code.MISSING, "«dispositions_required»: true", "add dispositions"),
        (Code.FORM, 'callbacks: {outside: ["+1"], «never»: ["+1"]}', "take one away"),
        # Times.
        (Code.DURATION, "followups: {remind: «2d»}", "write 48h"),
        (Code.DURATION, "dispositions: {refund: {label: Refund, follow_up: «2d»}}", "write 48h"),
        (Code.DURATION, "followups: {overdue_after: «8d»}", "write a duration as"),
        (Code.FORM, "dispositions: {refund: {label: Refund, follow_up: «true»}}", "write required, or when it is due"),
        (Code.FORM, "dispositions: {refund: {label: Refund, follow_up: «off»}}", "or take it away"),
        (Code.FORM, "desk: {session: {«idle»: 20h, longest: 16h}}", "write a shorter `idle`"),
        # What is turned off by a word that it does not know, and words that are not what they look like.
        (Code.TYPE, "desk: «off»", "write {enabled: false}"),
        (Code.TYPE, "call_me: «off»", "take it away"),
        (Code.TYPE, "call_me: {queue: «[»sales]}", "without brackets"),
        (Code.UNKNOWN_KEY, "callbacks: {«try»: 3}", "known here: enabled, hours"),
        (Code.CHOICE, HOOK + "events: [«call.answerd»]}}", "did you mean `call.answered`?"),
        (Code.CHOICE, HOOK + "events: [«followup.overdu»]}}", "did you mean `followup.overdue`?"),
        (Code.TYPE, "customers_file: «{»file: customers.csv}", "write e.g. customers.csv"),
    ],
)
def test_is_pointed_at_with_what_to_write_instead(tmp_path: Path, code: Code, written: str, hint: str) -> None:
    text = marked(tried(written))
    (problem,) = problems_of(tmp_path, text.text)
    assert problem.code is code, problem
    assert hint in problem.hint
    assert (span(problem)[:2], "Entry(" in str(problem)) == (text.spans[0][:2], False)


def test_an_address_is_quoted_as_it_is_written(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, tried('crm: {url: "ftp://crm.example.com/{number}"}'))
    assert "`ftp://crm.example.com/{number}` is not an address of HTTP" in problem.message


def test_what_may_be_the_secret_itself_is_not_repeated(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, tried("webhooks: {a: {url: https://a.example/x, secret_env: hunter 2}}"))
    assert "hunter" not in problem.message + problem.hint


def test_who_mistypes_what_follows_a_queue_is_told_of_the_word_that_was_meant(tmp_path: Path) -> None:
    text = marked(
        tried("x").replace("    x\n", "").replace("sales: {client: acme}", "sales: {client: acme, on_full: «callbak»}")
    )
    (problem,) = problems_of(tmp_path, text.text)
    assert (problem.hint, span(problem)) == ("did you mean `callback`?", text.spans[0])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("callbacks: {tries: 3, «tries_per_day»: 5}", "nobody is dialled more often than 3 times in all"),
        ('callbacks: {outside: ["+1"], never: [«"+44900"»]}', "nothing to except"),
        ("call_me: {queue: sales, «per_hour»: 600, per_day: 300}", "no more than 300 are taken in a day anyway"),
        ("webhooks: {crm: {url: «https://192.168.1.5/x», secret_file: floor.yaml}}", "where nothing is sent"),
        ("webhooks: {crm: {url: «https://localhost/x», secret_file: floor.yaml}}", "where nothing is sent"),
        ("desk: {«public_url»: http://desk.example.com}", "who is on the way reads passwords along"),
    ],
)
def test_what_comes_to_nothing_is_a_warning(tmp_path: Path, written: str, message: str) -> None:
    text = marked(tried(written))
    (problem,) = load_text(tmp_path, text.text).warnings
    assert message in problem.message
    assert span(problem)[0] == text.spans[0][0]
    assert problem.hint


@pytest.mark.parametrize(
    "written",
    [
        "desk: {session: {longest: 1h}}",
        "call_me: {queue: sales, per_day: 20}",
        'crm: {url: "https://crm.example.com/?key=phone&search_key=main_number&n={number}"}',
        CRM + "headers: {Idempotency-Key: look-up}}",
    ],
)
def test_what_is_right_is_left_in_peace(tmp_path: Path, written: str) -> None:
    """One limit alone may be shortened, and a key need not be one that opens anything."""
    assert load_text(tmp_path, tried(written)).warnings == ()


@pytest.mark.parametrize("written", ["call_me: {queue: sales}", HOOK + "}}", CRM.rstrip(", ") + "}"])
def test_what_the_desk_would_do_is_told_of_where_it_is_off(tmp_path: Path, written: str) -> None:
    (problem,) = load_text(tmp_path, tried(written), "desk.enabled=false").warnings
    assert "off" in problem.message
    assert "desk: {enabled: true}" in problem.hint


def test_choices_of_a_wrap_up_field_may_be_a_list_as_those_of_customers(tmp_path: Path) -> None:
    found: Settings = load_text(
        tmp_path, tried("wrap_up_fields: {plan: {label: Plan, type: choice, choices: [basic, gold]}}")
    )
    assert found.calls.clients["acme"].wrap_up_fields["plan"].choices == {"basic": "basic", "gold": "gold"}
