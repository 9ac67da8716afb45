"""Recordings: begins and ends them, watches over the disk they are on, and over how long each is kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import structlog

from callcenter.calls.record_policy import NEVER, RecordingSettings, RecordRule
from callcenter.calls.recorded_talk import Obeyed, RecordAction, RecordedTalk, Talkers
from callcenter.media.plane import MediaError, RecordingOrder, RecordingReason
from callcenter.media.plane import RecordingEnded as FileEnded
from callcenter.model.facts import (
    RecordingDeleted,
    RecordingEnded,
    RecordingFailed,
    RecordingHeld,
    RecordingOpened,
    RecordingReleased,
    RecordingSpaceChanged,
    RecordingStarted,
)
from callcenter.model.states import Direction
from callcenter.runtime.scopes import Background
from callcenter.storage.database import StorageError
from callcenter.storage.recording_files import RecordingFiles, Space
from callcenter.storage.recordings import DELETED, RECORDING, Recording
from callcenter.storage.recordings import Recordings as Index

if TYPE_CHECKING:
    from random import Random

    from callcenter.calls.call import Call
    from callcenter.calls.services import Services

# Seconds between two looks at the disk, and at what has got too old.
LOOK_EVERY = 10.0
SWEEP_EVERY = 3600.0
# After the start calls come first.
FIRST_SWEEP = 60.0
# Deleted in one go, of one client: then others have their turn.
MOST_SWEPT = 500
# Room that is back for a moment only would have recordings begin and fail by turns.
BACK_WITH = 1.05
# Who writes outlives a crash of ours, to finish the files: it is asked again after so many seconds.
MEND_AFTER = (1.0, 3.0, 8.0, 12.0, 0.0)
# More than a plane carries; what is beyond is not recorded, and told.
MOST_AT_ONCE = 20_000
PART = ".part"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class RecordingKey:
    """The key that recordings are encrypted under, and its name, which tells nothing of it."""

    id: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be recorded last."""

    at: datetime
    call: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class RecordingsStatus:
    """How it stands: how many are under way, and paused; the room; what has failed since the start."""

    on: bool
    recording: int
    paused: int
    enough: bool
    space: Space | None
    wanted: int
    detail: str
    failures: int
    last_failure: Failure | None


class NotDone(Exception):
    """A command on a recording is refused; one sentence that says why."""


