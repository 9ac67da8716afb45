"""Tries inputs that chance makes until the time is up, and prints each new finding with the seed that made it."""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import SystemRandom

from tests.unit.sip.fuzzing.targets import TARGETS, try_one

# Inputs of one target in a row, before the next has its turn.
TURN = 50
# Findings that are shown; past them the same mistake is most likely met by many ways.
SHOWN = 20


@dataclass(slots=True)
class Campaign:
    """What was tried so far, and what was found: the first seed of each place in the code that complained."""

    first: int
    targets: list[str]
    tried: dict[str, int] = field(default_factory=dict)
    found: dict[tuple[str, ...], tuple[str, int]] = field(default_factory=dict)

    def run(self, minutes: float, inputs: int) -> None:
        """Try ``inputs`` of each target, or for so many ``minutes``."""
        end = time.monotonic() + 60 * minutes
        for turn in count():
            for target in self.targets:
                for nth in range(turn * TURN, (turn + 1) * TURN):
                    if nth >= inputs or time.monotonic() >= end or len(self.found) >= SHOWN:
                        break
                    self._try(target, self.first + nth)
            if (turn + 1) * TURN >= inputs or time.monotonic() >= end or len(self.found) >= SHOWN:
                return

    def _try(self, target: str, seed: int) -> None:
        self.tried[target] = self.tried.get(target, 0) + 1
        try:
            try_one(target, seed)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            at = traceback.extract_tb(error.__traceback__)[-1]
            place = target, type(error).__name__, at.filename, str(at.lineno)
            if place in self.found:
                return
            self.found[place] = target, seed
            said = " ".join(str(error).split())[:300]
            print(f"\n{target} {seed}: {type(error).__name__} in {Path(at.filename).name}:{at.lineno}: {said}")
            print(f"  again: ./scripts/fuzz --target {target} --seed {seed} --inputs 1")
            if self.first == seed:
                traceback.print_exception(error)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="./scripts/fuzz",
        description="Feeds the SIP core with messages that are wrong, by chance from a seed, and says what gives way.",
        epilog="Targets: " + "; ".join(f"{name}: {(try_it.__doc__ or '').strip()}" for name, try_it in TARGETS.items()),
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="how long; default 10")
    parser.add_argument("--inputs", type=int, default=sys.maxsize, help="of each target, at most")
    parser.add_argument("--seed", type=int, help="of the first input; the next has the next. Default: by chance")
    parser.add_argument("--target", action="append", choices=list(TARGETS), help="may be said again; default: all")
    options = parser.parse_args()
    first = SystemRandom().randrange(10**9) if options.seed is None else options.seed
    campaign = Campaign(first, options.target or list(TARGETS))
    began = time.monotonic()
    try:
        campaign.run(options.minutes, options.inputs)
    except KeyboardInterrupt:
        print()
    told = ", ".join(f"{tried:,} of {target}" for target, tried in campaign.tried.items())
    print(f"{sum(campaign.tried.values()):,} inputs from seed {first} in {time.monotonic() - began:.0f} s: {told}.")
    print(f"{len(campaign.found)} findings." if campaign.found else "Nothing found.")
    return 1 if campaign.found else 0


if __name__ == "__main__":
    sys.exit(main())
