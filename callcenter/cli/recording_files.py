"""What ``callcenter recordings`` does with files, without the switch: check, decrypt, finish."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from callcenter.cli.common import add_config_arguments, load_or_tell
from callcenter.config.secrets import SecretsError, open_recording_keys
from callcenter.media.embedded.recorder.files import PART, SEALED, WAV
from callcenter.media.embedded.recorder.keys import ENVIRONMENT, BadKeys, MasterKeys, keys_of_environment, read_keys
from callcenter.media.embedded.recorder.mending import BadRecording, Checked, decrypt, mend, verify
from callcenter.runtime.private_file import NotPrivate

STDOUT = "-"


ACTIONS = ("verify", "decrypt", "mend")


class _Refused(Exception):
    """It cannot be done: one line."""


def add_actions(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The actions on files, each with its options."""
    keys = argparse.ArgumentParser(add_help=False)
    keys.add_argument(
        "--keys",
        type=Path,
        metavar="FILE",
        help=f"private file of the master keys, one a line (default: those in {ENVIRONMENT}, else the configured ones)",
    )
    add_config_arguments(keys)
    about = "read whole files: is all of each there, and as it was written?"
    checked = actions.add_parser("verify", parents=[keys], help=about, description=f"{about[0].upper()}{about[1:]}")
    checked.add_argument("files", nargs="+", metavar="FILE")
    checked.add_argument("--sha256", metavar="DIGEST", help="what the (one) file should add up to, as in the index")
    about = "write a sealed file as WAV"
    opened = actions.add_parser("decrypt", parents=[keys], help=about, description=f"{about[0].upper()}{about[1:]}.")
    opened.add_argument("file", metavar="FILE")
    opened.add_argument(
        "-o", "--output", metavar="FILE", help=f"where to ({STDOUT}: standard output; default: FILE as {WAV})"
    )
    about = "finish files that a crash has left (FILE.part), as far as they go"
    mended = actions.add_parser("mend", parents=[keys], help=about, description=f"{about[0].upper()}{about[1:]}.")
    mended.add_argument("files", nargs="+", metavar="FILE")


def run(options: argparse.Namespace) -> int:
    """Do it; returns the exit status: 0 when nothing was wrong with any file."""
    try:
        keys = _keys(options, [options.file] if options.what == "decrypt" else options.files)
        if options.what == "decrypt":
            return _decrypt(options.file, options.output, keys)
        if options.what == "mend":
            return _each(options.files, lambda file: _mend(file, keys))
        if options.sha256 is not None and len(options.files) > 1:
            raise _Refused("--sha256 is of one file: name no other")
        return _each(options.files, lambda file: _verify(file, keys, options.sha256))
    except _Refused as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1


def _keys(options: argparse.Namespace, files: list[str]) -> MasterKeys:
    """The keys as they are given; the configured ones only if a file needs any."""
    try:
        keys = read_keys(options.keys) if options.keys is not None else keys_of_environment()
        if keys is None and any(map(_is_sealed, files)):
            settings = load_or_tell(options)
            if settings is None:
                raise _Refused("the configuration tells no keys: name their file by --keys")
            keys = open_recording_keys(settings.calls.recording.key)
    except (BadKeys, NotPrivate, SecretsError) as error:
        raise _Refused(str(error)) from error
    except OSError as error:
        raise _Refused(f"{options.keys}: cannot be read: {error.strerror}") from error
    return keys if keys is not None else MasterKeys(())


def _is_sealed(file: str) -> bool:
    return file.removesuffix(PART).endswith(SEALED)


def _each(files: list[str], work: Callable[[str], None]) -> int:
    status = 0
    for file in files:
        try:
            with _told(file):
                work(file)
        except _Refused as error:
            print(f"callcenter: {error}", file=sys.stderr)
            status = 1
    return status


@contextlib.contextmanager
def _told(file: str) -> Iterator[None]:
    try:
        yield
    except BadRecording as error:
        raise _Refused(str(error)) from error
    except OSError as error:
        raise _Refused(f"{error.filename or file}: {error.strerror or error}") from error


def _verify(file: str, keys: MasterKeys, sha256: str | None) -> None:
    checked = verify(file, keys)
    if sha256 is not None and sha256.strip().lower() != checked.sha256:
        raise _Refused(f"{file}: adds up to {checked.sha256}, not to {sha256}: it is not the file that was written")
    print(f"{file}: whole, {_in_words(checked)}")
    print(f"  sha256 {checked.sha256}")


def _mend(file: str, keys: MasterKeys) -> None:
    mended = mend(file, keys)
    if mended is None:
        raise _Refused(f"{file}: no sound is in it: delete it")
    print(f"{mended.path}: finished, {_in_words(mended)}")
    print(f"  sha256 {mended.sha256}")


def _in_words(checked: Checked) -> str:
    sealed = "sealed, " if checked.sealed else ""
    return f"{sealed}{checked.format.encoding.upper()} at {checked.format.rate} Hz, {checked.seconds:.2f} s"


def _decrypt(file: str, output: str | None, keys: MasterKeys) -> int:
    if output is None:
        output = file.removesuffix(PART)
        output = output.removesuffix(SEALED) + WAV if output.endswith(SEALED) else file
        if output == file:
            raise _Refused(f"{file}: say where to: --output FILE")
    with _told(file), _opened(output) as out:
        seconds = decrypt(file, keys, out)
    if output != STDOUT:
        print(f"{output}: {seconds:.2f} s")
    return 0


@contextlib.contextmanager
def _opened(output: str) -> Iterator[BinaryIO]:
    """Where sound goes, readable for its owner alone. What is empty when an error comes is not left."""
    if output == STDOUT:
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        try:
            yield out
        except BaseException:
            if not out.tell():
                os.unlink(output)
            raise
