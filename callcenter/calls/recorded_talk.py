"""RecordedTalk: what may be recorded of one talk, and what is: begun by a rule or a command, paused for secrets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING

from callcenter.calls.record_notice import give_notice, notice_of, words_for
from callcenter.media.plane import MediaError, MediaRecording, MediaSession
from callcenter.model.facts import RecordingPaused, RecordingResumed
from callcenter.runtime.scopes import Background

if TYPE_CHECKING:
    from callcenter.calls.call import Call
    from callcenter.calls.circle import Circle
    from callcenter.calls.party import Party
    from callcenter.calls.recordings import Recordings

SECRET = "a step that takes a secret in"
NEVER_RECORDED = "a colleague who is never recorded"
"""Who pauses by taking part."""


class RecordAction(StrEnum):
    """What may be commanded of the recording of a talk."""

    START = "record_start"
    STOP = "record_stop"
    PAUSE = "record_pause"
    RESUME = "record_resume"


class Obeyed(Enum):
    """What came of a command. ``LATER``: it is paused for a secret too, and goes on when that is over."""

    DONE = "done"
    LATER = "later"
    NO_TALK = "no talk"
    NOT_RECORDED = "not recorded"
    FORBIDDEN = "forbidden"
    MUST_GO_ON = "must go on"
    NO_ROOM = "no room"


@dataclass(frozen=True, slots=True)
class Talkers:
    """Who talks, in ``circle``: ``left`` is the customer, ``right`` the agent, or somebody outside.

    ``strangers`` are no agents of ours, and hear a notice. ``offer`` brought it about, or is the leg of somebody
    outside; ``agent`` and ``queue`` are empty where there is none.
    """

    circle: Circle
    left: Party
    right: Party
    strangers: tuple[Party, ...]
    left_name: str
    right_name: str
    offer: str
    agent: str = ""
    queue: str = ""


class _State(Enum):
    OFF = "off"
    STARTING = "starting"
    ON = "on"
    OVER = "over"


class RecordedTalk:
    """One talk, while it lasts. There is one recording of it, whatever phones it goes on by; after a stop another.

    A talk is what quality people listen to: one agent with one customer, whatever came before or after in the call.
    Those of a call have its id, and numbers.
    """

    def __init__(self, recordings: Recordings, call: Call, who: Talkers) -> None:
        self.call = call
        self.who = who
        self.recording: MediaRecording | None = None
        self.wanted = ""
        """The id of the recording that is to be made now, or is; empty: none."""
        self.demanded = False
        """Whether it is recorded by command, and may be stopped by one."""
        self.stopped_by = ""
        self._recordings = recordings
        self._rule = recordings.rule(call, who.queue, who.agent)
        self._state = _State.OFF
        self._paused_by: dict[str, str] = {}
        who.circle.on_voices = self._voices_changed
        self._beside = Background(limit=4)
        for party in (who.left, who.right):
            party.sound.on_masking = self._masking
            party.on_sound = self._moved

    def __repr__(self) -> str:
        return f"<RecordedTalk of {self.who.right_name} in {self.call.id[-6:]}: {self._state.value}>"

    @property
    def paused(self) -> bool:
        """Whether nothing is recorded now, for whatever reason."""
        return bool(self._paused_by)

    def begin(self) -> None:
        """The talk begins: record it where the rules want it."""
        if self._recordings.wants(self.call, self.who.queue, self.who.agent):
            self._start(f"rule: {self._rule}")

    def obey(self, action: RecordAction, by: str) -> Obeyed:
        """Do what is commanded. Never waits."""
        match action:
            case RecordAction.START:
                return self._start_on_demand(by)
            case RecordAction.STOP:
                return self._stop(by)
            case RecordAction.PAUSE:
                return self._pause("command", by)
            case RecordAction.RESUME:
                return self._resume("command", by)

    def close(self) -> None:
        """The talk is over. Never waits; may be called twice."""
        if self._state is _State.OVER:
            return
        self._state, self.wanted = _State.OVER, ""
        self._beside.cancel()
        for party in (self.who.left, self.who.right):
            party.sound.on_masking = party.on_sound = None
        self.who.circle.on_voices = None
        if self.recording is not None:
            self.recording.stop()

    def ended(self, recording: str) -> None:
        """A recording has ended, by whatever: another may be begun by command."""
        if self.recording is not None and self.recording.id == recording:
            self.recording = None
            self._off()

    def _start_on_demand(self, by: str) -> Obeyed:
        if self._state is not _State.OFF:
            return Obeyed.DONE
        if not self._rule.on_demand and not (self._rule.may and self.call.draw < self._rule.share):
            return Obeyed.FORBIDDEN
        if not self._recordings.enough:
            return Obeyed.NO_ROOM
        # What the rules want anyway, and could not be done before, is no wish of anybody's.
        self.demanded = self._rule.on_demand and self.call.draw >= self._rule.share
        self._start(by)
        return Obeyed.DONE

    def _stop(self, by: str) -> Obeyed:
        if self._state is _State.OFF:
            return Obeyed.NOT_RECORDED
        if not self.demanded:
            return Obeyed.MUST_GO_ON
        self.stopped_by, self.wanted = by, ""
        self._beside.cancel()
        if self.recording is not None:
            self.recording.stop()
        else:
            self._off()
        return Obeyed.DONE

    def _pause(self, why: str, by: str) -> Obeyed:
        if self._state is _State.OFF and why == "command":
            return Obeyed.NOT_RECORDED
        before = self.paused
        self._paused_by.setdefault(why, by)
        if not before and self.recording is not None:
            self._tell_pause(self.recording, by)
        return Obeyed.DONE

    def _resume(self, why: str, by: str) -> Obeyed:
        if self._state is _State.OFF and why == "command":
            return Obeyed.NOT_RECORDED
        before = self.paused
        self._paused_by.pop(why, None)
        if self.paused:
            return Obeyed.LATER
        if before and self.recording is not None:
            self.recording.resume()
            self.call.add(RecordingResumed(self.recording.id, self.who.agent, by))
        return Obeyed.DONE

    def _masking(self, on: bool) -> None:
        if on:
            self._pause("secret", SECRET)
        else:
            self._resume("secret", SECRET)

    def _tell_pause(self, recording: MediaRecording, by: str) -> None:
        recording.pause()
        self.call.add(RecordingPaused(recording.id, self.who.agent, by))

    def _moved(self, party: Party) -> None:
        """One of both goes on by another phone: its sound is another."""
        party.sound.on_masking = self._masking
        self._tell_right()

    def right_channel(self) -> Sequence[MediaSession]:
        """Who is on the right channel: whoever the customer hears. Not an agent who asks a colleague meanwhile, nor a
        supervisor who whispers, but all of a conference.
        """
        return self.who.circle.wanted()[self.who.left.sound.session]

    def _voices_changed(self) -> None:
        """Others are heard now. In a conference with a colleague who is never recorded nobody is."""
        self._tell_right()
        agents = [name for seat in self.who.circle.together if (name := seat.agent or seat.colleague())]
        if any(self._recordings.rule(self.call, self.who.queue, agent).never for agent in agents):
            self._pause("never", NEVER_RECORDED)
        elif "never" in self._paused_by:
            self._resume("never", NEVER_RECORDED)

    def _tell_right(self) -> None:
        if self.recording is not None:
            self.recording.hears(self.right_channel())

    def _off(self) -> None:
        if self._state is not _State.OVER:
            self._state, self.wanted = _State.OFF, ""
            self._paused_by.pop("command", None)

    def _start(self, by: str) -> None:
        self._state, self.stopped_by = _State.STARTING, ""
        self._beside.start(self._notice_and_start(by), name=f"recording of {self.call.id}")

    async def _notice_and_start(self, by: str) -> None:
        """Have all strangers hear the notice who have not, and record; where they cannot, nothing is recorded."""
        if not await give_notice(self.call, self.who.strangers):
            self._off()
            self._recordings.failed(self, "not_noticed", "the notice was not heard to its end")
        elif not self._recordings.begin(self, by):
            self._off()

    @property
    def noticed(self) -> bool:
        """Whether there is a notice, and all strangers have heard it."""
        return bool(words_for(self.call)) and all(notice_of(party).heard for party in self.who.strangers)

    def began(self, recording: MediaRecording) -> None:
        """It is recorded from now on."""
        self.recording, self._state = recording, _State.ON
        self._tell_right()
        if self._paused_by:
            self._tell_pause(recording, next(iter(self._paused_by.values())))

    def failed_to_begin(self, recording: str, error: MediaError) -> None:
        """It cannot be recorded. With a talk that is over went its sound."""
        if recording == self.wanted:
            self._recordings.failed(self, "failed", str(error))
            self._off()
