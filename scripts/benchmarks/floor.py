"""A configuration written for a part: one company, one number, so many agents, with passwords that we know."""

from __future__ import annotations

import math
import os
import wave
from array import array
from dataclasses import dataclass
from pathlib import Path

NUMBER = "+18005550199"
# As the switch would make one: letters and digits by chance.
PASSWORD = "k7wq2mzt9xpc4r"
RATE = 8000
# Long enough for callers who press at once and for those who listen first.
PROMPT_SECONDS = 4.0
MUSIC_SECONDS = 5.0
MENU_HERTZ, MUSIC_HERTZ = 440, 660

SWITCH = """\
sip:
  listen: [{transport: udp, host: "127.0.0.1", port: 0}]
  max_calls: 20000
media: {ports: 20000-59999}
mqtt: {port: 0}
acd: {wrap_up: {mode: none}, max_waiting: 5000}
"""

# What the caller hears until a key is pressed; the key leads straight into the queue, no prompt between.
FLOWS = """\
clients:
  bench: {name: Bench, languages: [en]}
numbers:
  "+18005550199": {client: bench, flow: welcome}
prompts:
  menu: {en: {file: menu.wav}}
music:
  waiting: waiting.wav
calls: {timeout: 20s, music: waiting}
queues:
  sales: {client: bench, requirements: {english: 1}}
flows:
  welcome:
    - menu:
        id: main
        prompt: menu
        choices:
          "1": {intent: sales, then: [{queue: sales}]}
"""

AGENT = """\
  {name}:
    name: Agent {number}
    skills: {{english: {level}, sales: 3}}
    clients: [bench]
"""


@dataclass(frozen=True, slots=True)
class Floor:
    """Where the configuration and the data folder are, and who the agents are."""

    config: Path
    data: Path
    agents: tuple[str, ...]


def write(folder: Path, agents: int) -> Floor:
    """Write both folders under ``folder``."""
    config, data = folder / "config", folder / "data"
    config.mkdir(parents=True)
    data.mkdir(mode=0o700)
    names = tuple(f"agent{number:04d}" for number in range(agents))
    (config / "switch.yaml").write_text(SWITCH)
    (config / "flows.yaml").write_text(FLOWS)
    people = [AGENT.format(name=name, number=at, level=1 + at % 5) for at, name in enumerate(names)]
    (config / "agents.yaml").write_text("agents:\n" + "".join(people))
    _tone(config / "menu.wav", MENU_HERTZ, PROMPT_SECONDS)
    _tone(config / "waiting.wav", MUSIC_HERTZ, MUSIC_SECONDS)
    secrets = data / "credentials.yaml"
    with os.fdopen(os.open(secrets, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(f"nonce_key: {'5a' * 32}\nmonitor: {PASSWORD}\nagents:\n")
        file.writelines(f"  {name}:\n    sip: {PASSWORD}\n    mqtt: {PASSWORD}\n" for name in names)
    return Floor(config, data, names)


def _tone(path: Path, hertz: int, seconds: float) -> None:
    samples = array("h", (round(8000 * math.sin(math.tau * hertz * at / RATE)) for at in range(int(seconds * RATE))))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(samples.tobytes())
