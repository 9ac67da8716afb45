"""What can be wrong with a message of a peer; each error knows the status that answers it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from callcenter.sip.message import Request


class SipError(Exception):
    """Something is wrong with what a peer sent; ``status`` is the SIP status that says so."""

    status = 400


class SipParseError(SipError):
    """A message, or a part of one, that cannot be read.

    ``partial`` is the request as far as it could be read, when that is enough to answer it: its top Via is readable,
    the other headers that an answer copies are there if the peer sent them. Without it the answer is silence.
    """

    def __init__(self, reason: str, *, status: int = 400, partial: Request | None = None) -> None:
        super().__init__(f"{status} {reason}")
        self.status = status
        self.reason = reason
        self.partial = partial


class SdpError(SipError):
    """A session description that cannot be read (answer 400)."""


class SdpNotAcceptable(SipError):
    """A session description that has nothing in common with what we can do (answer 488)."""

    status = 488
