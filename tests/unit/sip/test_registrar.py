"""The registrar: several bindings, expiry, order, paths, lost connections."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.headers import Headers, parse_name_addr_list
from callcenter.sip.message import Request
from callcenter.sip.registrar import RegisterAnswer, Registrar
from callcenter.sip.uri import Uri

AOR = "sip:ana@example.com"
UDP = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))


def tcp(connection: int, port: int = 40_000) -> Flow:
    return Flow(Transport.TCP, Address("192.0.2.1", 5060), Address("192.0.2.2", port), connection)


class Desk:
    """A registrar with one address of record, and a phone whose CSeq counts up."""

    def __init__(self, **options: int) -> None:
        self.registrar = Registrar(**options)
        self.cseq = 0

    def register(
        self,
        *contacts: str,
        now: float = 0.0,
        flow: Flow = UDP,
        call_id: str = "phone",
        cseq: int | None = None,
        headers: tuple[tuple[str, str], ...] = (),
    ) -> RegisterAnswer:
        self.cseq += 1
        lines = [
            ("Via", "SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK1"),
            ("From", f"<{AOR}>;tag=1"),
            ("To", f"<{AOR}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{self.cseq if cseq is None else cseq} REGISTER"),
            *(("Contact", contact) for contact in contacts),
            *headers,
        ]
        request = Request("REGISTER", Uri.parse("sip:example.com"), Headers(lines))
        return self.registrar.register(AOR, request, flow, now)

    def contacts(self, now: float = 0.0) -> list[str]:
        return [str(binding.contact) for binding in self.registrar.bindings(AOR, now)]


def test_phone_registers_refreshes_and_signs_off() -> None:
    desk = Desk()
    answer = desk.register("<sip:ana@192.0.2.2>;expires=600")
    assert (answer.status, answer.changed) == (200, True)
    assert answer.headers == (("Contact", "<sip:ana@192.0.2.2>;expires=600"),)
    assert desk.registrar.deadline == 600.0
    answer = desk.register("<sip:ana@192.0.2.2>;expires=600", now=300.0)
    assert (answer.status, answer.changed) == (200, False)
    assert desk.registrar.deadline == 900.0
    answer = desk.register("<sip:ana@192.0.2.2>;expires=0", now=400.0)
    assert (answer.status, answer.changed, answer.bindings, answer.headers) == (200, True, (), ())
    assert desk.registrar.deadline is None


def test_binding_knows_flow_path_instance_and_user_agent() -> None:
    desk = Desk()
    flow = tcp(5)
    headers = (("Path", "<sip:edge;lr>, <sip:edge2;lr>"), ("User-Agent", "Desk phone 1"), ("Supported", "path"))
    answer = desk.register('<sip:ana@10.0.0.7>;+sip.instance="<urn:uuid:1>";q=0.4', flow=flow, headers=headers)
    (binding,) = answer.bindings
    assert binding.flow == flow
    assert binding.path == ("<sip:edge;lr>", "<sip:edge2;lr>")
    assert (binding.q, binding.instance, binding.user_agent) == (0.4, "<urn:uuid:1>", "Desk phone 1")
    assert ("Path", "<sip:edge;lr>, <sip:edge2;lr>") in answer.headers
    assert answer.headers[0] == ("Contact", "<sip:ana@10.0.0.7>;q=0.4;expires=3600")


@pytest.mark.parametrize(
    "path", ["<sip:edge", "edge.example.com", "<tel:+1>", "<sip:a;lr>, ;", ", ".join(["<sip:a;lr>"] * 300)]
)
def test_path_by_which_nobody_could_be_called_is_refused(path: str) -> None:
    """Kept, it would be the Route of each call to that phone."""
    desk = Desk()
    assert desk.register("<sip:ana@192.0.2.2>", headers=(("Path", path),)).status == 400
    assert desk.contacts() == []


def test_expiry_is_the_contacts_else_the_headers_else_the_default_within_the_bounds() -> None:
    desk = Desk(min_expires=60, max_expires=3600, default_expires=1800)
    for contact, headers, granted in (
        ("<sip:a@192.0.2.2>;expires=90", (("Expires", "120"),), 90.0),
        ("<sip:a@192.0.2.2>", (("Expires", "120"),), 120.0),
        ("<sip:a@192.0.2.2>", (), 1800.0),
        ("<sip:a@192.0.2.2>;expires=soon", (), 1800.0),
        ("<sip:a@192.0.2.2>;expires=99999999999999", (), 1800.0),
        ("<sip:a@192.0.2.2>;expires=7200", (), 3600.0),
    ):
        (binding,) = desk.register(contact, headers=headers).bindings
        assert binding.expires_at == granted, contact


def test_too_short_an_expiry_is_refused_with_the_minimum() -> None:
    desk = Desk(min_expires=60)
    answer = desk.register("<sip:a@192.0.2.2>;expires=30")
    assert (answer.status, answer.headers, answer.changed) == (423, (("Min-Expires", "60"),), False)
    assert desk.contacts() == []


def test_query_without_contact_changes_nothing() -> None:
    desk = Desk()
    desk.register("<sip:ana@192.0.2.2>")
    answer = desk.register(now=100.0)
    assert (answer.status, answer.changed) == (200, False)
    assert answer.headers == (("Contact", "<sip:ana@192.0.2.2>;expires=3500"),)


def test_best_q_comes_first_and_among_equals_the_latest() -> None:
    desk = Desk()
    desk.register("<sip:old@192.0.2.2>;q=0.5")
    desk.register("<sip:best@192.0.2.2>;q=0.9")
    desk.register("<sip:new@192.0.2.2>;q=0.5")
    assert desk.contacts() == ["sip:best@192.0.2.2", "sip:new@192.0.2.2", "sip:old@192.0.2.2"]
    desk.register("<sip:old@192.0.2.2>;q=0.5")
    assert desk.contacts() == ["sip:best@192.0.2.2", "sip:old@192.0.2.2", "sip:new@192.0.2.2"]


@pytest.mark.parametrize("q", ["2", "-1", "nan", "x", ""])
def test_q_that_is_none_counts_as_one(q: str) -> None:
    (binding,) = Desk().register(f"<sip:ana@192.0.2.2>;q={q}").bindings
    assert binding.q == 1.0


def test_star_removes_all_but_only_with_expires_0() -> None:
    desk = Desk()
    desk.register("<sip:a@192.0.2.2>", "<sip:b@192.0.2.2>")
    assert desk.register("*").status == 400
    assert desk.register("*", headers=(("Expires", "60"),)).status == 400
    assert len(desk.contacts()) == 2
    answer = desk.register("*", headers=(("Expires", "0"),))
    assert (answer.status, answer.changed, desk.contacts()) == (200, True, [])


def test_late_register_of_the_same_phone_undoes_nothing() -> None:
    desk = Desk()
    desk.register("<sip:a@192.0.2.2>", cseq=10)
    for cseq in (9, 10):
        assert desk.register("<sip:a@192.0.2.2>;expires=0", cseq=cseq).status == 500
        assert desk.register("*", cseq=cseq, headers=(("Expires", "0"),)).status == 500
    assert desk.contacts() == ["sip:a@192.0.2.2"]
    # After a restart the phone has a new Call-ID, and its numbers begin anew.
    assert desk.register("<sip:a@192.0.2.2>;expires=0", cseq=1, call_id="restarted").status == 200
    assert desk.contacts() == []


def test_one_bad_contact_spoils_the_whole_register() -> None:
    desk = Desk()
    assert desk.register("<sip:a@192.0.2.2>", "<sip:b@192.0.2.2>;expires=1").status == 423
    assert desk.register("<sip:a@192.0.2.2>", "<mailto:b@example.com>").status == 400
    assert desk.contacts() == []


def test_same_contact_in_another_spelling_is_the_same_binding() -> None:
    desk = Desk()
    desk.register("<sip:ana@EXAMPLE.com;transport=tcp>")
    desk.register("<sip:%61na@example.com;Transport=TCP>")
    assert len(desk.contacts()) == 1
    desk.register("<sip:ana@example.com>")
    assert len(desk.contacts()) == 2


def test_phone_that_moved_replaces_its_old_binding_by_its_instance() -> None:
    desk = Desk()
    desk.register('<sip:ana@192.0.2.2:1111>;+sip.instance="<urn:uuid:1>"')
    desk.register('<sip:ana@192.0.2.2:2222>;+sip.instance="<urn:uuid:2>"')
    desk.register('<sip:ana@192.0.2.2:3333>;+sip.instance="<urn:uuid:1>"', call_id="again")
    assert desk.contacts() == ["sip:ana@192.0.2.2:3333", "sip:ana@192.0.2.2:2222"]


def test_one_binding_too_many_puts_out_the_one_refreshed_longest_ago() -> None:
    desk = Desk(max_bindings=3)
    for port in (1, 2, 3, 1, 4):
        desk.register(f"<sip:ana@192.0.2.2:{port}>")
    assert desk.contacts() == ["sip:ana@192.0.2.2:4", "sip:ana@192.0.2.2:1", "sip:ana@192.0.2.2:3"]
    many = desk.register(*(f"<sip:ana@192.0.2.2:{port}>" for port in range(10, 14)))
    assert many.status == 403


def test_bindings_run_out_each_at_its_time() -> None:
    desk = Desk()
    desk.register("<sip:a@192.0.2.2>;expires=100")
    desk.register("<sip:b@192.0.2.2>;expires=200")
    assert desk.contacts(now=100.0) == ["sip:b@192.0.2.2"]
    done = [(desk.registrar.deadline, desk.registrar.expire(now)) for now in (99.0, 100.0, 500.0, 600.0)]
    assert done == [(100.0, []), (100.0, [AOR]), (200.0, [AOR]), (None, [])]
    assert desk.contacts() == []


def test_lost_connection_takes_the_binding_that_has_no_other_way() -> None:
    desk = Desk()
    desk.register("<sip:nat@10.0.0.7:5060;transport=tcp>", flow=tcp(1))
    desk.register("<sip:port@192.0.2.2:40000;transport=tcp>", flow=tcp(1))
    desk.register("<sip:name@phone.example.com;transport=tcp>", flow=tcp(1))
    desk.register("<sip:listens@192.0.2.2:5070;transport=tcp>", flow=tcp(1))
    desk.register("<sip:behind@10.0.0.8;transport=tcp>", flow=tcp(1), headers=(("Path", "<sip:edge;lr>"),))
    desk.register("<sip:other@10.0.0.9;transport=tcp>", flow=tcp(2))
    desk.register("<sip:udp@10.0.0.9>")
    assert desk.registrar.drop_connection(3) == []
    assert desk.registrar.drop_connection(0) == []
    assert desk.registrar.drop_connection(1) == [AOR]
    flows = {binding.contact.user: binding.flow for binding in desk.registrar.bindings(AOR, 0.0)}
    assert flows == {
        "listens": Flow(Transport.TCP, UDP.local, Address("192.0.2.2", 5070), 0),
        "behind": tcp(0),
        "other": tcp(2),
        "udp": UDP,
    }


def test_phone_that_comes_back_by_a_new_connection_is_a_change() -> None:
    desk = Desk()
    desk.register("<sip:ana@10.0.0.7;transport=tcp>", flow=tcp(1))
    assert desk.register("<sip:ana@10.0.0.7;transport=tcp>", flow=tcp(2, 40_001)).changed


def test_stored_bindings_come_back_after_a_restart() -> None:
    desk, successor = Desk(), Desk()
    desk.register("<sip:a@192.0.2.2>;q=0.5;expires=100")
    desk.register("<sip:b@192.0.2.2>;q=0.5;expires=200")
    successor.registrar.load(AOR, desk.registrar.bindings(AOR, 0.0))
    assert successor.contacts() == desk.contacts()
    assert successor.registrar.deadline == 100.0
    # The phone goes on counting, and is known again.
    successor.cseq = desk.cseq
    assert successor.register("<sip:a@192.0.2.2>;expires=0").bindings == desk.registrar.bindings(AOR, 0.0)[:1]


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from((0, 60, 100, 1000)),
            st.floats(0, 500),
            st.sampled_from(("a", "b")),
            st.booleans(),
        ),
        max_size=30,
    )
)
def test_answer_lists_what_is_bound_and_every_binding_ends(
    steps: list[tuple[int, int, float, str, bool]],
) -> None:
    desk, now = Desk(max_bindings=4), 0.0
    for port, expires, pause, call_id, star in steps:
        now += pause
        desk.registrar.expire(now)
        if star:
            answer = desk.register("*", now=now, call_id=call_id, headers=(("Expires", "0"),))
        else:
            answer = desk.register(f"<sip:ana@192.0.2.2:{port + 1}>;expires={expires}", now=now, call_id=call_id)
        assert answer.status == 200
        assert len(answer.bindings) <= 4
        listed = [str(contact.uri) for name, value in answer.headers for contact in parse_name_addr_list(value)]
        assert sorted(listed) == sorted(desk.contacts(now))
        assert all(binding.expires_at > now for binding in answer.bindings)
    desk.registrar.expire(now + 4000)
    assert desk.registrar.deadline is None
    assert desk.contacts() == []


@pytest.mark.parametrize(
    ("contact", "source_port", "headers", "called"),
    [
        ("<sip:ana@192.0.2.2:5070>", 5060, (), ("192.0.2.2", 5070)),  # listens on another port of its host
        ("<sip:ana@192.0.2.2>", 5060, (), ("192.0.2.2", 5060)),
        ("<sip:ana@192.0.2.2:5070>", 40_000, (), ("192.0.2.2", 40_000)),  # its port was translated on the way
        ("<sip:ana@10.0.0.9:5070>", 5060, (), ("192.0.2.2", 5060)),  # not the host that we see
        ("<sip:ana@phone.invalid>", 5060, (), ("192.0.2.2", 5060)),
        ("<sip:ana@192.0.2.2:5070>", 5060, (("Path", "<sip:edge;lr>"),), ("192.0.2.2", 5060)),
    ],
)
def test_a_phone_is_called_where_it_can_be_reached(
    contact: str, source_port: int, headers: tuple[tuple[str, str], ...], called: tuple[str, int]
) -> None:
    desk = Desk()
    flow = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("192.0.2.2", source_port))
    desk.register(contact, flow=flow, headers=headers)
    (binding,) = desk.registrar.bindings(AOR, 0.0)
    assert (binding.flow.remote.host, binding.flow.remote.port) == called
