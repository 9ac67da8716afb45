"""A phone's sound for tests of the phone alone: the simulated media, and a clip that somebody plays."""

from __future__ import annotations

from callcenter.simulation.media import ClipSound, MixSound, SimEndpointMedia, SimMediaWorld, VoiceSound


class ToySounds:
    """Makes the sounds of phones, and knows whose voice comes from where."""

    def __init__(self) -> None:
        self.world = SimMediaWorld()
        self.names: dict[tuple[str, int], str] = {}

    def open(self, name: str, host: str) -> ToySound:
        """The sound of a call."""
        return ToySound(self, name, host)


class ToySound:
    """What one phone hears and says."""

    def __init__(self, sounds: ToySounds, name: str, host: str) -> None:
        self.media = SimEndpointMedia(sounds.world, host)
        self._sounds = sounds
        sounds.names[self.media.address] = name

    def offer(self) -> bytes:
        return self.media.offer()

    def answer(self, offer: bytes) -> bytes:
        return self.media.answer(offer)

    def take_answer(self, sdp: bytes) -> None:
        self.media.take_answer(sdp)

    def hold(self) -> bytes:
        return self.media.hold()

    def resume(self) -> bytes:
        return self.media.resume()

    def press(self, key: str) -> None:
        self.media.press(key)

    def heard(self) -> tuple[str, ...]:
        match self.media.hears:
            case None:
                return ()
            case VoiceSound(address=address):
                return (self._sounds.names[address],)
            case ClipSound(now=now):
                return (now,)
            case MixSound(parts=parts):
                return tuple(map(str, parts))

    def release(self) -> None:
        self.media.close()
