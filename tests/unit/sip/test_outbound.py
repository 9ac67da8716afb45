"""Phones that keep several flows open (RFC 5626): reached by one of them, and by the next when it is gone."""

from __future__ import annotations

import pytest

from callcenter.sip.flow import Address, Flow, Transport
from tests.unit.sip.test_registrar import AOR, UDP, Desk, tcp

OUTBOUND = (("Supported", "path, outbound"),)


def contact(reg_id: int, *, instance: str = "<urn:uuid:1>", host: str = "10.0.0.7") -> str:
    return f'<sip:ana@{host};transport=tcp>;+sip.instance="{instance}";reg-id={reg_id}'


def connections(desk: Desk) -> list[int]:
    return [binding.flow.connection for binding in desk.registrar.bindings(AOR, 0.0)]


def test_phone_with_two_flows_is_called_by_one_and_by_the_other_when_that_is_lost() -> None:
    desk = Desk()
    desk.register(contact(1), flow=tcp(1), call_id="first", headers=OUTBOUND)
    answer = desk.register(contact(2), flow=tcp(2, 40_001), call_id="second", headers=OUTBOUND)
    assert answer.changed
    assert connections(desk) == [2], "it rings once"
    assert [binding.flow.connection for binding in desk.registrar.flows(AOR, 0.0)] == [2, 1]
    assert desk.registrar.drop_connection(2) == [AOR]
    assert connections(desk) == [1]
    assert desk.registrar.drop_connection(1) == [AOR]
    assert connections(desk) == []


def test_phone_learns_that_its_flow_is_kept_and_how_often_to_say_something() -> None:
    desk = Desk()
    headers = dict(desk.register(contact(1), flow=tcp(1), headers=OUTBOUND).headers)
    assert headers["Contact"] == ('<sip:ana@10.0.0.7;transport=tcp>;+sip.instance="<urn:uuid:1>";reg-id=1;expires=3600')
    assert (headers["Require"], headers["Supported"]) == ("outbound", "path, outbound")
    assert headers["Flow-Timer"] == "120"
    assert dict(desk.register(contact(2), headers=OUTBOUND).headers)["Flow-Timer"] == "30"


def test_flow_that_is_opened_anew_takes_the_place_of_the_old_one() -> None:
    desk = Desk()
    desk.register(contact(1), flow=tcp(1), headers=OUTBOUND)
    desk.register(contact(2), flow=tcp(2), headers=OUTBOUND)
    desk.register(contact(1, host="10.0.0.8"), flow=tcp(3), call_id="restarted", headers=OUTBOUND)
    assert [binding.flow.connection for binding in desk.registrar.flows(AOR, 0.0)] == [3, 2]


def test_flow_is_signed_off_alone() -> None:
    desk = Desk()
    desk.register(contact(1), flow=tcp(1), headers=OUTBOUND)
    desk.register(contact(2), flow=tcp(2), headers=OUTBOUND)
    desk.register(f"{contact(2)};expires=0", flow=tcp(2), headers=OUTBOUND)
    assert connections(desk) == [1]


def test_two_phones_with_flows_ring_both() -> None:
    desk = Desk()
    for number, instance in enumerate(("<urn:uuid:1>", "<urn:uuid:2>"), 1):
        desk.register(contact(1, instance=instance), flow=tcp(number), call_id=instance, headers=OUTBOUND)
    assert connections(desk) == [2, 1]


def test_requests_go_by_the_flow_whatever_the_contact_says() -> None:
    desk = Desk()
    flow = Flow(Transport.UDP, UDP.local, Address("192.0.2.2", 5060))
    where = '<sip:ana@192.0.2.2:5070>;+sip.instance="<urn:uuid:1>";reg-id=1'
    desk.register(where, flow=flow, headers=OUTBOUND)
    assert desk.registrar.bindings(AOR, 0.0)[0].flow == flow


def test_lost_flow_is_not_opened_by_us_to_where_the_phone_says_that_it_listens() -> None:
    desk = Desk()
    desk.register(contact(1, host="192.0.2.2:5070"), flow=tcp(1), headers=OUTBOUND)
    desk.registrar.drop_connection(1)
    assert connections(desk) == []


def test_reg_id_means_nothing_without_outbound_or_instance() -> None:
    desk = Desk()
    desk.register(contact(1), flow=tcp(1))
    headers = dict(desk.register("<sip:ana@10.0.0.8>;reg-id=1", flow=tcp(2), headers=OUTBOUND).headers)
    assert "Require" not in headers
    assert [binding.reg_id for binding in desk.registrar.bindings(AOR, 0.0)] == [0, 0]


def test_phone_that_speaks_outbound_from_now_on_leaves_its_old_binding_behind() -> None:
    desk = Desk()
    desk.register(contact(1), flow=tcp(1))
    desk.register(contact(1, host="10.0.0.8"), flow=tcp(2), call_id="firmware", headers=OUTBOUND)
    assert connections(desk) == [2]


@pytest.mark.parametrize(
    ("path", "status"),
    [((), 439), (("<sip:edge;lr>",), 439), (("<sip:far;lr>, <sip:edge;lr;ob>",), 200)],
)
def test_proxy_between_that_knows_no_flows_is_told(path: tuple[str, ...], status: int) -> None:
    desk = Desk()
    via = ("Via", "SIP/2.0/UDP 10.0.0.7;branch=z9hG4bK2")
    headers = (via, *(("Path", value) for value in path), *OUTBOUND)
    answer = desk.register(contact(1), flow=tcp(1), headers=headers)
    assert answer.status == status
    if status == 439:
        assert answer.reason == "First Hop Lacks Outbound Support"
        assert connections(desk) == []


def test_two_contacts_with_a_flow_each_are_refused() -> None:
    desk = Desk()
    assert desk.register(contact(1), contact(2), flow=tcp(1), headers=OUTBOUND).status == 400
    assert connections(desk) == []


def test_flows_come_back_after_a_restart() -> None:
    desk, successor = Desk(), Desk()
    desk.register(contact(1), headers=OUTBOUND)
    desk.register(contact(2), headers=OUTBOUND)
    successor.registrar.load(AOR, desk.registrar.flows(AOR, 0.0))
    assert successor.registrar.flows(AOR, 0.0) == desk.registrar.flows(AOR, 0.0)
    assert len(successor.contacts()) == 1
