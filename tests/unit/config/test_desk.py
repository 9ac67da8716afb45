"""The desk as it is written, and every way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcenter.config import DEFAULT_FOLDER, Code, load
from callcenter.config.settings import DeskSettings, DeskUser, Rate
from callcenter.model.access import Role
from tests.unit.config.floor import GOOD, load_text, marked, problems_of, span


def test_the_shipped_desk_is_the_one_that_is_there_when_nothing_is_said(tmp_path: Path) -> None:
    assert load_text(tmp_path).desk == DeskSettings()
    assert load(DEFAULT_FOLDER, data=tmp_path).desk == DeskSettings()


def test_everything_that_may_be_said(tmp_path: Path) -> None:
    text = GOOD + (
        "desk:\n  enabled: false\n  listen: '[::1]:9000'\n  public_url: https://desk.example.com/\n"
        "  cors: [https://CRM.example.com, 'http://localhost:3000/']\n"
        "  rate: {requests_per_second: 5, burst: 7}\n"
        "  users:\n    ida: {name: Ida, role: admin}\n    acme-portal: {name: Acme, role: client, clients: [acme]}\n"
    )
    assert load_text(tmp_path, text).desk == DeskSettings(
        enabled=False,
        host="::1",
        port=9000,
        public_url="https://desk.example.com",
        cors=("https://crm.example.com", "http://localhost:3000"),
        rate=Rate(5, 7),
        users={
            "ida": DeskUser("Ida", Role.ADMIN),
            "acme-portal": DeskUser("Acme", Role.CLIENT, frozenset({"acme"})),
        },
    )


@pytest.mark.parametrize(
    ("written", "where"),
    [("8081", ("127.0.0.1", 8081)), ("0.0.0.0:80", ("0.0.0.0", 80)), ("{port: 0}", ("127.0.0.1", 0))],
)
def test_short_forms_of_where_it_listens(tmp_path: Path, written: str, where: tuple[str, int]) -> None:
    desk = load_text(tmp_path, GOOD + f"desk: {{listen: {written}}}\n").desk
    assert (desk.host, desk.port) == where


@pytest.mark.parametrize(
    ("written", "code", "message", "hint"),
    [
        ("listen: «localhost:80»", Code.FORM, "`localhost` is not an IP address", "write an address"),
        ("listen: «127.0.0.1:99999»", Code.FORM, "`99999` is out of range", "at most 65535"),
        ("public_url: «desk.example.com»", Code.FORM, "is not the address of a page", "https://desk.example.com"),
        ("public_url: «https://me@desk.example.com»", Code.FORM, "is not the address of a page", ""),
        ("cors: ['«*»']", Code.FORM, "every page in the world", "write each origin"),
        ("cors: [«https://crm.example.com/app»]", Code.FORM, "is not an origin", "no path"),
        ("rate: {burst: «0»}", Code.FORM, "`0` is out of range", "at least 1"),
        ("«enabld»: true", Code.UNKNOWN_KEY, "`enabld` is not known here", "did you mean `enabled`?"),
        ("users: {ida: {name: Ida, role: «boss»}}", Code.CHOICE, "`boss` is not known here", "admin, client"),
        ("users: {ida: «{name: Ida, role: client}»}", Code.MISSING, "`clients` is missing", "add `clients:"),
        ("users: {ida: {name: Ida, role: client, clients: [«acm»]}}", Code.NAMES_NOTHING, "`acm`", "`acme`?"),
        ("users: {«ana»: {name: Ana, role: admin}}", Code.TWICE, "there is `ana` in `agents` already", "take another"),
        ("users: {«monitor»: {name: M, role: admin}}", Code.FORM, "`monitor` cannot be", "take another"),
    ],
)
def test_what_is_written_wrongly_is_pointed_at(
    tmp_path: Path, written: str, code: Code, message: str, hint: str
) -> None:
    text = marked(GOOD + f"desk:\n  {written}\n")
    (problem,) = problems_of(tmp_path, text.text)
    quoted = "'«" in written
    assert problem.code is code
    assert message in problem.message
    assert hint in problem.hint
    start, end = span(problem)[1:]
    assert (problem.place.line, start, end) == (text.spans[0][0], text.spans[0][1] - quoted, text.spans[0][2] + quoted)
