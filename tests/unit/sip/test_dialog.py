"""Dialogs: route sets, targets, counters, and the way a request within them takes."""

from __future__ import annotations

import pytest

from callcenter.sip.dialog import Dialog, behind_nat, flow_towards, routed
from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import Headers
from callcenter.sip.message import Request, Response
from callcenter.sip.uri import Uri

HERE = Address("192.0.2.1", 5060)
PEER = Address("192.0.2.2", 5062)
UDP = Flow(Transport.UDP, HERE, PEER)
TCP = Flow(Transport.TCP, HERE, PEER, 4)


def invite(*more: tuple[str, str], via: str = "192.0.2.2:5062") -> Request:
    return Request(
        "INVITE",
        Uri.parse("sip:here@192.0.2.1"),
        Headers(
            [
                ("Via", f"SIP/2.0/UDP {via};branch=z9hG4bK1;rport"),
                ("From", '"Peer" <sip:peer@example.com>;tag=theirs'),
                ("To", "<sip:here@example.com>"),
                ("Call-ID", "call"),
                ("CSeq", "10 INVITE"),
                *more,
            ]
        ),
    )


def called(*more: tuple[str, str], flow: Flow = UDP, via: str = "192.0.2.2:5062") -> Dialog:
    """The dialog of a call that came in."""
    request = invite(("Contact", "<sip:peer@192.0.2.2:5062>"), *more, via=via)
    return Dialog.of_request(request, "mine", flow, "<sip:here@192.0.2.1:5060>")


def calling(
    *answer: tuple[str, str], routes: tuple[str, ...] = (), target: str = "sip:peer@192.0.2.2:5062", flow: Flow = UDP
) -> Dialog:
    """The dialog of a call that went out and was answered."""
    uri, sent = routed(Uri.parse(target), routes)
    request = Request(
        "INVITE",
        uri,
        Headers(
            [
                ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport"),
                *(("Route", route) for route in sent),
                ("From", "<sip:here@example.com>;tag=mine"),
                ("To", "<sip:peer@example.com>"),
                ("Call-ID", "call"),
                ("CSeq", "3 INVITE"),
            ]
        ),
    )
    response = Response(
        200, "OK", Headers([("To", "<sip:peer@example.com>;tag=theirs"), ("CSeq", "3 INVITE"), *answer])
    )
    return Dialog.of_response(request, response, Uri.parse(target), flow, "<sip:here@192.0.2.1:5060>")


