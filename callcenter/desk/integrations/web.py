"""Web: other people's servers over HTTP, with limits on all that they may do to us.

No redirect is followed, certificates are checked, an answer is read up to a limit and no longer than its time. Names
are looked up here, and the address that was checked is the one that is connected to: between a check and a second
look-up a name could change to an address within.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx

from callcenter import __version__

# A look-up of a name cannot be taken back: each holds a thread as long as it lasts, and must not hold up others.
RESOLVERS = 128
# Most connections to one server.
CONNECTIONS = 32
CONNECT_PATIENCE = 3.0
USER_AGENT = f"callcenter/{__version__}"

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
# Leads to whatever addresses of IPv4 a network of one's own gives it (RFC 8215).
_OWN_NAT64 = ipaddress.ip_network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.ip_network("::/96")


class WebError(Exception):
    """No answer, or one that is none; one line that may be shown, without anything of its content."""


class WebTimeout(WebError):
    """No answer in time."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Web:
    """What all connections share: the certificates that are trusted, and the threads that look names up."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._resolvers = ThreadPoolExecutor(RESOLVERS, "resolver")

    def server(self, *, private: bool) -> Server:
        """Connections to one server. ``private``: it may be on this machine or in a private network."""
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return Server(_Transport(self._tls, self._resolvers, private=private))

    def close(self) -> None:
        """No name is looked up any more; one that is under way is not waited for."""
        self._resolvers.shutdown(wait=False, cancel_futures=True)


class Server:
    """One server, and the connections to it that are kept."""

    def __init__(self, transport: httpx.AsyncBaseTransport) -> None:
        # Nothing of the environment: a proxy would connect to wherever it likes.
        self._client = httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False)

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
        within: float,
        most: int,
    ) -> Answer:
        """One exchange, of ``within`` seconds at most, its answer of ``most`` bytes at most. Raises WebError."""
        if self._client.is_closed:
            raise WebError("it is asked no more")
        sent = {"User-Agent": USER_AGENT, **(headers or {}), "Accept-Encoding": "identity"}
        timeout = httpx.Timeout(within, connect=min(within, CONNECT_PATIENCE))
        try:
            async with asyncio.timeout(within):
                request = self._client.build_request(method, url, headers=sent, content=content, timeout=timeout)
                response = await self._client.send(request, stream=True)
                try:
                    return await _read(response, most)
                finally:
                    await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            raise WebTimeout(f"no answer within {within:g} s") from None
        except httpx.ConnectError as error:
            raise WebError(_why(error)) from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError, OSError) as error:
            raise WebError(f"the exchange failed: {type(error).__name__}") from None

    async def close(self) -> None:
        """Hang up."""
        await self._client.aclose()


async def _read(response: httpx.Response, most: int) -> Answer:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise WebError("the answer is compressed, which we did not ask for")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > most:
            raise WebError(f"the answer is larger than {most // 1024} kB")
    return Answer(response.status_code, response.headers, bytes(body))


def _why(error: httpx.ConnectError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate does not serve: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return "it speaks no TLS that we do"
        if isinstance(cause, ConnectionRefusedError):
            return "the connection was refused"
        cause = cause.__cause__ or cause.__context__
    return str(error) if isinstance(error, _NotThere) else "it cannot be reached"


class _NotThere(httpx.ConnectError):
    """A name that leads nowhere, or to where we do not go; the text may be shown."""


class _Transport(httpx.AsyncBaseTransport):
    """Connects to the addresses of a name that were checked, one after the other; TLS and Host are by the name."""

    def __init__(self, tls: ssl.SSLContext, resolvers: ThreadPoolExecutor, *, private: bool) -> None:
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=4, keepalive_expiry=30.0)
        self._inner = httpx.AsyncHTTPTransport(verify=tls, limits=limits, trust_env=False)
        self._resolvers = resolvers
        self._private = private

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        addresses = await self._addresses(host, request.url.port or 443)
        request.extensions = {**request.extensions, "sni_hostname": host}
        for at, address in enumerate(addresses):
            request.url = request.url.copy_with(host=str(address))
            try:
                return await self._inner.handle_async_request(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if at == len(addresses) - 1:
                    raise
        raise _NotThere(f"{host} has no address")

    async def _addresses(self, host: str, port: int) -> list[Ip]:
        try:
            found = [ipaddress.ip_address(host)]
        except ValueError:
            found = await self._look_up(host, port)
        good = found if self._private else [each for each in found if is_public(each)]
        if not good:
            raise _NotThere("it is on this machine or in a private network, where we send nothing")
        return good

    async def _look_up(self, host: str, port: int) -> list[Ip]:
        loop = asyncio.get_running_loop()
        try:
            told = await loop.run_in_executor(
                self._resolvers, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            )
        except (OSError, UnicodeError):
            raise _NotThere(f"the name {host} leads nowhere") from None
        return list(dict.fromkeys(ipaddress.ip_address(str(each[4][0]).split("%", 1)[0]) for each in told))

    async def aclose(self) -> None:
        await self._inner.aclose()


def is_public(address: Ip) -> bool:
    """Whether an address belongs to somebody in the Internet, whatever is written around an older one within it."""
    if isinstance(address, ipaddress.IPv6Address):
        within = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
        if within is None and (address in _NAT64 or address in _COMPATIBLE):
            within = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if within is not None:
            return is_public(within)
        if address.is_site_local or address in _OWN_NAT64:
            return False
    return address.is_global and not address.is_multicast
