"""Every m= line of an offer is answered, in its place; what we do not speak is refused politely (RFC 3264 6)."""

from __future__ import annotations

import pytest

from callcenter.sip.errors import SdpNotAcceptable
from callcenter.sip.sdp import PCMA, PCMU, SessionDescription, negotiate

AUDIO = "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
VIDEO = "m=video 4002 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=fmtp:97 profile-level-id=42801F\r\n"
SECOND_AUDIO = "m=audio 4004 RTP/AVP 8\r\na=content:alt\r\n"
STRANGE_AUDIO = "m=audio 4006 RTP/AVP 96 97\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 EVS/16000\r\n"
FAX = "m=image 4008 udptl t38\r\na=T38FaxVersion:0\r\n"
SLIDES = "m=application 4010 TCP/BFCP *\r\na=floorctrl:c-s\r\n"
CHAT = "m=message 4012 TCP/MSRP *\r\na=path:msrp://192.0.2.1:4012/x;tcp\r\n"
SHUT = "m=audio 0 RTP/AVP 0\r\n"
BROWSERS = "m=video 4014 UDP/TLS/RTP/SAVPF 98\r\na=rtpmap:98 VP8/90000\r\na=rtcp-mux\r\n"


def described(*lines: str) -> SessionDescription:
    head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
    return SessionDescription.parse((head + "".join(lines)).encode())


def answer_to(*lines: str) -> SessionDescription:
    found = negotiate(described(*lines), (PCMU, PCMA), host="192.0.2.9", port=6000, session_id=7)
    return SessionDescription.parse(found.description.to_bytes())


@pytest.mark.parametrize(
    ("lines", "served"),
    [
        ((AUDIO,), 0),
        ((AUDIO, VIDEO), 0),
        ((VIDEO, AUDIO), 1),
        ((AUDIO, SECOND_AUDIO), 0),
        ((STRANGE_AUDIO, AUDIO), 1),
        ((FAX, AUDIO), 1),
        ((AUDIO, FAX, SLIDES, CHAT), 0),
        ((SHUT, AUDIO), 1),
        ((AUDIO, SHUT), 0),
        ((BROWSERS, VIDEO, SHUT, STRANGE_AUDIO, AUDIO, SECOND_AUDIO, FAX, SLIDES, CHAT), 4),
    ],
)
def test_each_line_has_its_answer_in_its_place_and_one_of_them_is_taken(lines: tuple[str, ...], served: int) -> None:
    offer, answer = described(*lines), answer_to(*lines)
    assert [(each.kind, each.protocol) for each in answer.media] == [(each.kind, each.protocol) for each in offer.media]
    assert [index for index, each in enumerate(answer.media) if each.port] == [served]
    for theirs, ours in zip(offer.media, answer.media, strict=True):
        # A refused line still names formats, those of the offer (RFC 3264 6).
        assert set(ours.formats) <= set(theirs.formats)
        assert ours.formats


@pytest.mark.parametrize(
    "lines", [(VIDEO,), (STRANGE_AUDIO,), (FAX,), (SHUT,), (SLIDES, CHAT), (VIDEO, STRANGE_AUDIO, SHUT)]
)
def test_offer_of_nothing_that_we_speak_is_refused_as_a_whole(lines: tuple[str, ...]) -> None:
    with pytest.raises(SdpNotAcceptable):
        answer_to(*lines)


def test_codecs_that_we_do_not_know_are_left_out_and_the_rest_taken() -> None:
    """Opus, G.722 and comfort noise stand before what we speak, and beside it."""
    line = (
        "m=audio 4000 RTP/AVP 111 9 8 13 0 110\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n"
    )
    (audio,) = answer_to(line).media
    assert audio.formats == ("8",)


def test_video_that_is_added_to_a_call_is_refused_and_the_sound_goes_on() -> None:
    first = negotiate(described(AUDIO), (PCMU, PCMA), host="192.0.2.9", port=6000, session_id=7)
    more = negotiate(
        described(AUDIO, VIDEO), (PCMU, PCMA), host="192.0.2.9", port=6000, session_id=7, previous=first.description
    )
    assert [each.port for each in more.description.media] == [6000, 0]
    assert more.description.origin.version == first.description.origin.version + 1