def test_called_dialog_turns_from_and_to_around() -> None:
    dialog = called()
    bye = dialog.request("BYE", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2")
    assert bye.to_bytes().decode().split("\r\n")[:-3] == [
        "BYE sip:peer@192.0.2.2:5062 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK2",
        "Max-Forwards: 70",
        "From: <sip:here@example.com>;tag=mine",
        'To: "Peer" <sip:peer@example.com>;tag=theirs',
        "Call-ID: call",
        "CSeq: 1 BYE",
    ]
    assert dialog.key == ("call", "mine", "theirs")


def test_called_dialog_keeps_the_record_route_in_order_and_the_calling_one_turns_it_around() -> None:
    record = (("Record-Route", "<sip:p1;lr>, <sip:p2;lr>"), ("Record-Route", "<sip:p3;lr>"))
    assert called(*record).routes == ("<sip:p1;lr>", "<sip:p2;lr>", "<sip:p3;lr>")
    assert calling(*record, ("Contact", "<sip:peer@192.0.2.9>")).routes == (
        "<sip:p3;lr>",
        "<sip:p2;lr>",
        "<sip:p1;lr>",
    )


def test_loose_routers_leave_the_target_in_the_request_uri() -> None:
    request = called(("Record-Route", "<sip:p1;lr>, <sip:p2;lr>")).request("BYE", "SIP/2.0/UDP a")
    assert str(request.uri) == "sip:peer@192.0.2.2:5062"
    assert request.headers.all("Route") == ["<sip:p1;lr>", "<sip:p2;lr>"]


def test_strict_router_stands_in_the_request_uri_and_the_target_last() -> None:
    request = called(("Record-Route", "<sip:p1;method=INVITE?Subject=x>, <sip:p2;lr>")).request("BYE", "SIP/2.0/UDP a")
    assert str(request.uri) == "sip:p1"
    assert request.headers.all("Route") == ["<sip:p2;lr>", "<sip:peer@192.0.2.2:5062>"]


def test_preloaded_routes_are_not_the_route_set_of_the_dialog() -> None:
    dialog = calling(("Contact", "<sip:peer@192.0.2.9>"), routes=("<sip:192.0.2.2:5062;lr>",))
    assert dialog.routes == ()
    assert dialog.next_hop() == Flow(Transport.UDP, HERE, Address("192.0.2.9", 5060))


def test_answer_without_contact_leaves_the_target_as_it_was() -> None:
    assert str(calling().target) == "sip:peer@192.0.2.2:5062"
    assert str(calling(("Contact", "<mailto:a@b>")).target) == "sip:peer@192.0.2.2:5062"


def test_target_follows_the_contact_of_a_refresh() -> None:
    dialog = called()
    dialog.refresh(invite(("Contact", "<sip:peer@192.0.2.7:5070>")))
    assert str(dialog.request("BYE", "SIP/2.0/UDP a").uri) == "sip:peer@192.0.2.7:5070"
    assert dialog.next_hop().remote == Address("192.0.2.7", 5070)
    dialog.refresh(invite())
    assert str(dialog.target) == "sip:peer@192.0.2.7:5070"


def test_numbers_of_the_peer_must_not_fall_and_ours_grow() -> None:
    dialog = called()
    assert not dialog.in_order(9)
    assert dialog.in_order(11)
    assert dialog.in_order(500)
    assert not dialog.in_order(499)
    fresh = calling()
    assert fresh.in_order(1)
    assert [fresh.request("INFO", "SIP/2.0/UDP a").cseq.number for _ in range(3)] == [4, 5, 6]
    assert fresh.request("ACK", "SIP/2.0/UDP a", cseq=3).cseq.number == 3
    assert fresh.request("BYE", "SIP/2.0/UDP a").cseq.number == 7


def test_peer_of_rfc_2543_without_tag_has_an_empty_one() -> None:
    request = invite(("Contact", "<sip:peer@192.0.2.2>"))
    request.headers.set("From", "sip:peer@example.com")
    dialog = Dialog.of_request(request, "mine", UDP, "<sip:here@192.0.2.1>")
    assert dialog.key == ("call", "mine", "")
    assert dialog.request("BYE", "SIP/2.0/UDP a").headers.get("To") == "sip:peer@example.com"


@pytest.mark.parametrize(
    ("via", "nat"),
    [
        ("192.0.2.2:5062", False),
        ("192.0.2.2", False),
        ("10.0.0.7:5062", True),
        ("phone.example.com", False),
        ("[2001:db8::1]:5060", True),
    ],
)
def test_nat_is_seen_in_the_via(via: str, nat: bool) -> None:
    assert behind_nat(invite(via=via), UDP) is nat


def test_same_ipv6_address_in_another_spelling_is_no_nat() -> None:
    flow = Flow(Transport.UDP, Address("2001:db8::9", 5060), Address("2001:db8::1", 5060))
    assert not behind_nat(invite(via="[2001:0DB8:0::1]:5060"), flow)


def test_phone_behind_a_nat_is_reached_by_the_flow_it_uses() -> None:
    dialog = called(via="10.0.0.7:5062")
    assert dialog.next_hop() == UDP
    # It moved, or its NAT did: requests follow.
    moved = Flow(Transport.UDP, HERE, Address("198.51.100.7", 40_000))
    dialog.heard(invite(via="10.0.0.7:5062"), moved)
    assert dialog.next_hop() == moved


def test_registered_phone_that_was_called_by_its_flow_is_reached_by_it() -> None:
    """Its contact was left aside for the INVITE, so it is left aside for the BYE."""
    dialog = calling(("Contact", "<sip:peer@10.0.0.7:5060>"), target="sip:peer@10.0.0.7:5060")
    assert dialog.next_hop() == UDP


def test_peer_that_names_a_reachable_address_is_reached_there() -> None:
    dialog = called(("Record-Route", "<sip:192.0.2.77:5099;lr>"))
    assert dialog.next_hop() == Flow(Transport.UDP, HERE, Address("192.0.2.77", 5099))


def test_connection_is_used_while_it_lasts_then_one_is_opened_to_the_contact() -> None:
    dialog = called(flow=TCP)
    dialog.target = Uri.parse("sip:peer@192.0.2.2:5070;transport=tcp")
    assert dialog.next_hop() == TCP
    dialog.connection_lost()
    assert dialog.next_hop() == Flow(Transport.TCP, HERE, Address("192.0.2.2", 5070), 0)


@pytest.mark.parametrize(
    ("uri", "transport", "remote"),
    [
        ("sip:a@192.0.2.2:5062", Transport.UDP, PEER),
        ("sip:a@192.0.2.3", Transport.UDP, Address("192.0.2.3", 5060)),
        ("sip:a@192.0.2.3;transport=tcp", Transport.TCP, Address("192.0.2.3", 5060)),
        ("sip:a@192.0.2.3;transport=TLS", Transport.TLS, Address("192.0.2.3", 5061)),
        ("sips:a@192.0.2.3", Transport.TLS, Address("192.0.2.3", 5061)),
        ("sips:a@192.0.2.3:5071;transport=tcp", Transport.TLS, Address("192.0.2.3", 5071)),
        ("sips:a@192.0.2.3;transport=tls", Transport.TLS, Address("192.0.2.3", 5061)),
        ("sips:a@192.0.2.3;transport=udp", Transport.UDP, PEER),  # cannot be private: by the way that is known
        ("sip:a@example.com;maddr=192.0.2.4", Transport.UDP, Address("192.0.2.4", 5060)),
        # Names are not resolved; other transports, schemes and families are not spoken; some addresses mean nothing.
        ("sip:a@example.com", Transport.UDP, PEER),
        ("sip:a@192.0.2.3;transport=sctp", Transport.UDP, PEER),
        ("tel:+14155550100", Transport.UDP, PEER),
        ("sip:a@[2001:db8::3]", Transport.UDP, PEER),
        ("sip:a@0.0.0.0", Transport.UDP, PEER),
        ("sip:a@127.0.0.1", Transport.UDP, PEER),
        ("sip:a@224.0.1.75", Transport.UDP, PEER),
        ("sip:a@169.254.1.1", Transport.UDP, PEER),
    ],
)
def test_way_to_an_address(uri: str, transport: Transport, remote: Address) -> None:
    assert flow_towards(Uri.parse(uri), UDP) == Flow(transport, HERE, remote)


def test_private_address_of_a_public_peer_is_behind_its_nat() -> None:
    public = Flow(Transport.UDP, Address("8.8.8.8", 5060), Address("9.9.9.9", 1024))
    assert flow_towards(Uri.parse("sip:a@10.1.2.3"), public) == public
    private = Flow(Transport.UDP, Address("10.0.0.1", 5060), Address("10.9.9.9", 1024))
    assert flow_towards(Uri.parse("sip:a@10.1.2.3"), private).remote == Address("10.1.2.3", 5060)


def test_state_of_a_dialog_makes_the_same_dialog_again_with_our_number_jumped() -> None:
    dialog = called(("Record-Route", "<sip:p1;lr>"), flow=TCP)
    state = dialog.state(b"ours", b"theirs")
    again = Dialog.of_state(state)
    assert again.key == dialog.key
    assert (str(again.target), again.routes, again.remote_cseq) == (str(dialog.target), dialog.routes, 10)
    assert again.local_cseq == dialog.local_cseq + 1000
    # The connection was the other process's.
    assert again.flow == Flow(Transport.TCP, HERE, PEER, 0)
    assert (state.local_sdp, state.remote_sdp) == (b"ours", b"theirs")