class Recordings:
    """All recordings of one switch."""

    def __init__(
        self, services: Services, index: Index, files: RecordingFiles, key: RecordingKey | None, random: Random
    ) -> None:
        self.on_state: Callable[[], None] | None = None
        """Told when room is short or back, and when something failed."""
        self._services = services
        self._index = index
        self._files = files
        self._key = key
        self._random = random
        self._talks: dict[str, list[RecordedTalk]] = {}
        self._under_way: dict[str, _UnderWay] = {}
        self._work = Background(limit=MOST_AT_ONCE)
        self._empty = asyncio.Event()
        self._empty.set()
        self._enough = True
        self._space: Space | None = None
        self._detail = ""
        self._failures = 0
        self._last_failure: Failure | None = None
        self._held: set[str] = set()

    @property
    def key_id(self) -> str:
        """The name of the key; empty where files are plain."""
        return self._key.id if self._key is not None else ""

    @property
    def status(self) -> RecordingsStatus:
        """How it stands."""
        settings = self._services.settings.recording
        return RecordingsStatus(
            on=settings.on,
            recording=len(self._under_way),
            paused=sum(each.talk.paused for each in self._under_way.values()),
            enough=self._enough,
            space=self._space,
            wanted=settings.least_free.wanted(self._space.total) if self._space is not None else 0,
            detail=self._detail,
            failures=self._failures,
            last_failure=self._last_failure,
        )

    # The talks.

    @property
    def enough(self) -> bool:
        """Whether there is room for another recording."""
        return self._enough

    def draw(self) -> float:
        """A number by which a call is among the share that is recorded, or not: once for all its talks."""
        return self._random.random()

    def rule(self, call: Call, queue: str = "", agent: str = "") -> RecordRule:
        """What holds for a talk of this call. Colleagues among themselves are nobody's to record."""
        if call.direction is Direction.INTERNAL:
            return NEVER
        return call.settings.recording.rule(call.client.id, queue, (agent,))

    def wants(self, call: Call, queue: str = "", agent: str = "") -> bool:
        """Whether a talk is to be recorded by the rules."""
        rule = self.rule(call, queue, agent)
        return rule.may and call.draw < rule.share

    @contextmanager
    def talk(self, call: Call, who: Talkers) -> Iterator[RecordedTalk]:
        """While the block lasts both talk: what is to be recorded of it is."""
        talk = call.recorded = RecordedTalk(self, call, who)
        talks = self._talks.setdefault(who.agent, [])
        talks.append(talk)
        try:
            talk.begin()
            yield talk
        finally:
            talk.close()
            call.recorded = None
            talks.remove(talk)
            if not talks:
                del self._talks[who.agent]

    def command(self, agent: str, action: RecordAction, by: str, call: str = "") -> Obeyed:
        """Do with an agent's talk what is commanded, with all of them when it is two: who is heard in one may be heard
        in the other. But to start: that is for the talk in this ``call``, else for the latest. Never waits.
        """
        talks = self._talks.get(agent, ()) if agent else ()
        if not talks:
            return Obeyed.NO_TALK
        if action is RecordAction.START:
            meant = [talk for talk in talks if not call or talk.call.id == call]
            return meant[-1].obey(action, by) if meant else Obeyed.NO_TALK
        found = [talk.obey(action, by) for talk in list(talks)]
        return next((each for each in found if each is not Obeyed.NOT_RECORDED), Obeyed.NOT_RECORDED)

    def begin(self, talk: RecordedTalk, by: str) -> bool:
        """Record a talk from now on, into a file of its own; False when that cannot be, and it was told."""
        settings, call = self._services.settings.recording, talk.call
        if not self._enough:
            self.failed(talk, "no_space", self._detail)
            return False
        call.recordings += 1
        talk.wanted = recording = f"{call.id}-{call.recordings}"
        path = file_of(call.client.id, recording, self._services.clock.now())
        order = RecordingOrder(
            recording,
            str(settings.directory / path),
            settings.encoding,
            self._key.octets if self._key is not None else None,
        )
        self._empty.clear()
        if self._work.start(self._record(talk, order, by), name=f"begin recording {recording}"):
            return True
        self.failed(talk, "failed", f"{MOST_AT_ONCE} are begun at once")
        return False

    async def _record(self, talk: RecordedTalk, order: RecordingOrder, by: str) -> None:
        who, call = talk.who, talk.call
        self._under_way[order.id] = _UnderWay(talk, call.id, call.client.id)
        try:
            recording = await self._services.plane.record(
                order, who.left.sound.session, talk.right_channel(), self._told
            )
        except MediaError as error:
            self._over(order.id)
            talk.failed_to_begin(order.id, error)
            return
        except BaseException:
            self._over(order.id)
            raise
        if talk.wanted != order.id:
            self._under_way[order.id].void = True
            recording.stop()
            return
        call.add(
            RecordingStarted(
                recording=order.id,
                path=self._below(recording.path),
                client=call.client.id,
                by=by,
                offer=who.offer,
                agent=who.agent,
                queue=who.queue,
                left=who.left_name,
                right=who.right_name,
                noticed=talk.noticed,
                key=self.key_id,
            )
        )
        talk.began(recording)

    def failed(self, talk: RecordedTalk, reason: str, detail: str) -> None:
        """Something that should be recorded is not: told as a fact, and as an alarm."""
        call = talk.call
        self._failed(call.id, RecordingFailed(talk.wanted, talk.who.agent, call.client.id, reason, detail))

    def _failed(self, call_id: str, body: RecordingFailed) -> None:
        self._failures += 1
        self._last_failure = Failure(self._services.clock.now(), call_id, body.reason, body.detail)
        self._services.stream.append(body, call_id)
        if self.on_state is not None:
            self.on_state()

    def _told(self, event: FileEnded) -> None:
        """The plane says that nothing more is written to a file, whoever ended it."""
        under_way = self._under_way[event.recording]
        if under_way.void:
            self._work.start(self._discard(event), name=f"discard recording {event.recording}")
            return
        talk = under_way.talk
        talk.ended(event.recording)
        if event.reason is not RecordingReason.STOPPED:
            agent, client = talk.who.agent, under_way.client
            self._failed(
                under_way.call_id, RecordingFailed(event.recording, agent, client, str(event.reason), event.detail)
            )
        ended = RecordingEnded(
            recording=event.recording,
            agent=talk.who.agent,
            path=self._below(event.path),
            length_ms=round(event.seconds * 1000),
            octets=event.octets,
            sha256=event.sha256,
            reason=str(event.reason),
            by=talk.stopped_by,
            detail=event.detail,
        )
        if event.path.endswith(PART):
            self._work.start(self._mend(ended, under_way.call_id), name=f"mend recording {event.recording}")
        else:
            self._tell_end(ended, under_way.call_id)

    async def _discard(self, event: FileEnded) -> None:
        """Away with the file of what was over before it had begun: nothing was told of it."""
        with contextlib.suppress(OSError):
            await self._files.delete(Path(event.path))
        self._over(event.recording)

    def _tell_end(self, ended: RecordingEnded, call_id: str) -> None:
        self._services.stream.append(ended, call_id)
        self._over(ended.recording)

    def _over(self, recording: str) -> None:
        self._under_way.pop(recording, None)
        if not self._under_way:
            self._empty.set()

    async def _mend(self, ended: RecordingEnded, call_id: str) -> None:
        """Finish a file that was not, and tell what is in it, or that nothing is."""
        self._tell_end(await self._mended(ended), call_id)

    async def _mended(self, ended: RecordingEnded) -> RecordingEnded:
        path = self._services.settings.recording.directory / ended.path.removesuffix(PART)
        words, found = ended.detail, None
        for patience in MEND_AFTER:
            try:
                found = await self._files.mend(path)
                words = ended.detail
                break
            except OSError as error:
                words = "; ".join(filter(None, [ended.detail, f"it cannot be mended: {error.strerror or error}"]))
                await asyncio.sleep(patience)
        length_ms, octets, sha256, there = 0, 0, "", ended.path
        if found is not None:
            length_ms, octets, sha256 = round(found.seconds * 1000), found.octets, found.sha256
            there = self._below(str(found.path))
        return RecordingEnded(
            ended.recording, ended.agent, there, length_ms, octets, sha256, ended.reason, ended.by, words
        )

    def _below(self, path: str) -> str:
        """A path as it is told: below the folder of recordings."""
        try:
            return (
                PurePosixPath(path).relative_to(PurePosixPath(self._services.settings.recording.directory)).as_posix()
            )
        except ValueError:
            return path

    # What lasts as long as the switch.

    async def open(self) -> list[Recording]:
        """Look at the disk; what the last run left unfinished, for :meth:`finish`. Raises StorageError."""
        left = await self._index.unfinished()
        await self.look()
        return left

    async def finish(self, left: Sequence[Recording]) -> None:
        """Mend what the last run left, and tell its end. Never raises on a disk that fails."""
        for each in left:
            agent = each.agents[0] if each.agents else ""
            ended = RecordingEnded(
                each.recording, agent, each.path, 0, 0, "", "restart", "", "the switch was restarted"
            )
            self._services.stream.append(await self._mended(ended), each.call)

    async def watch(self) -> None:
        """Look at the disk for ever, and at what has got too old; cancelled at the end of the switch."""
        next_sweep = FIRST_SWEEP
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()
            next_sweep -= LOOK_EVERY
            if next_sweep <= 0:
                next_sweep = SWEEP_EVERY
                with contextlib.suppress(StorageError):  # it is there again some day, and this is not urgent
                    await self.sweep()

    async def look(self) -> None:
        """Look whether there is room, and tell when that changes."""
        settings = self._services.settings.recording
        if not settings.on:
            self._enough, self._space, self._detail = True, None, ""
            return
        try:
            space = await self._files.space(settings.directory)
        except OSError as error:
            self._see(settings, None, f"{settings.directory} cannot be looked at: {error.strerror or error}")
            return
        wanted = settings.least_free.wanted(space.total)
        # Once it is short, a little more must be there, so that it is not short again at once.
        enough = space.free >= (wanted if self._enough else wanted * BACK_WITH)
        there = f"{size(space.free)} of {size(space.total)} are free where recordings are, {size(wanted)} must be"
        self._see(settings, space, "" if enough else there)

    def _see(self, settings: RecordingSettings, space: Space | None, short: str) -> None:
        before, self._space, self._detail = self._enough, space, short
        self._enough = not short
        if before is self._enough:
            return
        free, total = (space.free, space.total) if space is not None else (0, 0)
        self._services.stream.append(
            RecordingSpaceChanged(self._enough, free, total, settings.least_free.wanted(total), short)
        )
        if self.on_state is not None:
            self.on_state()

    async def sweep(self) -> None:
        """Delete what is older than its client's recordings are kept, and not held. Raises StorageError."""
        settings = self._services.settings.recording
        for client in await self._index.clients():
            days = settings.days(client)
            if days is None:
                continue
            before = self._services.clock.now() - timedelta(days=days)
            for each in await self._index.due(client, before, MOST_SWEPT):
                if each.recording not in self._held:
                    await self._delete(each, "retention", f"older than {days} day{'s' * (days != 1)}")

    async def _delete(self, each: Recording, by: str, why: str) -> str:
        """Delete a file and tell so; what kept it from being deleted, in words, else nothing."""
        path = self._services.settings.recording.directory / each.path
        try:
            await self._files.delete(path)
        except OSError as error:
            log.warning("a recording was not deleted", recording=each.recording, why=error.strerror or str(error))
            return f"{path} cannot be deleted: {error.strerror or error}"
        self._services.stream.append(RecordingDeleted(each.recording, by, why), each.call)
        return ""

    # What is commanded of one that is there.

    async def find(self, recording: str) -> Recording:
        """The recording of an id, or of the end of one. Raises NotDone, StorageError."""
        found = await self._index.by_id(recording) or await self._index.by_end(recording)
        if found is None:
            raise NotDone(f"no recording is named `{recording}`, or several end so: `callcenter recordings list`")
        return found

    async def open_for(self, recording: str, by: str, sees: Callable[[str], bool]) -> Recording:
        """One that somebody is given to hear who ``sees`` its client: that is told. Raises NotDone, StorageError.

        Nobody hears one before that is written.
        """
        found = await self._index.by_id(recording)
        if found is None or not sees(found.client):
            raise NotDone(f"no recording is named `{recording}`")
        if found.state == RECORDING:
            raise NotDone(f"{found.recording} is still being made")
        if found.state == DELETED:
            raise NotDone(f"{found.recording} was deleted at {found.deleted_at} ({found.deleted_why})")
        if not found.octets:
            raise NotDone(f"of {found.recording} there is no file: {found.reason} {found.detail}".rstrip())
        self._services.stream.append(RecordingOpened(found.recording, found.client, by), found.call)
        return found

    async def hold(self, recording: str, by: str, why: str) -> Recording:
        """Keep one from being deleted. Raises NotDone, StorageError."""
        found = await self.find(recording)
        if found.deleted_at is not None:
            raise NotDone(f"{found.recording} was deleted at {found.deleted_at} ({found.deleted_why})")
        self._held.add(found.recording)
        self._services.stream.append(RecordingHeld(found.recording, by, why), found.call)
        return found

    def is_held(self, recording: Recording) -> bool:
        """Whether somebody keeps it from being deleted."""
        return recording.held_at is not None or recording.recording in self._held

    async def release(self, recording: str, by: str) -> Recording:
        """Let age delete it again. Raises NotDone, StorageError."""
        found = await self.find(recording)
        if found.held_at is None and found.recording not in self._held:
            raise NotDone(f"nobody holds {found.recording}")
        self._held.discard(found.recording)
        self._services.stream.append(RecordingReleased(found.recording, by), found.call)
        return found

    async def delete(self, recording: str, by: str, why: str) -> Recording:
        """Delete the file; the row stays. Raises NotDone, StorageError."""
        found = await self.find(recording)
        if self.is_held(found):
            who = f" by {found.held_by}: {found.held_why}" if found.held_by else ""
            raise NotDone(f"{found.recording} is held{who}; release it first")
        if found.state == RECORDING:
            raise NotDone(f"{found.recording} is still being made")
        if found.state == DELETED:
            raise NotDone(f"{found.recording} was deleted at {found.deleted_at} ({found.deleted_why})")
        if failed := await self._delete(found, by, why):
            raise NotDone(failed)
        return found

    def close(self) -> None:
        """The switch goes down: whatever is not finished by now, the next start finishes. Never waits."""
        self._work.cancel()

    async def finished(self) -> None:
        """Wait until no recording is under way any more."""
        await self._empty.wait()


@dataclass(slots=True)
class _UnderWay:
    """A recording from the order on until its file is told to be finished; the call may be over by then.

    ``void``: it was taken back, or the talk was over, before it had begun.
    """

    talk: RecordedTalk
    call_id: str
    client: str
    void: bool = False


def file_of(client: str, recording: str, at: datetime) -> str:
    """Where a recording is, without its ending: by client and day of UTC, named by its time and its call.

    Nothing of the caller stands in it: names of files get into lists, mails and backups.
    """
    return f"{client}/{at:%Y/%m/%d}/{at:%Y%m%dT%H%M%SZ}-{recording}"


def size(octets: int) -> str:
    """``2.4 GB``."""
    value, units = float(octets), ["B", "kB", "MB", "GB", "TB", "PB"]
    while value >= 1000 and len(units) > 1:
        value /= 1000
        units.pop(0)
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
