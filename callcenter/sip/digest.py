"""Digest authentication, both sides: RFC 3261 22, RFC 7616, RFC 8760, and the older form of RFC 2069."""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from hashlib import md5, sha256

from callcenter.sip.guard import source_name
from callcenter.sip.headers import quote_string, unquote_string
from callcenter.sip.message import Request

# Nonces whose use is remembered. Only who knows a password gets one remembered; a phone uses one or two at a time.
MAX_NONCES = 50_000
# nc values below the highest one seen that may still come (requests cross each other on UDP).
NC_WINDOW = 64
# Credentials looked at in one request: one per algorithm and realm on the way.
MAX_CREDENTIALS = 8
MAX_CREDENTIALS_LENGTH = 4_096
# Directives of one credential or challenge; RFC 7616 has fourteen.
MAX_DIRECTIVES = 32

_MAC = 16
_DIRECTIVE = re.compile(
    r'[ \t]*([A-Za-z0-9!#$%&\'*+.^_`|~-]+)[ \t]*=[ \t]*("[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s",]*)[ \t]*(?:,|$)'
)
_NC = re.compile(r"[0-9A-Fa-f]{8}")


class Algorithm(StrEnum):
    """The hash functions, by their name in the directive."""

    MD5 = "MD5"
    SHA256 = "SHA-256"


_BY_NAME: dict[str, Algorithm] = {each.value: each for each in Algorithm}
_HA1_LENGTH = {Algorithm.MD5: 32, Algorithm.SHA256: 64}


def digest_hash(algorithm: Algorithm, text: str) -> str:
    """The hash of a text, in lower-case hexadecimal."""
    octets = text.encode("utf-8", "replace")
    # MD5 is what the phones speak; what is kept of a password is guarded elsewhere.
    return md5(octets, usedforsecurity=False).hexdigest() if algorithm is Algorithm.MD5 else sha256(octets).hexdigest()


