"""Files of recordings after they were written: looked at, finished when nobody else has, and opened when sealed."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

from callcenter.media.embedded.recorder.files import PART, sync_folder, wav_header
from callcenter.media.embedded.recorder.keys import MasterKeys
from callcenter.media.embedded.recorder.sealing import HEADER_SIZE, MAGIC, Format, Opened, SealError
from callcenter.media.plane import RecordingEncoding

_NO_KEYS: Final = MasterKeys(())
_FORMATS: Final = tuple(Format(encoding, rate) for encoding in RecordingEncoding for rate in (8000, 16000))
_SMALLEST_HEADER: Final = min(len(wav_header(each, 0)) for each in _FORMATS)
_LARGEST_HEADER: Final = max(len(wav_header(each, 0)) for each in _FORMATS)


class BadRecording(Exception):
    """The file is not what it should be: one line with its name and what is wrong with it."""


class Unfinished(BadRecording):
    """The file was not finished, or was cut: ``mend`` makes it whole as far as it goes."""


class BeingWritten(BadRecording):
    """The file is being recorded to."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file is that has nothing wrong with it."""

    path: str
    sealed: bool
    format: Format
    seconds: float
    octets: int
    """Of the file as it is stored."""
    sha256: str
    """Of the file as it is stored, hexadecimal digits."""


def verify(path: str | Path, keys: MasterKeys | None = None) -> Checked:
    """Look at the whole of a file. ``keys`` open one that is sealed.

    Raises BadRecording; Unfinished when only its end is missing; OSError.
    """
    with open(path, "rb") as file:
        sealed = _is_sealed(file)
        if sealed:
            with _named(path):
                opened = Opened(file, keys or _NO_KEYS)
                form, sound, missing = opened.format, _walk(path, opened), ""
        else:
            form, sound, missing = _wav(path, file)
        if missing or str(path).endswith(PART):
            raise Unfinished(f"{path}: {missing or 'was not finished: it only lacks its name'}")
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        octets = os.fstat(file.fileno()).st_size
    return Checked(str(path), sealed, form, sound / form.frame / form.rate, octets, digest)


def decrypt(path: str | Path, keys: MasterKeys, out: BinaryIO) -> float:
    """Write the sound of a sealed file to ``out`` as WAV; returns its seconds.

    Of a file that was cut, or edited, what comes before is written, and then BadRecording raised. Raises OSError too.
    """
    with open(path, "rb") as file, _named(path):
        if not _is_sealed(file):
            raise BadRecording(f"{path}: is not sealed: it can be played as it is" if _is_wav(file) else _no(path))
        opened = Opened(file, keys)
        # Its length comes first in a WAV file: it is known when all that opens has been opened.
        octets, trouble = 0, None
        try:
            for sound in opened.sound():
                octets += len(sound)
        except SealError as error:
            trouble = error
        if trouble is not None and not octets:
            raise trouble
        out.write(wav_header(opened.format, octets))
        for sound in islice(opened.sound(), opened.chunks):
            out.write(sound)
        if trouble is not None:
            raise trouble
        return octets / opened.format.frame / opened.format.rate


def mend(path: str | Path, keys: MasterKeys | None = None) -> Checked | None:
    """Finish a file that nobody has finished, named with ``.part`` or without; give it its name.

    What is whole already only gets its name. None: no sound is in it, and it is left as it is. Raises BadRecording
    (BeingWritten among it) and OSError; then, too, it is left as it is.
    """
    whole = str(path).removesuffix(PART)
    part = whole + PART
    there = part if os.path.lexists(part) else whole
    if there == part and os.path.lexists(whole):
        raise BadRecording(f"{part}: {whole} is there too: move one of the two away")
    with open(there, "r+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise BeingWritten(f"{there}: is being recorded to") from error
        if os.fstat(file.fileno()).st_size < _SMALLEST_HEADER:
            return None
        heard = _mend_sealed(there, file, keys or _NO_KEYS) if _is_sealed(file) else _mend_wav(there, file)
        if not heard:
            return None
        os.fsync(file.fileno())
        if there == part:
            os.rename(part, whole)
            sync_folder(whole)
    return verify(whole, keys)


def _mend_wav(path: str, file: BinaryIO) -> bool:
    """Have the header say what is there; returns whether that is anything."""
    form, sound, missing = _wav(path, file)
    if missing:
        header = wav_header(form, sound)
        file.truncate(len(header) + sound)
        file.seek(0)
        file.write(header)
        file.flush()
    return sound > 0


def _mend_sealed(path: str, file: BinaryIO, keys: MasterKeys) -> bool:
    """Cut what is no whole chunk, and put a last one behind the others; returns whether there is sound."""
    with _named(path):
        if os.fstat(file.fileno()).st_size < HEADER_SIZE:
            return False
        opened = Opened(file, keys)
        try:
            return _walk(path, opened) > 0
        except Unfinished:
            if not opened.chunks:
                return False
            file.truncate(opened.whole_size())
            file.seek(opened.whole_size())
            file.write(opened.last_chunk())
            file.flush()
            return True


def _walk(path: str | Path, opened: Opened) -> int:
    """The octets of sound in a sealed file. Raises BadRecording, Unfinished."""
    octets = 0
    try:
        for sound in opened.sound():
            octets += len(sound)
    except SealError as error:
        kind = Unfinished if error.at_end else BadRecording
        raise kind(f"{path}: {error}") from None
    return octets


def _wav(path: str | Path, file: BinaryIO) -> tuple[Format, int, str]:
    """The format of a WAV file of ours, the octets of sound that are there, and what is wrong with its end."""
    start = file.read(_LARGEST_HEADER)
    for each in _FORMATS:
        empty = wav_header(each, 0)
        if _without_sizes(each, start[: len(empty)]) != _without_sizes(each, empty):
            continue
        counted = int.from_bytes(start[len(empty) - 4 : len(empty)], "little")
        there = os.fstat(file.fileno()).st_size - len(empty)
        sound = there - there % each.frame
        if there == counted:
            return each, sound, ""
        if there < counted:
            return each, sound, f"is cut: its header counts {counted} octets of sound, and {there} are there"
        return each, sound, f"was not finished: its header counts {counted} octets of sound, and {there} are there"
    raise BadRecording(_no(path))


def _without_sizes(form: Format, header: bytes) -> bytes:
    """What of a WAV header does not change while the file grows."""
    blank = bytearray(header)
    for start in (4, 40) if form.encoding is RecordingEncoding.PCM else (4, 46, 54):
        blank[start : start + 4] = bytes(4)
    return bytes(blank)


def _no(path: str | Path) -> str:
    return f"{path}: is no recording of ours"


def _is_sealed(file: BinaryIO) -> bool:
    start = file.read(len(MAGIC))
    file.seek(0)
    return start == MAGIC


def _is_wav(file: BinaryIO) -> bool:
    start = file.read(4)
    file.seek(0)
    return start == b"RIFF"


@contextmanager
def _named(path: str | Path) -> Iterator[None]:
    """Have what is wrong with a sealed file named with it."""
    try:
        yield
    except SealError as error:
        raise BadRecording(f"{path}: {error}") from None
