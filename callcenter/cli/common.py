"""What several verbs share: the options that name a configuration, and how its mistakes are shown."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import stat
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from pydantic_core import PydanticCustomError

from callcenter.config import ConfigError, Problem, Settings, data_folder, load
from callcenter.config.problems import count
from callcenter.config.secrets import MONITOR
from callcenter.config.shape import seconds
from callcenter.control import SOCKET
from callcenter.control.client import ControlClient, ControlError

# What a terminal shows in a line, at the least.
WIDTH = 80


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """``--config``, ``--data``, ``--set``."""
    parser.add_argument("--config", type=Path, metavar="DIR", help="folder of YAML files (default: the shipped one)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder of the database, passwords and sounds")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="PATH=VALUE",
        help="set one value, e.g. sip.realm=x",
    )


def load_or_tell(
    options: argparse.Namespace, overrides: Sequence[str] = (), data: Path | None = None
) -> Settings | None:
    """The settings that the options name; None after its mistakes were shown on standard error."""
    try:
        return load(options.config, [*overrides, *options.overrides], data=data or options.data)
    except ConfigError as error:
        show(error.problems, sys.stderr)
        return None


def add_switch_arguments(parser: argparse.ArgumentParser) -> None:
    """What names a running switch: its socket, or the configuration that it was started with."""
    parser.add_argument("--socket", type=Path, metavar="FILE", help="the control socket, as a trial's line tells it")
    add_config_arguments(parser)


def socket_or_tell(options: argparse.Namespace) -> Path | None:
    """The control socket of the switch that the options name; None after what is wrong was told."""
    if options.socket is not None:
        return Path(options.socket)
    try:
        return data_folder(options.config, options.overrides, data=options.data) / SOCKET
    except ConfigError as error:
        show(error.problems, sys.stderr)
        return None


@contextlib.contextmanager
def told_to_end() -> Iterator[None]:
    """SIGTERM and a closed terminal end what is done here as Ctrl-C does: it is tidied up behind.

    Whoever was started so that the terminal may be closed (``nohup``) goes on.
    """

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    heard = [each for each in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {number: signal.signal(number, leave) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ask_or_tell(options: argparse.Namespace, ask: Callable[[ControlClient, argparse.Namespace], int]) -> int:
    """What is asked of the switch that the options name, and the exit status of that: 1 after it was told why not."""
    path = socket_or_tell(options)
    if path is None:
        return 1
    try:
        with ControlClient(path) as client:
            return ask(client, options)
    except ControlError as error:
        print(f"callcenter: {error}", file=sys.stderr)
        return 1


def password_table(rows: Sequence[tuple[str, str, str, str]], path: str | Path) -> str:
    """New passwords (user, SIP, MQTT, name), told this once; where the journal would keep them, where they are."""
    if _to_the_journal(sys.stdout):
        return f"new passwords of {', '.join(row[0] for row in rows)}: in {path}, and not in the journal"
    told = [("user", "SIP password", "desk and MQTT password", "name")]
    for user, sip, mqtt, name in rows:
        if user == MONITOR:
            told.append((user, "", mqtt, "reads the whole floor"))
        else:
            told.append((user, sip or "(own)", mqtt or "(own)", name))
    head = f"new passwords, shown only now; they are kept in {path}"
    return "\n".join([head, *(f"  {line}" for line in columns(told))])


def _to_the_journal(out: TextIO) -> bool:
    """Whether the service manager logs what is said (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        return "JOURNAL_STREAM" in os.environ and stat.S_ISSOCK(os.fstat(out.fileno()).st_mode)
    except (OSError, ValueError):  # no file behind it
        return False


def duration(text: str) -> float:
    """An option's duration in seconds, as the configuration writes it: ``10m``."""
    try:
        return seconds(text)
    except PydanticCustomError as error:
        hint = (error.context or {}).get("hint", "")
        raise argparse.ArgumentTypeError(f"{error}: {hint}") from None


def moment(at: str | None) -> str:
    """An instant of a record as people read it, to the second; a dash for none."""
    return "-" if at is None else f"{at[:19].replace('T', ' ')} UTC"


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> list[str]:
    """Rows as lines of aligned columns, those in ``right`` to the right."""
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if at in right else cell.ljust(width)
                 for at, (cell, width) in enumerate(zip(row, widths, strict=True))]  # fmt: skip
        lines.append("  ".join(cells).rstrip())
    return lines


def show(problems: Sequence[Problem], out: TextIO) -> None:
    """The problems, each with its line, and how many there are."""
    for problem in problems:
        print(problem.excerpt(), file=out)
    print(count(problems), file=out)
