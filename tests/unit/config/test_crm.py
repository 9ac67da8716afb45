"""A company's own CRM and its receivers of events as they are written, and every way to get them wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import DEFAULT_FOLDER, Code, load
from callcenter.config.crm import CrmUse, wants
from callcenter.signaling.trunks.settings import PasswordFrom
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span, write_floor

URL = "https://crm.example.com/customers?number={number}"
CRM = GOOD.replace("languages: [en]}", f'languages: [en], crm: {{url: "{URL}"}}}}')
HOOK = GOOD.replace(
    "languages: [en]}",
    "languages: [en], webhooks: {crm: {url: https://crm.example.com/calls, secret_env: HOOK_SECRET}}}",
)


def test_nobody_is_asked_or_told_where_nothing_is_said_and_the_shipped_floor_says_nothing(tmp_path: Path) -> None:
    for settings in (load_text(tmp_path), load(DEFAULT_FOLDER, data=tmp_path)):
        assert (settings.crm, settings.webhooks) == ({}, ())
        assert all(client.own_base for client in settings.calls.clients.values())


def test_everything_that_may_be_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CRM_TOKEN", "t")
    monkeypatch.setenv("OLD", "o")
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "new").write_text("n")
    text = GOOD.replace(
        "languages: [en]}",
        """languages: [en]
    crm:
      url: "https://crm.example.com/{account}?n={number}&c={call}"
      headers: {Authorization: "Bearer {secret}"}
      secret_env: CRM_TOKEN
      answer: {id: data.0.no, name: data.0.title, fields: {plan: data.0.plan}}
      timeout: 2s
      cache: 1h
      failures: 3
      pause: 1m
      use: instead_of
      never: ["+1900"]
    webhooks:
      crm: {url: "http://127.0.0.1:9/x", secret_file: new, former_secret_env: OLD, events: [interaction, call.answered],
            allow_private: true, timeout: 5s, give_up_after: 2h, disable_after: 48h}""",
    ).replace("acme: {name: Acme, ", "acme:\n    name: Acme\n    ")
    settings = load_text(tmp_path, text)
    crm = settings.crm["acme"]
    assert not settings.calls.clients["acme"].own_base
    assert (crm.client, crm.method, crm.use) == ("acme", "GET", CrmUse.INSTEAD_OF)
    assert (crm.secret, crm.headers) == (PasswordFrom(env="CRM_TOKEN"), {"Authorization": "Bearer {secret}"})
    assert (crm.answer["id"], crm.answer["name"], crm.answer["tier"]) == ("data.0.no", "data.0.title", "tier")
    assert crm.fields == {"plan": "data.0.plan"}
    assert (crm.timeout, crm.cache, crm.failures, crm.pause, crm.never) == (2.0, 3600.0, 3, 60.0, ("+1900",))
    assert (crm.wants_number, crm.wants_account) == (True, True)
    (hook,) = settings.webhooks
    assert hook.secrets == (PasswordFrom(file=tmp_path / "config" / "new"), PasswordFrom(env="OLD"))
    assert (hook.events, hook.private) == (("interaction", "call.answered"), True)
    assert (hook.timeout, hook.give_up_after, hook.disable_after) == (5.0, 7200.0, 172_800.0)


@pytest.mark.parametrize(
    ("before", "after", "code", "message", "hint"),
    [
        (f'"{URL}"', '«"crm.example.com/{number}"»', Code.FORM, "is not an address of HTTP", "write e.g. https://"),
        (f'"{URL}"', '«"https://crm/{nummer}"»', Code.CHOICE, "`{nummer}` stands for nothing", "did you mean `number`"),
        (f'"{URL}"', '«"https://{number}.crm/"»', Code.FORM, "in the name of the host", "write the host itself"),
        (f'"{URL}"', '«"https://crm/{number"»', Code.FORM, "a brace without the other", "write e.g. https://"),
        (f'"{URL}"', '«"https://me:word@crm/{number}"»', Code.FORM, "holds a user or password", "secret_env"),
        (f'"{URL}"', '«"https://crm/{number}#top"»', Code.FORM, "`#top` is never sent", "take it away"),
        (f'{{url: "{URL}"}}', '{«url»: "https://crm/who"}', Code.MISSING, "does not say who", "method: POST"),
        (f'"{URL}"', f'"{URL}", secret: «x»', Code.FORM, "does not stand in the configuration", "secret_env"),
        (f'"{URL}"', f'"{URL}", timeout: «1m»', Code.DURATION, "longer than 30 s", "write 30s"),
        (
            f'"{URL}"',
            f'"{URL}", use: «instead»',
            Code.CHOICE,
            "`instead` is not known here",
            "did you mean `instead_of`?",
        ),
        (f'"{URL}"', f'"{URL}", answer: {{id: «a..b»}}', Code.FORM, "not a path into the answer", "customer.name"),
        (f'"{URL}"', f'"{URL}", never: «"0900"»', Code.FORM, "the beginning of a number", "+1900"),
    ],
)
def test_a_mistake_about_a_crm_is_pointed_at(
    tmp_path: Path, before: str, after: str, code: Code, message: str, hint: str
) -> None:
    text = marked(CRM.replace(before, after, 1))
    problem = next(each for each in problems_of(tmp_path, text.text) if each.code is code)
    assert message in problem.message
    assert hint in problem.hint
    if "secret: " not in after:
        assert span(problem) == text.spans[0]


def test_a_crm_that_takes_its_secret_in_the_address_alone_can_be_asked(tmp_path: Path) -> None:
    url = f"{URL}&api_key={{secret}}"
    crm = load_text(tmp_path, CRM.replace(f'"{URL}"', f'"{url}", secret_env: CRM_KEY')).crm["acme"]
    assert (crm.url, crm.secret) == (url, PasswordFrom(env="CRM_KEY"))
    for given, hint in ((url, "secret_env"), (f"{URL}&api_key=s3cr3t", "api_key={secret}")):
        (problem,) = problems_of(tmp_path, CRM.replace(URL, given))
        assert problem.path == "clients.acme.crm.url"
        assert hint in problem.hint


@pytest.mark.parametrize(
    ("more", "message", "hint"),
    [
        ('secret_env: T, headers: {Accept: "x"}', "stands neither in a header nor in the address", "Bearer {secret}"),
        ('headers: {Authorization: "Bearer {secret}"}', "wants a secret, and there is none", "secret_env"),
        ("secret_env: T, secret_file: hello.wav", "comes from two places", "keep"),
        ('headers: {Host: "x"}', "`Host` is set by us", "take it away"),
        ('headers: {"a b": "x"}', "is no header", "write e.g. Accept"),
    ],
)
def test_a_secret_and_where_it_is_sent_belong_together(tmp_path: Path, more: str, message: str, hint: str) -> None:
    found = problems_of(tmp_path, CRM.replace(f'"{URL}"', f'"{URL}", {more}'))
    assert any(message in each.message and hint in each.hint for each in found)


@pytest.mark.parametrize(
    ("before", "after", "message", "hint"),
    [
        (", secret_env: HOOK_SECRET", "", "without a secret nobody", "openssl rand"),
        ("HOOK_SECRET", "HOOK_SECRET, events: [calls]", "`calls` is no event", "did you mean `call`?"),
        ("HOOK_SECRET", "HOOK_SECRET, events: [interaction.gone]", "is no event", "did you mean"),
        ("HOOK_SECRET", "HOOK_SECRET, timeout: 2m", "longer than 60 s", "60s"),
        ("https://crm.example.com/calls", "ftp://crm", "is not an address of HTTP", "https://"),
    ],
)
def test_a_mistake_about_a_receiver_is_told(tmp_path: Path, before: str, after: str, message: str, hint: str) -> None:
    found = problems_of(tmp_path, HOOK.replace(before, after))
    assert any(message in each.message and hint in each.hint for each in found)


def test_what_goes_in_the_clear_or_lacks_its_secret_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOOK_SECRET", raising=False)
    text = HOOK.replace("https://crm.example.com", "http://crm.example.com")
    warnings = load_text(tmp_path, text).warnings
    assert [(each.code, each.path) for each in warnings] == [
        (Code.FORM, "clients.acme.webhooks.crm.url"),
        (Code.UNSET, "clients.acme.webhooks.crm.secret_env"),
    ]
    loopback = HOOK.replace("https://crm.example.com", "http://127.0.0.1:8000")
    loopback = loopback.replace("url:", "allow_private: true, url:", 1)
    monkeypatch.setenv("HOOK_SECRET", "x")
    assert load(write_floor(tmp_path / "other", loopback), data=tmp_path).warnings == ()


def test_an_event_is_wanted_by_its_name_or_by_how_it_begins() -> None:
    assert wants(("interaction",), "interaction.finished")
    assert wants(("call.answered", "customer"), "call.answered")
    assert not wants(("call.answered",), "call.answered_late")
    assert not wants(("call",), "callback.done")
