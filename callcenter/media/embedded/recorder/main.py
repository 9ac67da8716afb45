"""A recorder: the process beside a media worker that writes what is recorded there. Started with ``python -m``.

It ends when the worker has, after it has finished every file: so it outlives the worker, and the switch, if need be.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import sys
from typing import Final, TypedDict

# The relay goes first where both share a core.
_NICE: Final = 5


class RecorderSettings(TypedDict):
    """The argument of a recorder process, as JSON."""

    control: int
    """Descriptor of the control socket."""
    sound: int
    """Descriptor of the socket by which the worker hands over."""


async def _run(settings: RecorderSettings) -> None:
    from callcenter.media.embedded.recorder.recorder import Recorder

    loop = asyncio.get_running_loop()
    recorder = Recorder(loop, socket.socket(fileno=settings["sound"]))
    transport, _ = await loop.create_unix_connection(lambda: recorder, sock=socket.socket(fileno=settings["control"]))
    await recorder.ended
    transport.close()  # after what was told
    await recorder.closed.wait()


def main() -> None:
    """Record until the worker has ended."""
    os.nice(_NICE)
    os.umask(0o077)
    # As in the worker: when the recording ends, the switch says. A file limit is an error like a full disk.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    settings: RecorderSettings = json.loads(sys.argv[1])
    import uvloop

    import callcenter.media.embedded.recorder.recorder  # noqa: F401 - loaded before what is loaded is frozen

    gc.freeze()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(settings))
    # A thread may hang in a disk that does not answer; all files that could be finished are.
    os._exit(0)


if __name__ == "__main__":
    main()
