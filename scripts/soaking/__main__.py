"""The command line of ``./scripts/soak``."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from scripts.soaking.soak import Soak


def main() -> int:
    """Soak, and say what was found."""
    parser = argparse.ArgumentParser(
        prog="./scripts/soak",
        description="Reloads a switch again and again under load, and says what is lost by it.",
    )
    parser.add_argument("--reloads", type=int, default=1000, help="how many; default 1000")
    parser.add_argument("--rate", type=float, default=10.0, help="new calls a second; default 10")
    parser.add_argument("--agents", type=int, default=40, help="how many answer; default 40")
    parser.add_argument("--pause", type=float, default=0.3, help="seconds between two reloads; default 0.3")
    parser.add_argument("--seed", type=int, help="of what is changed. Default: by chance")
    options = parser.parse_args()
    seed = SystemRandom().randrange(10**9) if options.seed is None else options.seed
    with tempfile.TemporaryDirectory(prefix="callcenter-soak-") as folder:
        soak = Soak(
            Path(folder),
            seed=seed,
            reloads=options.reloads,
            rate=options.rate,
            agents=options.agents,
            pause=options.pause,
            say=lambda text: print(text, flush=True),
        )
        asyncio.run(soak.run())
    for finding in soak.found:
        print(f"FOUND: {finding}")
    print(soak.summary())
    print(f"{len(soak.found)} findings." if soak.found else "Nothing found.")
    return 1 if soak.found else 0


if __name__ == "__main__":
    sys.exit(main())
