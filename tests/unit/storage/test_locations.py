"""Registrations over a restart: what comes back, and what has run out meanwhile."""

from __future__ import annotations

from pathlib import Path

from callcenter.sip.flow import Address, Flow, Transport
from callcenter.sip.registrar import Binding
from callcenter.sip.uri import Uri
from callcenter.storage.database import InlineDatabase
from callcenter.storage.store import Storage
from tests.unit.storage.support import StillClock

UDP = Flow(Transport.UDP, Address("192.0.2.1", 5060), Address("198.51.100.7", 40123))
TCP = Flow(Transport.TCP, Address("2001:db8::1", 5060), Address("2001:db8::7", 40123), connection=17)


def binding(contact: str, expires_at: float, flow: Flow = UDP, instance: str | None = None) -> Binding:
    return Binding(
        Uri.parse(contact), flow, 0.5, expires_at, "reg-1@phone", 7, ("<sip:edge.example;lr>",), instance, "Desk 9"
    )


async def test_a_registration_comes_back_with_the_time_that_is_left(tmp_path: Path) -> None:
    clock = StillClock(elapsed=1_000.0)
    storage = await Storage.open(tmp_path / "switch.db", clock=clock)
    desk = binding("sip:ana@198.51.100.7:40123;ob", 1_600.0)
    soft = binding("sip:ana@[2001:db8::7]:40123;transport=tcp", 1_300.0, TCP, '"<urn:uuid:0001>"')
    storage.locations.save("sip:ana@callcenter", [desk, soft])
    storage.locations.save("sip:bob@callcenter", [binding("sip:bob@198.51.100.8", 1_010.0)])
    storage.locations.save("sip:eva@callcenter", [binding("sip:eva@198.51.100.9", 1_900.0)])
    storage.locations.save("sip:eva@callcenter", [])
    await storage.close()

    restarted = StillClock(elapsed=5.0)  # The machine was started again: its elapsed time begins anew.
    restarted.at = clock.at
    restarted.pass_(60.0)
    storage = await Storage.open(tmp_path / "switch.db", clock=restarted)
    found = await storage.locations.load_all()
    await storage.close()
    assert list(found) == ["sip:ana@callcenter"]
    by_contact = {str(each.contact): each for each in found["sip:ana@callcenter"]}
    assert set(by_contact) == {str(desk.contact), str(soft.contact)}
    back = by_contact[str(desk.contact)]
    assert back.expires_at == 5.0 + 60.0 + 540.0
    assert (back.flow, back.q, back.call_id, back.cseq, back.path, back.user_agent) == (
        *(UDP, 0.5, "reg-1@phone", 7, ("<sip:edge.example;lr>",), "Desk 9"),
    )
    assert by_contact[str(soft.contact)].flow == Flow(TCP.transport, TCP.local, TCP.remote, connection=0)
    assert by_contact[str(soft.contact)].instance == '"<urn:uuid:0001>"'


async def test_the_latest_word_of_a_phone_stands_and_a_damaged_row_is_left_out() -> None:
    clock = StillClock()
    storage = await Storage.over(InlineDatabase(), clock=clock)
    storage.locations.save("sip:ana@callcenter", [binding("sip:old@198.51.100.7", 900.0)])
    storage.locations.save("sip:ana@callcenter", [binding("sip:new@198.51.100.7", 900.0)] * 2)
    await storage.log.drained()
    await storage.database.execute(
        "INSERT INTO locations VALUES ('sip:bob@callcenter', 'x', '', '2099-01-01T00:00:00.000Z', '{\"contact\":1}')"
    )
    found = await storage.locations.load_all()
    assert {aor: [str(each.contact) for each in bindings] for aor, bindings in found.items()} == {
        "sip:ana@callcenter": ["sip:new@198.51.100.7"]
    }
    await storage.close()


async def test_a_refresh_changes_the_row_that_is_there_and_a_phone_that_went_is_gone() -> None:
    storage = await Storage.over(InlineDatabase(), clock=StillClock())
    desk, soft = "sip:ana@198.51.100.7", "sip:ana@198.51.100.8"
    for refreshed in (
        [binding(desk, 600.0)],
        [binding(soft, 610.0), binding(desk, 600.0)],
        [binding(desk, 900.0), binding(soft, 610.0)],
        [binding(soft, 950.0), binding(desk, 900.0)],
    ):
        storage.locations.save("ana", refreshed)
        await storage.log.drained()
        found = await storage.locations.load_all()
        assert {(str(each.contact), each.expires_at) for each in found["ana"]} == {
            (str(each.contact), each.expires_at) for each in refreshed
        }
    storage.locations.save("ana", [binding(desk, 900.0)])
    await storage.log.drained()
    assert [str(each.contact) for each in (await storage.locations.load_all())["ana"]] == [desk]
    storage.locations.save("ana", [])
    storage.locations.save("ana", [binding(desk, 900.0)])
    await storage.log.drained()
    assert len((await storage.locations.load_all())["ana"]) == 1
    await storage.close()
