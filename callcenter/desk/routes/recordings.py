"""``/recordings``: which there are, and their sound; who hears one is told in the log before."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, Field
from starlette.types import Receive, Send
from starlette.types import Scope as AsgiScope

from callcenter.config.secrets import SecretsError, open_recording_keys
from callcenter.control.protocol import CommandError, Reason
from callcenter.desk.asked import FIRST_PAGE, After, Limit, ListOf, Moment, Name, Word, for_whom, refused
from callcenter.desk.desk import Desk
from callcenter.desk.hearings import Heard
from callcenter.desk.identity import TheDesk, requires
from callcenter.desk.problems import Problem, not_found
from callcenter.desk.reading.paging import BadCursor
from callcenter.desk.reading.peaks import FINEST, shares
from callcenter.desk.reading.recordings import Filter, NotThere, Recordings, Sound, for_client, sound_of
from callcenter.model.access import Actor, Role, Scope
from callcenter.runtime.private_file import NotPrivate

router = APIRouter(prefix="/api/v1", tags=["recordings"])

RECORDING = "recording"
WAV = "audio/wav"
OCTETS = {WAV: {"schema": {"type": "string", "format": "binary"}}}
# Of a range, when the recording has not one octet of it.
NOTHING = (-1, -1)
NO_KEYS = "the keys of recordings cannot be read"
_STATES = {"recording": "still under way", "failed": "one that failed", "deleted": "deleted"}
_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")

Reads = Annotated[Actor, requires(Scope.RECORDINGS_READ)]


class Recording(BaseModel):
    """What is known of a recording. ``state``: ``recording``, ``kept``, ``cut`` (it ended before the talk did),
    ``failed`` (there is no file) or ``deleted``. For client companies nobody of the house is named.
    """

    recording: str = Field(examples=["cc1-01kjpwd6vzpggn6g4qsaxf72bt-1"])
    call: str
    client: str = Field(examples=["acme"])
    queue: str
    agents: list[str]
    started_by: str | None
    started_at: str
    ended_at: str | None
    length_ms: int
    channels: int = Field(description="the caller on the left, the agent on the right")
    octets: int = Field(description="of the file as it is stored")
    sha256: str
    key: str = Field(description="the id of the key that it is encrypted under; empty: it is not")
    state: str
    reason: str
    detail: str
    held_by: str | None
    held_why: str | None
    held_at: str | None
    deleted_by: str | None
    deleted_why: str | None
    deleted_at: str | None


class WaveForm(BaseModel):
    """The wave form of a recording, as players take it: loudest samples of equally long pieces, from 0 to 1."""

    recording: str = Field(examples=["cc1-01kjpwd6vzpggn6g4qsaxf72bt-1"])
    length_ms: int = Field(examples=[370_000])
    points: int = Field(description="of each channel; fewer than were asked for of what is very short", examples=[3])
    peaks: list[list[float]] = Field(
        description="the caller's, and the agent's", examples=[[[0.02, 0.41, 0.33], [0.56, 0.01, 0.0]]]
    )


class RecordingPage(ListOf):
    """A page of recordings, the latest first."""

    items: list[Recording]


@router.get("/recordings")
async def recordings(
    desk: TheDesk,
    actor: Reads,
    client: Word = "",
    call: Word = "",
    agent: Word = "",
    queue: Word = "",
    state: Literal["", "recording", "kept", "cut", "failed", "deleted"] = "",
    since: Moment = None,
    until: Moment = None,
    after: After = None,
    limit: Limit = FIRST_PAGE,
) -> RecordingPage:
    """Recordings by when they began, the latest first. What is empty is not asked for."""
    if actor.role is Role.CLIENT:
        agent = ""
    asked = Filter(client, call, agent, queue, state, since, until)
    try:
        found, following = await Recordings(desk.reader).page(asked, actor.clients, after=after, limit=limit)
    except BadCursor as error:
        raise Problem(422, Reason.INVALID, str(error), "after") from None
    return RecordingPage(items=[Recording(**for_whom(actor, each, for_client)) for each in found], next=following)


@router.get("/recordings/{recording}/about")
async def about(desk: TheDesk, actor: Reads, recording: Name) -> Recording:
    """What is known of one recording."""
    found = await Recordings(desk.reader).one(recording, actor.clients)
    if found is None:
        raise not_found(RECORDING)
    return Recording(**for_whom(actor, found, for_client))


@router.get(
    "/recordings/{recording}",
    response_class=StreamingResponse,
    responses={
        200: {"description": "The whole of it", "content": {WAV: {"schema": {"type": "string", "format": "binary"}}}},
        206: {
            "description": "The range that was asked for",
            "content": {WAV: {"schema": {"type": "string", "format": "binary"}}},
        },
        304: {"description": "You have it already"},
    },
)
async def sound(
    desk: TheDesk,
    actor: Reads,
    recording: Name,
    range: Annotated[
        str | None, Header(description="one range of bytes (RFC 9110); of several the whole is sent")
    ] = None,
    if_range: Annotated[str | None, Header()] = None,
    if_none_match: Annotated[str | None, Header()] = None,
) -> Response:
    """The sound as a WAV file, decrypted as it goes. That somebody hears it is written before the first octet."""
    found = await Recordings(desk.reader).one(recording, actor.clients)
    if found is None:
        raise not_found(RECORDING)
    headers = _headers(found)
    etag = headers["ETag"]
    if if_none_match is not None and found["state"] in ("kept", "cut") and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    file = await _opened(desk, actor, recording)
    wanted = None if range is None or (if_range is not None and if_range.strip() != etag) else _range(range, file.size)
    if wanted is NOTHING:
        file.close()
        raise Problem(
            416, Reason.INVALID, f"the recording has {file.size} octets", "Range",
            headers={"Content-Range": f"bytes */{file.size}"},
        )  # fmt: skip
    headers["Content-Disposition"] = f'inline; filename="{recording}.wav"'
    if wanted is None:
        return _Sound(file, 0, file.size, 200, headers)
    first, last = wanted
    headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
    return _Sound(file, first, last - first + 1, 206, headers)


def _range(text: str, size: int) -> tuple[int, int] | None:
    """The first and the last octet of one range; NOTHING when there is none of it; None for what is no range."""
    found = _RANGE.fullmatch(text.strip())
    if found is None:
        return None
    first, last, suffix = found.groups()
    if suffix is not None:
        return (max(0, size - int(suffix)), size - 1) if int(suffix) else NOTHING
    if last and int(last) < int(first):
        return None
    return (int(first), min(int(last), size - 1) if last else size - 1) if int(first) < size else NOTHING


@router.head(
    "/recordings/{recording}",
    response_class=Response,
    responses={
        200: {"description": "How large it is, and that ranges of it may be asked for", "content": {WAV: {}}},
        304: {"description": "You have it already"},
    },
)
async def about_sound(
    desk: TheDesk, actor: Reads, recording: Name, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """What a player asks before it plays: the headers of the sound. Nobody hears it yet, and so nothing is written."""
    found = await _there(desk, actor, recording)
    headers = _headers(found)
    if if_none_match is not None and headers["ETag"] in if_none_match:
        return Response(status_code=304, headers=headers)
    size = await asyncio.to_thread(_size, await _file(desk, recording))
    return Response(headers={**headers, "Content-Length": str(size)}, media_type=WAV)


@router.get(
    "/recordings/{recording}/peaks", response_model=WaveForm, responses={304: {"description": "You have them already"}}
)
async def peaks(
    desk: TheDesk,
    actor: Reads,
    response: Response,
    recording: Name,
    points: Annotated[int, Query(ge=1, le=FINEST, description="how many for each channel, at most")] = 1_000,
    if_none_match: Annotated[str | None, Header()] = None,
) -> WaveForm | Response:
    """How loud it is from moment to moment, to draw before it is played. It tells no word, and so is no hearing."""
    found = await _there(desk, actor, recording)
    etag = f'"{found["sha256"][:32]}-{points}"'
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    if if_none_match is not None and etag in if_none_match:
        return Response(status_code=304, headers=headers)
    try:
        known = await desk.peaks.of(found["sha256"], await _file(desk, recording))
    except NotThere as error:
        raise Problem(409, Reason.CONFLICT, str(error)) from None
    response.headers.update(headers)
    drawn = known.of(points)
    return WaveForm(
        recording=recording,
        length_ms=drawn.length_ms,
        points=len(drawn.caller),
        peaks=[shares(drawn.caller), shares(drawn.agent)],
    )


async def _there(desk: Desk, actor: Actor, recording: str) -> dict[str, Any]:
    """A recording that has sound, and is theirs to hear. Raises Problem."""
    found = await Recordings(desk.reader).one(recording, actor.clients)
    if found is None:
        raise not_found(RECORDING)
    if found["state"] not in ("kept", "cut"):
        raise Problem(409, Reason.CONFLICT, f"there is no sound: the recording is {_STATES[found['state']]}")
    return found


def _headers(found: Mapping[str, Any]) -> dict[str, str]:
    return {"ETag": f'"{found["sha256"]}"', "Cache-Control": "private, no-store", "Accept-Ranges": "bytes"}


async def _file(desk: Desk, recording: str) -> Callable[[], Sound]:
    """What opens the file, in a thread; it raises NotThere, and Problem where keys cannot be read."""
    path, settings = await Recordings(desk.reader).path(recording), desk.settings.calls.recording

    def opened() -> Sound:
        try:
            return sound_of(settings.directory, path, open_recording_keys(settings.key))
        except (SecretsError, NotPrivate, OSError):
            raise Problem(503, Reason.UNAVAILABLE, NO_KEYS) from None

    return opened


def _size(opened: Callable[[], Sound]) -> int:
    try:
        with opened() as file:
            return file.size
    except NotThere as error:
        raise Problem(409, Reason.CONFLICT, str(error)) from None


async def _opened(desk: Desk, actor: Actor, recording: str) -> Sound:
    """The file of a recording, when it is written that this one hears it. Raises Problem."""
    now = asyncio.get_running_loop().time()
    heard = desk.hearings.find(actor, recording, now)
    if heard is None:
        try:
            told = await desk.switch.ask("recording_open", actor, recording=recording)
        except CommandError as error:
            raise refused(RECORDING, error) from None
        heard = Heard(now, Path(told["directory"]), told["recording"]["path"])
        desk.hearings.begin(actor, recording, heard)
    key = desk.settings.calls.recording.key
    try:
        return await asyncio.to_thread(lambda: sound_of(heard.folder, heard.path, open_recording_keys(key)))
    except NotThere as error:
        raise Problem(409, Reason.CONFLICT, str(error)) from None
    except (SecretsError, NotPrivate, OSError):
        # Where keys are kept is nobody's business here; the switch says it at its start.
        raise Problem(503, Reason.UNAVAILABLE, NO_KEYS) from None


class _Sound(StreamingResponse):
    """Octets of a file, read in a thread; closed whatever becomes of the connection."""

    def __init__(self, file: Sound, start: int, length: int, status: int, headers: dict[str, str]) -> None:
        super().__init__(file.read(start, length), status, {**headers, "Content-Length": str(length)}, WAV)
        self._file = file

    async def __call__(self, scope: AsgiScope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()
