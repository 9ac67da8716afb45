"""DigestClient: answers the challenges of those we call and register with (RFC 3261 22.2, 22.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callcenter.sip.digest import authorize, parse_directives

if TYPE_CHECKING:
    from random import Random

    from callcenter.sip.message import Request, Response

# Tries of one request: as it is, with an answer, and once more for a nonce that was stale or a second realm.
MOST_TRIES = 4

# What stands in a request for its own sake, and in no repetition of it.
CREDENTIALS = frozenset(("authorization", "proxy-authorization"))

# By status: where the challenge stands, and where its answer.
_FIELDS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class DigestClient:
    """One login. What was asked last is answered beforehand the next time, with the nonce counted up, which spares a
    round; ``begin`` stands before each new request that ``take`` hears the answers to.
    """

    def __init__(self, user: str, password: str, random: Random) -> None:
        self._user = user
        self._password = password
        self._random = random
        # By the name of the answering header: the challenges, and how often their nonce was used.
        self._asked: dict[str, tuple[tuple[str, ...], int]] = {}
        self._answered: set[str] = set()

    def begin(self) -> None:
        """Another request: a challenge to it is no refusal of what was proved before."""
        self._answered.clear()

    def headers(self, method: str, uri: str) -> list[tuple[str, str]]:
        """The answers to what was asked, for a request of this method to this Request-URI."""
        found = []
        for name, (challenges, used) in self._asked.items():
            answer = authorize(
                challenges,
                method=method,
                uri=uri,
                user=self._user,
                password=self._password,
                cnonce=f"{self._random.getrandbits(64):016x}",
                nc=used + 1,
            )
            if answer is not None:
                self._asked[name] = (challenges, used + 1)
                found.append((name, answer))
        return found

    def take(self, response: Response) -> bool:
        """Note a challenge; whether to ask again with an answer. False: it is none, or our password is wrong."""
        fields = _FIELDS.get(response.status)
        if fields is None or not self._user:
            return False
        asked, name = fields
        challenges = tuple(response.headers.all(asked))
        if name in self._answered and not any(_stale(each) for each in challenges):
            del self._asked[name]
            return False
        self._answered.add(name)
        self._note(name, challenges)
        return bool(challenges)

    def again(self, request: Request, response: Response) -> list[tuple[str, str]]:
        """The credentials with which a request that was challenged so is sent again; none where that is of no use: it
        was no challenge, or what was proved in the request is refused.
        """
        fields = _FIELDS.get(response.status)
        if fields is None or not self._user:
            return []
        asked, name = fields
        challenges = tuple(response.headers.all(asked))
        if name in request.headers and not any(_stale(each) for each in challenges):
            self._asked.pop(name, None)
            return []
        self._note(name, challenges)
        found = self.headers(request.method, str(request.uri))
        # Other realms alone are no answer to this one.
        return found if any(header == name for header, _ in found) else []

    def _note(self, name: str, challenges: tuple[str, ...]) -> None:
        # A server may ask for the same nonce again and again: its count goes on, for it takes each but once.
        before, used = self._asked.get(name, ((), 0))
        same = [_nonce(each) for each in before] == [_nonce(each) for each in challenges]
        self._asked[name] = (challenges, used if same else 0)

    def __repr__(self) -> str:
        return f"<DigestClient {self._user}>"


def _nonce(challenge: str) -> str:
    return (parse_directives(challenge) or {}).get("nonce", "")


def _stale(challenge: str) -> bool:
    return (parse_directives(challenge) or {}).get("stale", "").lower() == "true"
