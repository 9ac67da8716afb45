"""Other people's servers: slow, huge, compressed, elsewhere, within; none of it is more than one line of why."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import ssl
from typing import Any

import pytest

from callcenter.desk.integrations.web import Server, Web, WebError, WebTimeout, is_public
from tests.unit.desk.receiver import Seen, open_receiver, response


async def ask(server: Server, url: str, *, within: float = 5.0, most: int = 64 * 1024) -> bytes:
    return (await server.ask("GET", url, within=within, most=most)).body


@pytest.fixture
def web() -> Web:
    return Web(ssl.create_default_context())


async def forever(seen: Seen) -> bytes:
    await asyncio.sleep(30)
    return response()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (forever, "no answer within 0.2 s"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "the exchange failed"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "the exchange failed"),
        (response(200, b"x" * 70_000), "larger than 64 kB"),
        (response(200, gzip.compress(b"x" * 10_000_000), "Content-Encoding: gzip"), "compressed"),
    ],
    ids=["slow", "cut", "no HTTP", "huge", "bomb"],
)
async def test_what_a_server_does_to_us_is_told_in_a_line(web: Web, answer: Any, why: str) -> None:
    async with open_receiver() as receiver:
        receiver.answer = answer
        server = web.server(private=True)
        with pytest.raises(WebError, match=why) as failed:
            await ask(server, receiver.url, within=0.2 if answer is forever else 5.0)
        assert isinstance(failed.value, WebTimeout) is (answer is forever)
        await server.close()
        with pytest.raises(WebError, match="asked no more"):
            await ask(server, receiver.url)


async def test_no_redirect_is_followed_and_a_dead_server_refuses(web: Web) -> None:
    server = web.server(private=True)
    async with open_receiver() as receiver, open_receiver() as other:
        receiver.answer = response(302, b"", f"Location: {other.url}")
        answer = await server.ask("GET", receiver.url, within=5.0, most=1_000)
        assert answer.status == 302
        assert not other.seen
        url = receiver.url
    with pytest.raises(WebError, match="the connection was refused"):
        await ask(server, url)
    await server.close()


async def test_nothing_is_sent_within_unless_that_is_allowed(web: Web) -> None:
    server = web.server(private=False)
    async with open_receiver() as receiver:
        for host in ("127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "10.0.0.1", "169.254.169.254"):
            with pytest.raises(WebError, match="on this machine or in a private network"):
                await ask(server, f"http://{host}:{receiver.port}/")
        assert not receiver.seen
    with pytest.raises(WebError, match=r"the name no-such\.invalid leads nowhere"):
        await ask(server, "http://no-such.invalid/")
    await server.close()


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("0.0.0.0", False),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("fd00::1", False),
        ("fe80::1", False),
        ("ff02::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b::5db8:d822", True),
        ("2002:7f00:1::", False),
        ("64:ff9b:1::a00:1", False),
        ("::7f00:1", False),
        ("::1", False),
        ("fec0::1", False),
    ],
)
def test_an_older_address_within_a_newer_one_counts(address: str, public: bool) -> None:
    assert is_public(ipaddress.ip_address(address)) is public
