"""Who may do what: roles, scopes and companies."""

from __future__ import annotations

import pytest

from callcenter.model.access import SCOPES, Actor, BadActor, Role, Scope, operator


def test_a_token_holds_no_more_than_its_role_and_no_more_than_its_scopes() -> None:
    reader = Actor("crm", Role.SUPERVISOR, frozenset({"acme"}), frozenset({Scope.CUSTOMERS_READ, Scope.CONFIG}))
    assert reader.may(Scope.CUSTOMERS_READ)
    assert not reader.may(Scope.CUSTOMERS_WRITE)  # of the role, not of the token
    assert not reader.may(Scope.CONFIG)  # of the token, not of the role
    assert reader.sees("acme")
    assert not reader.sees("globex")


def test_whoever_works_on_the_machine_may_do_everything() -> None:
    root = operator("root")
    assert all(root.may(scope) for scope in Scope)
    assert root.sees("anything")


def test_a_client_company_looks_and_changes_nothing() -> None:
    assert all(scope.endswith(":read") for scope in SCOPES[Role.CLIENT])


def test_an_actor_crosses_the_socket_unchanged() -> None:
    for actor in (
        operator("root"),
        Actor("ana", Role.AGENT, frozenset({"acme"}), frozenset({Scope.CALLS_READ}), "ana"),
        Actor("acme", Role.CLIENT, frozenset(), frozenset()),
    ):
        assert Actor.from_plain(actor.plain()) == actor


@pytest.mark.parametrize(
    "values",
    [
        None,
        {"role": "agent"},
        {"user": "x" * 65, "role": "agent"},
        {"user": "a\n", "role": "agent"},
        {"user": "ana", "role": "root"},
        {"user": "ana", "role": "agent", "clients": "acme"},
        {"user": "ana", "role": "agent", "clients": [1]},
        {"user": "ana", "role": "agent", "scopes": ["everything"]},
        {"user": "ana", "role": "agent", "agent": 7},
    ],
)
def test_an_actor_that_is_none_is_refused(values: object) -> None:
    with pytest.raises(BadActor):
        Actor.from_plain(values)
