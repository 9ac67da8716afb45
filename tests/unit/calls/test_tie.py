"""Sound from one worker to another, also where none may go unsealed."""

from __future__ import annotations

import pytest

from callcenter.calls.sound import Sound
from callcenter.calls.tie import LOOPBACK, SEALED, Tie, found_here
from callcenter.media.settings import MediaSettings, Srtp
from callcenter.simulation.clock import run
from callcenter.simulation.media import SimMediaPlane, SimMediaWorld


def test_the_other_end_is_on_this_machine_whatever_is_advertised() -> None:
    lines = (b"v=0", b"o=- 1 1 IN IP4 203.0.113.8", b"s=-", b"c=IN IP4 203.0.113.8", b"t=0 0", b"m=audio 9 RTP/AVP 0")
    assert found_here(b"\r\n".join(lines)).count(b"203.0.113.8") == 1
    assert b"\r\nc=IN IP4 127.0.0.1\r\n" in found_here(b"\r\n".join(lines))


@pytest.mark.parametrize("srtp", [Srtp.OPTIONAL, Srtp.REQUIRED])
def test_what_is_played_at_one_end_comes_out_at_the_other(srtp: Srtp) -> None:
    async def told() -> None:
        world = SimMediaWorld()
        plane = SimMediaPlane(world, MediaSettings(workers=2, srtp=srtp))
        sides = [Sound(), Sound()]
        for number, side in enumerate(sides):
            await side.open(plane, f"{number}", LOOPBACK if srtp is Srtp.OPTIONAL else SEALED, offer=None)
        tie = await Tie.open(plane, "tie", *sides)
        by_number = {session.id: session for session in plane.sessions}
        near, far = (by_number[sound.session.id] for sound in (tie.near, tie.far))
        assert (near.worker, far.worker) == (0, 1)
        assert bool(tie.far.secure) is (srtp is Srtp.REQUIRED)
        await near.hear([by_number[sides[0].session.id]])
        assert near.remote == far.address
        assert far.remote == near.address
        tie.close()
        tie.close()
        assert len(plane.sessions) == 2
        for side in sides:
            side.release()

    run(told())
