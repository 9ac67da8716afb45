"""One datagram in ten is lost, either way: every call is set up or refused all the same, and none twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.wire import sipp
from tests.wire.baresip import Baresip
from tests.wire.floor import CALLER, TECH
from tests.wire.relay import Relay
from tests.wire.stub import Stub
from tests.wire.switch import Switch
from tests.wire.wait import until

LOSS = 0.1
SEED = 4475
TALKERS, LEAVERS, WRONG = 60, 30, 10


async def test_a_hundred_calls_over_a_line_that_loses_one_datagram_in_ten(switch: Switch, tmp_path: Path) -> None:
    if not sipp.can_press_keys():
        pytest.skip("sipp sends captured digits by a raw socket, which needs root")
    async with (
        Relay(switch.where, LOSS, SEED) as relay,
        Stub(relay.where, at="127.0.0.1") as phones,
    ):
        for agent in switch.ready["agents"]:
            assert (await phones.register(agent["user"], agent["password"])).status == 200
        talkers, leavers, wrong = await asyncio.gather(
            sipp.call(
                tmp_path / "talkers", "caller", relay.address, TECH.alias,
                calls=TALKERS, rate=6, talk=5.0, keys=TECH.keys, name="talker", seconds=120,
            ),
            sipp.call(
                tmp_path / "leavers", "leaver", relay.address, TECH.alias,
                calls=LEAVERS, rate=3, talk=1.0, name="leaver", seconds=120,
            ),
            sipp.call(
                tmp_path / "wrong", "refused", relay.address, "+19995550000",
                calls=WRONG, rate=1, status=404, seconds=120,
            ),
        )  # fmt: skip
        for tally, count in ((talkers, TALKERS), (leavers, LEAVERS), (wrong, WRONG)):
            assert tally.succeeded == count, (tally, relay.counted())
        try:
            saved = await switch.interactions(TALKERS + LEAVERS)
        except AssertionError as error:
            error.add_note(still_open(switch, relay))
            raise
        assert len(saved) == len({row["call_id"] for row in saved}) == TALKERS + LEAVERS, "each call once"
        arrived = switch.query(
            "SELECT call_id, json_extract(body, '$.sip_call_id') AS id, json_extract(body, '$.from_name') AS name"
            " FROM facts WHERE kind = 'CallArrived'"
        )
        assert len({row["id"] for row in arrived}) == len(arrived) == TALKERS + LEAVERS
        kinds = {row["call_id"]: row["name"].split()[0] for row in arrived}
        outcomes = Counter((kinds[row["call_id"]], row["outcome"]) for row in saved)
        handled = outcomes["talker", "handled"]
        assert handled > 0, outcomes
        assert outcomes == {
            ("talker", "handled"): handled,
            ("talker", "abandoned"): TALKERS - handled,
            ("leaver", "left_in_menu"): LEAVERS,
        }
        assert Counter(row["ended_by"] for row in saved) == {"caller": TALKERS + LEAVERS}
        intents = Counter((kinds[row["call_id"]], row["intent"]) for row in saved)
        assert intents == {("talker", TECH.intent): TALKERS, ("leaver", ""): LEAVERS}
        assert not switch.query("SELECT 1 FROM open_calls")
        # Every agent's phone that rang was hung up, and said so.
        await until(lambda: phones.dialogs() == 0, "every agent's phone was hung up")
        await until(lambda: not relay.unanswered("BYE"), lambda: f"BYEs without answer: {relay.unanswered('BYE')}", 40)
        # Who talked was picked up by one agent; whoever was picked up and did not talk had hung up at that moment.
        offers = switch.query(
            "SELECT call_id FROM facts WHERE kind = 'OfferEnded' AND json_extract(body, '$.result') = 'accepted'"
        )
        picked_up = {row["call_id"] for row in offers}
        assert len(offers) == len(picked_up)
        assert picked_up >= {row["call_id"] for row in saved if row["outcome"] == "handled"}
        assert relay.lost > 0.07 * len(relay.seen), "the line was as bad as it should be"


def still_open(switch: Switch, relay: Relay) -> str:
    """What passed on the line of each call that the switch has not booked yet."""
    rows = switch.query(
        "SELECT json_extract(body, '$.sip_call_id') AS id FROM facts WHERE kind = 'CallArrived'"
        " AND call_id NOT IN (SELECT call_id FROM interactions WHERE ended_at IS NOT NULL)"
    )
    return "\n".join(f"{row['id']} is not over:\n{relay.told_of(row['id'])}" for row in rows)


@pytest.mark.parametrize("seed", [1, 2])
async def test_two_telephones_talk_hold_and_hang_up_over_such_a_line(switch: Switch, tmp_path: Path, seed: int) -> None:
    """What one side does reaches the other, if a little later."""
    patience = 40.0
    line = switch.agent(TECH.agent)
    async with (
        Relay(switch.where, LOSS, seed) as relay,
        Baresip(
            tmp_path / "agent",
            line["user"],
            relay.address,
            password=line["password"],
            hz=880.0,
            own_address="127.0.0.1",
        ) as agent,
        Baresip(tmp_path / "caller", CALLER, relay.address, hz=440.0, own_address="127.0.0.1") as caller,
    ):
        await agent.registered(patience)
        await caller.dial(TECH.alias)
        await caller.event("CALL_ESTABLISHED", seconds=patience)
        await caller.press(TECH.keys)
        await agent.event("CALL_INCOMING", seconds=patience)
        await agent.accept()
        await caller.heard(agent.hz, patience)
        await agent.heard(caller.hz, patience)
        await agent.hold()
        await until(lambda: not caller.hears(agent.hz), "the held caller hears music", patience)
        await agent.resume()
        await caller.heard(agent.hz, patience)
        await caller.hangup()
        await agent.event("CALL_CLOSED", seconds=patience)
        saved = await switch.interaction()
        assert (saved["outcome"], saved["ended_by"], saved["agent"]) == ("handled", "caller", TECH.agent)
        assert saved["hold_ms"] > 0
        assert len(switch.query("SELECT 1 FROM facts WHERE kind = 'CallArrived'")) == 1
        await until(lambda: not relay.unanswered("BYE"), lambda: f"BYEs without answer: {relay.unanswered('BYE')}", 40)
