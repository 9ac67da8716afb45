"""The measurements of ``scripts/bench``: generators of our own, the switch as a program, one core each.

Nothing here imports ``callcenter``: a generator shares no line with what it measures, and starts it as an operator
does.

| file | what it is |
|---|---|
| ``__main__.py`` | the command line: which parts, how many rounds, the table, the JSON |
| ``part.py`` | the shape of a part: ``Run`` (what it is given), ``Figure`` (what it returns); ``PARTS`` lists them |
| ``machine.py`` | what machine this is, and which core belongs to whom |
| ``floor.py`` | a configuration of so many agents and one number, written for a part |
| ``switch.py`` | the switch: start, ready line, CPU and memory of it and its children, stop |
| ``wire.py`` | UDP on uvloop, SIP messages from templates, read by looking for what is needed |
| ``phones.py`` | callers and agents: SIP and RTP, hundreds of them in one process |
| ``generator.c``, ``generator.py`` | RTP by the thousand, a program in C that is compiled when it is needed |
| ``relays.py`` | what that goes through: ``plane.py``, our media plane as a program, or rtpengine |
| ``tones.py`` | what a telephone sends when it is not silent |
| ``answered.py`` and so on | the parts, a file each |

A part is a function ``measure(run: Run) -> list[Figure]``. It runs on the generator's core already; what it starts
with ``run.start_on_switch_core(command)`` runs on the other. It says how far it is by ``run.say("...")``, takes its
lengths from ``run.pick``, and keeps its files under ``run.folder``. One call of ``measure`` is one round: the command
line takes the median of several.
"""
