"""``/events`` and ``/snapshot``: what is, and everything that happens from there on, each thing once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from callcenter.control.protocol import Reason
from callcenter.desk.events import Cut, Hub, Page, TooMany, Unwritten, cut, encoded
from callcenter.desk.identity import TheDesk, requires, still_asks
from callcenter.desk.problems import Problem
from callcenter.model.access import Actor, Scope
from callcenter.publish.shown import Floor
from callcenter.storage.database import StorageError

router = APIRouter(prefix="/api/v1", tags=["events"])
log = structlog.get_logger()

MEDIA_TYPE = "text/event-stream"
# Milliseconds after which a browser that lost the stream asks again.
RETRY_MS = 1_000
# The most that a number of a fact can be.
MOST = 2**63 - 1

Reads = Annotated[Actor, requires(Scope.EVENTS_READ)]


class Snapshot(BaseModel):
    """What topics retain, as of fact ``seq``: follow ``/events?after=seq`` from there."""

    seq: int = Field(description="the last fact that the states know of", examples=[88231])
    boot: str = Field(description="the run of the switch that numbered it", examples=["01kjpwd6vzpggn6g4qsaxf72bt"])
    at: str = Field(examples=["2026-11-30T12:00:00.000Z"])
    states: dict[str, dict[str, Any]] = Field(
        description="by MQTT topic, exactly as it is published there; those that are yours to see",
        examples=[{"callcenter/v1/queues/sales/state": {"schema": "queue.v1", "queue": "sales", "waiting": 2}}],
    )


@router.get("/snapshot")
async def snapshot(desk: TheDesk, actor: Reads) -> Snapshot:
    """The retained states of agents, queues, clients, trunks and the house, and the fact that they stand at."""
    taken = (await desk.snapshots.take()).of(actor, desk.hub.whose.floor)
    return Snapshot(
        seq=taken.seq,
        boot=taken.boot,
        at=taken.at,
        states={topic: dict(state) for topic, state in taken.states.items()},
    )


@router.get(
    "/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Facts, one event each, as long as you read; `id` is the number, for `Last-Event-ID`. An"
            " event `cut` says why the stream ends. An `id` alone is a sign of life.",
            "content": {
                MEDIA_TYPE: {
                    "schema": {"type": "string"},
                    "example": 'id: 88231\ndata: {"seq":88231,"at":"2026-11-30T12:00:00.000Z","boot":"01kj","ms":7,'
                    '"call":"cc1-01kj","kind":"CallQueued","event":"queued","data":{"queue":"sales"}}\n\n',
                }
            },
        }
    },
)
async def events(
    request: Request,
    desk: TheDesk,
    actor: Reads,
    after: Annotated[
        int | None,
        Query(ge=0, le=MOST, description="those behind this fact: `seq` of a snapshot; without: from now on"),
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="the same, as browsers ask again; it counts before `after`")
    ] = None,
) -> StreamingResponse:
    """Everything that happens, as server-sent events: what is yours to see, each fact once, in order, without a gap."""
    if last_event_id:
        if not (last_event_id.isascii() and last_event_id.isdigit() and int(last_event_id) <= MOST):
            raise Problem(422, Reason.INVALID, "this is the number of the last fact that you have", "Last-Event-ID")
        after = int(last_event_id)
    try:
        position = await desk.hub.position_of(actor, after)
    except TooMany as error:
        raise Problem(429, Reason.TOO_MANY, str(error), headers={"Retry-After": "5"}) from None
    except Unwritten as error:
        raise Problem(409, Reason.CONFLICT, str(error), "after") from None
    return EventStream(desk.hub, actor, position, desk.ending, lambda: still_asks(desk, request))


class EventStream(StreamingResponse):
    """A stream to one reader: whoever does not read is cut, with a word where that still gets through."""

    def __init__(
        self,
        hub: Hub,
        actor: Actor,
        position: int,
        ending: asyncio.Event,
        still: Callable[[], Awaitable[Actor | None]],
    ) -> None:
        """``still`` says who the reader is by now: who may read no more, or sees other companies, is sent away."""
        # Proxies pass it on at once; and whoever was sent away is gone.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Connection": "close"}
        super().__init__(iter(()), headers=headers, media_type=MEDIA_TYPE)
        self._hub = hub
        self._actor = actor
        self._position = position
        self._ending = ending
        self._still = still

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        """Send until the reader goes, the desk ends, or the reader reads no more."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        pages = self._hub.read(self._actor, self._position)
        gone = asyncio.ensure_future(_gone(receive))
        over = asyncio.ensure_future(self._ending.wait())
        try:
            word = await self._tell(pages, send, gone, over)
            if word:
                log.info("reader of events sent away", user=self._actor.user, reason=word)
            async with asyncio.timeout(self._hub.limits.farewell):
                await _send(send, cut(word) if word else b"", last=True)
        except (TimeoutError, OSError):
            pass  # The connection is closed behind us.
        finally:
            gone.cancel()
            over.cancel()
            await pages.aclose()

    async def _tell(
        self, pages: AsyncGenerator[Page, None], send: Send, gone: asyncio.Future[None], over: asyncio.Future[Any]
    ) -> str:
        """Tell page by page; returns why it ends, nothing when the reader left."""
        patience = self._hub.limits.patience
        time, checked_at = asyncio.get_running_loop().time, asyncio.get_running_loop().time()
        floor: Floor | None = None
        chunk = f"retry: {RETRY_MS}\nid: {self._position}\n\n".encode()
        while True:
            try:
                async with asyncio.timeout(patience):
                    await _send(send, chunk)
            except TimeoutError:
                return f"nothing was read for {patience:g} s; ask again after the last event that you have"
            following = asyncio.ensure_future(_next(pages))
            try:
                first: set[asyncio.Future[Any]] = {following, gone, over}
                await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    return "" if gone.done() else "the desk is started anew: ask again"
                # Who was taken from a company is told nothing more of it: the page may hold what came behind that.
                if self._hub.whose.floor is not floor or time() - checked_at >= self._hub.limits.heartbeat:
                    floor, checked_at = self._hub.whose.floor, time()
                    if await self._still() != self._actor:
                        return "what you may see has changed: show who you are, and ask again"
                chunk = encoded(following.result())
            except Cut as error:
                return str(error)
            except StorageError as error:
                return f"{error}; ask again after the last event that you have"
            finally:
                if not following.done():
                    following.cancel()
                    await asyncio.wait({following})


async def _next(pages: AsyncGenerator[Page, None]) -> Page:
    return await anext(pages)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, chunk: bytes, *, last: bool = False) -> None:
    await send({"type": "http.response.body", "body": chunk, "more_body": not last})
