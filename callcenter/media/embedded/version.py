"""Version: whether a worker, started by what is installed now, speaks as the switch does, which was started before."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Final

from callcenter.media.embedded import control
from callcenter.media.embedded.board import FIELDS

OTHER_VERSION: Final = 3
"""The exit status of a worker that speaks otherwise."""

# By what is said to each other, its comments among it, which tell what each message holds: nobody has to remember to
# count a number up.
VERSION: Final = zlib.crc32(Path(control.__file__).read_bytes() + ",".join(FIELDS).encode())