def ha1(user: str, realm: str, password: str, algorithm: Algorithm) -> str:
    """What is stored in place of the password (RFC 7616 3.4.2)."""
    return digest_hash(algorithm, f"{user}:{realm}:{password}")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What we know of a user: HA1 for each algorithm; empty where it is not known."""

    user: str
    ha1_md5: str = ""
    ha1_sha256: str = ""

    @classmethod
    def of(cls, user: str, realm: str, password: str) -> Credentials:
        """The credentials of a user whose password is at hand."""
        return cls(user, ha1(user, realm, password, Algorithm.MD5), ha1(user, realm, password, Algorithm.SHA256))

    def ha1(self, algorithm: Algorithm) -> str:
        """HA1 for an algorithm, or empty."""
        return self.ha1_md5 if algorithm is Algorithm.MD5 else self.ha1_sha256


@dataclass(frozen=True, slots=True)
class Verified:
    """The request comes from this user."""

    user: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """Ask for credentials; ``stale``: they were right, only the nonce was not (any more) good."""

    stale: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """Wrong password, unknown user, or credentials that make no sense: which of them is not told."""


Verdict = Verified | Challenge | Refused


class DigestServer:
    """Challenges and verifies. Nonces are signed and carry their time: any node with the same key can verify them.

    What is remembered is only how often a nonce was used, here. ``now`` is in Unix seconds.
    """

    def __init__(
        self,
        realm: str,
        key: bytes,
        *,
        nonce_life: float = 300.0,
        allow_rfc2069: bool = True,
        algorithms: Sequence[Algorithm] = (Algorithm.MD5, Algorithm.SHA256),
        max_nonces: int = MAX_NONCES,
    ) -> None:
        """``nonce_life`` in seconds. ``algorithms`` in the order of the challenges: simple phones take the first."""
        if len(key) < 16:
            raise ValueError("the key of the nonces needs at least 16 octets")
        self.realm = realm
        self._key = key
        self._nonce_life = nonce_life
        self._allow_rfc2069 = allow_rfc2069
        self._algorithms = tuple(algorithms)
        self._max_nonces = max_nonces
        self._issued = 0
        self._used: dict[str, _Use] = {}
        # Nonces issued before this were forgotten to keep the bound, and may have been used.
        self._forgotten_until = 0

    def challenges(self, now: float, *, stale: bool = False, source: str = "") -> list[str]:
        """The values of WWW-Authenticate, one per algorithm, all with the same new nonce (RFC 8760 2.4).

        The nonce is good for ``source`` alone, the host that it is sent to.
        """
        nonce = self._new_nonce(now, source)
        tail = ", stale=true" if stale else ""
        realm = quote_string(self.realm)
        return [
            f'Digest realm={realm}, nonce="{nonce}", algorithm={algorithm.value}, qop="auth"{tail}'
            for algorithm in self._algorithms
        ]

    def verify(
        self,
        request: Request,
        lookup: Callable[[str], Credentials | None],
        now: float,
        *,
        header: str = "Authorization",
        source: str = "",
    ) -> Verdict:
        """Whether the request, which came from the host ``source``, carries credentials of a user ``lookup`` knows.

        The digest-uri is taken as the peer wrote it: phones and proxies write it in many ways, and each nonce count
        is good for one request only. An unknown user takes the same work and gets the same answer as a wrong password.
        Refused is only who answered a nonce that was sent to ``source`` not long ago, and so is there in truth; who
        guesses by another nonce is challenged, and learns nothing by that.
        """
        for value in request.headers.all(header)[:MAX_CREDENTIALS]:
            answer = _Answer.read(value)
            if answer is not None and answer.realm == self.realm and answer.algorithm in self._algorithms:
                return self._judge(answer, request.method, lookup, now, source)
        return Challenge(stale=False)

    def _judge(
        self, answer: _Answer, method: str, lookup: Callable[[str], Credentials | None], now: float, source: str
    ) -> Verdict:
        issued = self._issued_at(answer.nonce, source)
        known = lookup(answer.user)
        secret = known.ha1(answer.algorithm) if known is not None else ""
        # The same steps are gone, over texts of the same length, whether there is such a user or not.
        nobody = hmac.digest(self._key, answer.user.encode("utf-8", "replace"), "sha256").hex()
        expected = answer.digest(secret or nobody[: _HA1_LENGTH[answer.algorithm]], method)
        right = hmac.compare_digest(expected.encode(), answer.response.lower().encode("utf-8", "replace"))
        # What hangs on the nonce alone is told of before what hangs on the password.
        if answer.qop is None and not self._allow_rfc2069:
            return Challenge(stale=False)
        if issued is None or not self._is_fresh(issued, now):
            return Challenge(stale=True)
        if not right or known is None:
            return Refused()
        if not self._use(answer, issued, now):
            return Challenge(stale=True)
        return Verified(known.user)

    def _new_nonce(self, now: float, source: str) -> str:
        # Time and a running number make it unique, the signature makes it ours, and its source's.
        self._issued = (self._issued + 1) % 2**24
        return self._sign(max(0, int(now * 1000)).to_bytes(7, "big") + self._issued.to_bytes(3, "big"), source)

    def _sign(self, stamp: bytes, source: str) -> str:
        signed = stamp + f"{source_name(source)}\0{self.realm}".encode()
        mac = hmac.digest(self._key, signed, "sha256")[:_MAC]
        return urlsafe_b64encode(stamp + mac).decode().rstrip("=")

    def _issued_at(self, nonce: str, source: str) -> int | None:
        """The Unix milliseconds at which we issued a nonce to ``source``; None when it is none of those."""
        try:
            stamp = urlsafe_b64decode(nonce.encode() + b"==")[:10]
        except ValueError:
            return None
        if len(stamp) != 10 or not hmac.compare_digest(self._sign(stamp, source).encode(), nonce.encode()):
            return None
        return int.from_bytes(stamp[:7], "big")

    def _is_fresh(self, issued: int, now: float) -> bool:
        """Whether a nonce of this time is still good, and not among those that were forgotten."""
        now_ms = int(now * 1000)
        in_time = issued - 1000 <= now_ms <= issued + int(self._nonce_life * 1000)
        return in_time and issued > self._forgotten_until

    def _use(self, answer: _Answer, issued: int, now: float) -> bool:
        """Note that a nonce is used; False when it was used with this count before."""
        self._forget_old(int(now * 1000))
        use = self._used.get(answer.nonce)
        if use is None:
            if len(self._used) >= self._max_nonces:
                oldest = next(iter(self._used))
                self._forgotten_until = max(self._forgotten_until, self._used.pop(oldest).issued)
                if issued <= self._forgotten_until:
                    return False
            use = self._used[answer.nonce] = _Use(issued)
        # Without a count (RFC 2069) a nonce is good once.
        return use.once() if answer.qop is None else use.count(int(answer.nc, 16))

    def _forget_old(self, now_ms: int) -> None:
        limit = now_ms - int(self._nonce_life * 1000)
        while self._used:
            oldest = next(iter(self._used))
            if self._used[oldest].issued >= limit:
                return
            del self._used[oldest]

    def __repr__(self) -> str:
        return f"<DigestServer {self.realm} {len(self._used)} nonces in use>"


class _Use:
    """How a nonce was used: the highest count, and which of those just below it."""

    __slots__ = ("_highest", "_seen", "_spent", "issued")

    def __init__(self, issued: int) -> None:
        self.issued = issued
        self._highest = 0
        self._seen = 0
        self._spent = False

    def once(self) -> bool:
        """Use it up; False when it was used in any way before."""
        fresh = not self._spent and self._highest == 0
        self._spent = True
        return fresh

    def count(self, nc: int) -> bool:
        """Use one count; False when it was used before, or is too far behind to know."""
        if self._spent or nc == 0:
            return False
        if nc > self._highest:
            shift = nc - self._highest
            self._seen = (self._seen << shift | 1) & (2**NC_WINDOW - 1) if shift < NC_WINDOW else 1
            self._highest = nc
            return True
        behind = self._highest - nc
        if behind >= NC_WINDOW or self._seen >> behind & 1:
            return False
        self._seen |= 1 << behind
        return True


@dataclass(frozen=True, slots=True)
class _Answer:
    """The credentials in one Authorization header."""

    user: str
    realm: str
    nonce: str
    uri: str
    response: str
    algorithm: Algorithm
    qop: str | None
    nc: str
    cnonce: str

    @classmethod
    def read(cls, value: str) -> _Answer | None:
        """Read them; None when they are no Digest, incomplete, or of an unknown kind."""
        found = parse_directives(value)
        algorithm = _algorithm(found) if found is not None else None
        if found is None or algorithm is None:
            return None
        qop = found.get("qop")
        if qop is not None and (
            qop.lower() != "auth" or "cnonce" not in found or not _NC.fullmatch(found.get("nc", ""))
        ):
            return None
        if not all(name in found for name in ("username", "realm", "nonce", "uri", "response")):
            return None
        return cls(
            found["username"],
            found["realm"],
            found["nonce"],
            found["uri"],
            found["response"],
            algorithm,
            qop,
            found.get("nc", ""),
            found.get("cnonce", ""),
        )

    def digest(self, secret: str, method: str) -> str:
        """What the response should be."""
        return digest_response(
            self.algorithm, secret, method, self.uri, self.nonce, qop=self.qop, nc=self.nc, cnonce=self.cnonce
        )


def digest_response(
    algorithm: Algorithm,
    secret: str,
    method: str,
    uri: str,
    nonce: str,
    *,
    qop: str | None = None,
    nc: str = "",
    cnonce: str = "",
) -> str:
    """The response directive (RFC 7616 3.4.1; without qop RFC 2069); ``secret`` is HA1."""
    ha2 = digest_hash(algorithm, f"{method}:{uri}")
    middle = nonce if qop is None else f"{nonce}:{nc}:{cnonce}:{qop}"
    return digest_hash(algorithm, f"{secret}:{middle}:{ha2}")


def parse_directives(value: str) -> dict[str, str] | None:
    """The directives of a Digest challenge or credential, names in lower case, values unquoted; None for another."""
    if len(value) > MAX_CREDENTIALS_LENGTH or value[:7].lower() not in ("digest ", "digest\t"):
        return None
    found: dict[str, str] = {}
    at, end = 7, len(value)
    while at < end:
        match = _DIRECTIVE.match(value, at)
        if match is None or match.end() == at or len(found) >= MAX_DIRECTIVES:
            return None
        name = match[1].lower()
        if name in found:
            return None
        found[name] = unquote_string(match[2])
        at = match.end()
    return found


def _algorithm(directives: Mapping[str, str]) -> Algorithm | None:
    """The algorithm named, MD5 when none is; None when it is not one of ours."""
    return _BY_NAME.get(directives.get("algorithm", "MD5").upper())


def authorize(
    challenges: Sequence[str],
    *,
    method: str,
    uri: str,
    user: str,
    cnonce: str,
    nc: int = 1,
    password: str | None = None,
    credentials: Credentials | None = None,
) -> str | None:
    """The value of Authorization that answers the first challenge which we can answer (RFC 8760 2.4); None if none.

    ``challenges`` are the values of WWW-Authenticate (or Proxy-Authenticate). The secret is ``password``, or the HA1
    in ``credentials``, which must be of the challenge's realm. ``nc`` counts the uses of this nonce.
    """
    for value in challenges[:MAX_CREDENTIALS]:
        found = parse_directives(value)
        algorithm = _algorithm(found) if found is not None else None
        if found is None or algorithm is None or "realm" not in found or "nonce" not in found:
            continue
        secret = credentials.ha1(algorithm) if credentials is not None else ""
        if password is not None:
            secret = ha1(user, found["realm"], password, algorithm)
        offered = [each.strip(" \t").lower() for each in found.get("qop", "").split(",") if each.strip(" \t")]
        if not secret or (offered and "auth" not in offered):
            continue
        qop = "auth" if offered else None
        count = f"{nc:08x}"
        response = digest_response(algorithm, secret, method, uri, found["nonce"], qop=qop, nc=count, cnonce=cnonce)
        parts = [
            f"username={quote_string(user)}",
            f"realm={quote_string(found['realm'])}",
            f"nonce={quote_string(found['nonce'])}",
            f"uri={quote_string(uri)}",
            f'response="{response}"',
            f"algorithm={algorithm.value}",
        ]
        if qop is not None:
            parts += [f"cnonce={quote_string(cnonce)}", f"qop={qop}", f"nc={count}"]
        if "opaque" in found:
            parts.append(f"opaque={quote_string(found['opaque'])}")
        return "Digest " + ", ".join(parts)
    return None
