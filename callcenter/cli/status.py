"""``callcenter status``: what the running switch does now; ``--watch`` keeps it on the screen."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from callcenter.calls.recordings import size
from callcenter.cli.common import WIDTH, add_switch_arguments, ask_or_tell, columns
from callcenter.config.problems import many
from callcenter.control.client import ControlClient, NoSwitch
from callcenter.observe import mask_number, printable

EVERY = 1.0
# Of a slug or a stage the beginning tells most; longer ones would break the lines of a terminal.
LONGEST_NAME = 24
LONGEST_STAGE = 29

_ONE_WAY = {
    "stopped": "sound came from there, and comes no more",
    "unheard": "the phone reports that nothing of ours comes to it",
    "unreported": "the phone does not report any more what comes to it",
}

Row: TypeAlias = tuple[str, ...]
State: TypeAlias = Mapping[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``status``."""
    add_switch_arguments(parser)
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="everything there is, as one JSON object")
    form.add_argument("--watch", action="store_true", help="look again each second, until Ctrl-C")
    parser.add_argument("--numbers", action="store_true", help="callers' numbers in full")


def run(options: argparse.Namespace) -> int:
    """Look, and show it; exit status 1 when no switch runs."""
    return ask_or_tell(options, _ask)


def _ask(client: ControlClient, options: argparse.Namespace) -> int:
    if options.watch:
        return watch(client, numbers=options.numbers)
    state = client.ask("status")
    if options.json:
        print(json.dumps(masked(state, numbers=options.numbers), ensure_ascii=False))
    else:
        print("\n".join(lines(masked(state, numbers=options.numbers))))
    return 0


def watch(client: ControlClient, *, numbers: bool) -> int:
    """Show it each second, also over a restart of the switch; the first look must find one."""
    client.ask("health")
    terminal = sys.stdout.isatty()
    try:
        while True:
            try:
                shown = lines(masked(client.ask("status"), numbers=numbers))
            except NoSwitch as error:
                shown = [f"{error}: waiting for the next one"]
            frame(shown, terminal=terminal)
            time.sleep(EVERY)
    except KeyboardInterrupt:
        return 0


def frame(shown: Sequence[str], *, terminal: bool) -> None:
    """One picture: on a terminal in place of the one before, and no longer than the screen."""
    if not terminal:
        print("\n".join(shown), end="\n\n", flush=True)
        return
    size = shutil.get_terminal_size((WIDTH, 24))
    room = size.lines - 1
    if len(shown) > room:
        shown = [*shown[: room - 1], f"... {many(len(shown) - room + 1, 'line')} more: make the window higher"]
    # From the top, each line up to its end, then all below it: nothing flickers.
    told = "".join(f"{line[: size.columns]}\x1b[K\n" for line in shown)
    print(f"\x1b[H{told}\x1b[J", end="", flush=True)


def masked(state: State, *, numbers: bool) -> dict[str, Any]:
    """The state with callers' numbers masked as in the log, unless they are wanted."""
    if numbers:
        return dict(state)
    calls = [
        {**call, "from": mask_number(call["from"]), "stage": _without_numbers(call["stage"])} for call in state["calls"]
    ]
    callbacks = [
        {**each, "number": mask_number(each["number"]), "stage": _without_numbers(each["stage"])}
        for each in state.get("callbacks", ())
    ]
    return {**state, "calls": calls, "callbacks": callbacks}


def _without_numbers(stage: str) -> str:
    """A stage may name whom we dial: `calling back +14155550100`."""
    return " ".join(mask_number(word) if word.startswith("+") else word for word in stage.split(" "))


# ---------------------------------------------------------------------------------------------------------- lines


def lines(state: State) -> list[str]:
    """What an operator reads, in 80 columns where names are of a usual length."""
    parts = (
        *(_head, _calls, _sound, _supervisions, _callbacks, _queues, _agents, _trunks),
        *(_media, _recordings, _parts, _certificates),
    )
    return [printable(line) for part in parts for line in part(state)]


def _head(state: State) -> Iterator[str]:
    config, drain = state["config"], state["drain"]
    yield (
        f"callcenter {state['version']} {state['node']}: {state['phase']}, up {clock(state['uptime_s'])},"
        f" config {config['revision']}, pid {state['pid']}"
    )
    if drain is not None:
        left = "every call has ended" if drain["empty"] else f"{clock(drain['left_s'])} left"
        then = "then the switch ends" if drain["then_end"] else "callcenter drain --cancel takes calls again"
        yield f"draining by {drain['by']}, {left}; {then}"
    if config["at_next_start"]:
        yield f"in force at the next start only: {_short(', '.join(config['at_next_start']), 46)}"


def _calls(state: State) -> Iterator[str]:
    calls = state["calls"]
    yield from _title("CALLS", state["calls_up"])
    if calls:
        rows: list[Row] = [("CALL", "FROM", "CLIENT", "STAGE", "SINCE", "W", "MOS")]
        rows += map(_call, calls)
        yield from _table(rows, right=(4, 6))
    if state["calls_up"] > len(calls):
        yield f"  ... and {state['calls_up'] - len(calls)} more"


def _supervisions(state: State) -> Iterator[str]:
    supervisions = state.get("supervisions", [])  # an older switch has none
    if not supervisions:
        return
    yield from _title("SUPERVISION", len(supervisions))
    rows: list[Row] = [("SUPERVISOR", "AGENT", "MODE", "CALL", "SINCE")]
    for each in supervisions:
        call = each["call"][-6:] if each["call"] else "-"
        names = (_short(each[name], LONGEST_NAME) for name in ("supervisor", "agent"))
        rows.append((*names, each["mode"], call, clock(each["since_s"])))
    yield from _table(rows, right=(4,))


def _sound(state: State) -> Iterator[str]:
    """The sides of calls that sound bad, or are heard one way only."""
    legs = state.get("sound", [])  # an older switch has none
    if not legs:
        return
    yield from _title("BAD SOUND", len(legs), ", the worst first: as it comes from there, and as it arrives there")
    rows: list[Row] = [("CALL", "SIDE", "CODEC", "MOS", "LOST", "JITTER", "MOS", "LOST", "ROUND TRIP")]
    rows += map(_leg, legs)
    yield from _table(rows, right=(3, 4, 5, 6, 7, 8))
    for leg in legs:
        for words in _one_way(leg):
            yield from _more(f"{leg['call'][-6:]}, {leg['who']}: {words}")


def _leg(leg: State) -> Row:
    return (
        leg["call"][-6:],
        _short(leg["agent"] or leg["trunk"] or leg["who"], 16),
        leg["codec"] or "-",
        _mos(leg["mos"]),
        f"{leg['loss']:.1%}",
        f"{leg['jitter_ms']:.0f} ms",
        _mos(leg["remote_mos"]),
        "-" if leg["remote_loss"] is None else f"{leg['remote_loss']:.1%}",
        "-" if leg["round_trip_ms"] is None else f"{leg['round_trip_ms']:.0f} ms",
    )


def _one_way(leg: State) -> Iterator[str]:
    if leg["missing"]:
        yield "nothing has come from there at all"
    for kind in leg["one_way"]:
        yield _ONE_WAY.get(kind, kind)


def _mos(mos: float | None) -> str:
    return "-" if mos is None else f"{mos:.1f}"


def _callbacks(state: State) -> Iterator[str]:
    callbacks, pending = state.get("callbacks", []), state.get("callbacks_pending", 0)  # an older switch has none
    if not pending:
        return
    yield from _title("CALLBACKS", pending)
    rows: list[Row] = [("NUMBER", "QUEUE", "STAGE", "IN LINE", "TRIES")]
    rows += map(_callback, callbacks)
    yield from _table(rows, right=(3, 4))
    if pending > len(callbacks):
        yield f"  ... and {pending - len(callbacks)} more"


def _queues(state: State) -> Iterator[str]:
    queues = state["queues"]
    yield from _title("QUEUES", len(queues))
    rows: list[Row] = [("QUEUE", "WAITING", "LONGEST", "TALKING", "READY", "SIGNED IN")]
    rows += map(_queue, queues)
    yield from _table(rows, right=(1, 2, 3, 4, 5))
    today = [queue for queue in queues if queue.get("offered")]  # an older switch has none
    if today:
        yield from _title("TODAY", sum(queue["offered"] for queue in today), " offered")
        rows = [("QUEUE", "OFFERED", "ANSWERED", "ABANDONED", "SL", "ASA", "AGENTS")]
        rows += map(_today, today)
        yield from _table(rows, right=(1, 2, 3, 4, 5))


def _agents(state: State) -> Iterator[str]:
    agents = state["agents"]
    yield from _title("AGENTS", len(agents), f", {sum(agent['available'] for agent in agents)} free")
    rows: list[Row] = [("AGENT", "CHOSEN", "WORK", "PHONE", "SINCE", "CALL")]
    rows += map(_agent, agents)
    yield from _table(rows, right=(4,))


def _trunks(state: State) -> Iterator[str]:
    trunks = state.get("trunks", [])  # an older switch has none
    if not trunks:
        return
    yield from _title("TRUNKS", len(trunks), f", {sum(trunk['up'] is not False for trunk in trunks)} to call by")
    rows: list[Row] = [("TRUNK", "STATE", "CALLS", "CAME", "TRIED", "ANSWERED", "FAILED")]
    for trunk in trunks:
        calls = f"{trunk['calls']} of {trunk['max_calls']}"
        counts = tuple(str(trunk[name]) for name in ("received", "tried", "answered", "failed"))
        rows.append((_short(trunk["trunk"], LONGEST_NAME), _up(trunk["up"]), calls, *counts))
    yield from _table(rows, right=(2, 3, 4, 5, 6))
    for trunk in trunks:
        if trunk["up"] is False:
            yield from _more(f"{trunk['trunk']}: {trunk['detail']}")
        if trunk.get("sounds_bad"):  # an older switch does not judge
            yield from _more(f"{trunk['trunk']} SOUNDS BAD: {trunk['sounds_bad']}")


def _media(state: State) -> Iterator[str]:
    media = state["media"]
    yield from _title("MEDIA WORKERS", len(media["workers"]), f", {media['sessions']} of {media['capacity']} sessions")
    yield from _table(worker_rows(media), right=(1, 2, 3, 4, 5, 6))
    yield f"CODECS    {', '.join(media['codecs'])}"
    for name, remedy in media["codecs_left_out"].items():
        yield from _more(f"{name} is left out, its library is not here: {remedy}")


def worker_rows(media: State) -> list[Row]:
    """The workers that carry sound, under the names of the columns."""
    rows: list[Row] = [("WORKER", "PROCESS", "LOAD", "SESSIONS", "RESTARTS", "LATE", "MEMORY", "")]
    for worker in media["workers"]:
        if worker["alive"]:
            load, late = f"{worker['load']:.0%}", f"{worker['late_ms']:.1f} ms"
        else:
            load, late = "is being replaced", "-"
        memory = worker.get("memory")  # an older switch does not tell
        rows.append(
            (
                str(worker["worker"]),
                str(worker["pid"] or "-"),
                load,
                str(worker["sessions"]),
                str(worker["restarts"]),
                late,
                f"{memory >> 20} MB" if memory else "-",
                "leaves" if worker.get("retiring") else "drained" if worker.get("draining") else "",
            )
        )
    return rows


def _recordings(state: State) -> Iterator[str]:
    recordings = state.get("recordings")  # an older switch has none
    if recordings is None or not recordings["on"]:
        return
    yield ""
    paused = f", {recordings['paused']} paused" if recordings["paused"] else ""
    sealed = f"encrypted under the key {recordings['key']}" if recordings["key"] else "not encrypted"
    yield f"RECORDING {many(recordings['recording'], 'talk')}{paused}; {sealed}"
    if recordings["free"] is not None:
        room = f"{size(recordings['free'])} of {size(recordings['total'])} free, {size(recordings['wanted'])} must be"
        yield from _more(f"{room}; {recordings['directory']}")
    if not recordings["enough"]:
        yield from _more(f"NO ROOM, nothing is recorded: {recordings['detail']}")
    if (failure := recordings["last_failure"]) is not None:
        when = failure["at"][:16].replace("T", " ")
        told = f"{many(recordings['failures'], 'failure')}, the last at {when} UTC in call {failure['call'][-6:]}"
        yield from _more(f"{told}: {_word(failure['reason'])}, {failure['detail']}")


def _parts(state: State) -> Iterator[str]:
    broker, database, sip = state["broker"], state["database"], state["sip"]
    yield ""
    link = "connected" if broker["connected"] else "not connected"
    yield f"BROKER    {link}; {many(broker['waiting'], 'fact')} waiting, {many(broker['pops_sent'], 'pop')} sent"
    if not broker["connected"]:
        yield from _more(broker["detail"])
    health, lost = "well" if database["healthy"] else "FAILS", f", {database['lost']} LOST" if database["lost"] else ""
    yield f"DATABASE  {health}; {many(database['facts'], 'fact')}, {database['waiting']} waiting{lost}"
    if not database["healthy"]:
        yield from _more(database["detail"])
    if (desk := state.get("desk")) is not None:
        again = f", started {many(desk['starts'], 'time')}" if desk["starts"] > 1 else ""
        yield f"DESK      {'serves' if desk['running'] else 'DOES NOT RUN'}; {desk['url']}{again}"
        if not desk["running"]:
            yield from _more(desk["detail"])
    phones, transactions = many(sip["registrations"], "phone"), many(sip["transactions"], "transaction")
    yield f"SIP       {phones} registered, {transactions}"
    repeated, guard = sip["repeated_by_us"], sip["guard"]
    peers = f"{sip['repeated_by_peers']} by peers, {sip['unreadable']} unreadable"
    yield f"{'':10}{many(repeated, 'message')} repeated by us, {peers}"
    if guard["over_rate"] or guard["banned"]:
        yield f"{'':10}{guard['over_rate']} over their rate and {guard['banned']} of banned sources not taken"
    if guard["bans"]:
        yield from _more(f"{many(guard['bans_now'], 'source')} banned: {', '.join(guard['bans'])}")
    # Broken between the listeners, not within one.
    listeners = ", ".join(listener.replace(" ", "\N{NO-BREAK SPACE}") for listener in sip["listeners"])
    yield from (line.replace("\N{NO-BREAK SPACE}", " ") for line in _more(listeners))


def _certificates(state: State) -> Iterator[str]:
    certificates = state.get("certificates", [])  # an older switch tells of none
    for number, shown in enumerate(certificates):
        made = "self-made, " if shown["self_made"] else ""
        names = ", ".join(shown["names"]) or "nobody"
        left = f"{many(shown['days_left'], 'day')} left" if shown["days_left"] >= 0 else "EXPIRED"
        first, *others = textwrap.wrap(f"{made}until {shown['until'][:10]}, {left}; for {names}", WIDTH - 10)
        yield f"{'TLS' if not number else '':10}{first}"
        yield from (f"{'':10}{line}" for line in others)
        yield from _more(f"{shown['subject']}, {shown['file']}")
        if shown["due"]:
            again = "the next start makes another" if shown["self_made"] else "renew it, then callcenter reload"
            yield from _more(f"WARNING: peers refuse it from {shown['until'][:10]} on: {again}")


def _more(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=" " * 10, subsequent_indent=" " * 10)


def _call(call: State) -> Row:
    stage = call["stage"]
    if call["agent"] is not None and call["agent"] not in stage.split():
        stage = f"{stage.split()[0]}, rings {call['agent']}"
    return (
        call["id"][-6:],
        _short(call["from"], 16),
        _short(call["client"], 14),
        _short(stage, LONGEST_STAGE),
        clock(call["since_s"]),
        "-" if call["worker"] is None else str(call["worker"]),
        _mos(call.get("mos")),  # an older switch tells none
    )


def _callback(callback: State) -> Row:
    # While they are dialled the next attempt is due already, should this one fail.
    due = callback["due_s"] if callback["call"] is None else 0
    stage = f"again in {clock(due)}" if due else callback["stage"]
    return (
        _short(callback["number"], 16),
        _short(callback["queue"], LONGEST_NAME),
        _short(stage, LONGEST_STAGE),
        clock(callback["since_s"]),
        str(callback["attempts"]),
    )


def _queue(queue: State) -> Row:
    return (
        _short(queue["queue"], LONGEST_NAME),
        str(queue["waiting"]),
        "-" if queue["longest_s"] is None else clock(queue["longest_s"]),
        str(queue["talking"]),
        str(queue["ready"]),
        str(queue["signed_in"]),
    )


def _today(queue: State) -> Row:
    level, asa = queue["service_level"], queue["asa_s"]
    return (
        _short(queue["queue"], LONGEST_NAME),
        str(queue["offered"]),
        str(queue["answered"]),
        str(queue["abandoned"]),
        "-" if level is None else f"{level:.1%}",
        "-" if asa is None else clock(asa),
        _short(", ".join(f"{number} {_word(part)}" for part, number in queue["agents"].items()) or "-", 28),
    )


def _agent(agent: State) -> Row:
    return (
        _short(agent["agent"], 16),
        _short(_chosen(agent), LONGEST_STAGE),
        _work(agent),
        _word(agent["device"]),
        clock(agent["since_s"]),
        agent["call"][-6:] if agent["call"] else "-",
    )


def _chosen(agent: State) -> str:
    chosen = _word(agent["chosen"]) + (f": {agent['reason']}" if agent["reason"] else "")
    chosen += " (too long)" if agent.get("break_over") else ""
    if agent["next"] is None:
        return chosen
    return f"{chosen} -> {_word(agent['next'])}" + (f": {agent['next_reason']}" if agent["next_reason"] else "")


def _work(agent: State) -> str:
    work = _word(agent["work"])
    if agent["left_s"] is None:
        return work
    return f"{'pausing' if agent['work'] == 'idle' else work} {clock(agent['left_s'])}"


def _title(name: str, number: int, more: str = "") -> Iterator[str]:
    yield ""
    yield f"{name} {number}{more}"


def _table(rows: Sequence[Row], right: Sequence[int]) -> Iterator[str]:
    for line in columns(rows, right):
        yield f"  {line}"


def _up(up: bool | None) -> str:
    return "not known yet" if up is None else "up" if up else "down"


def _word(value: str) -> str:
    return value.replace("_", " ")


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def clock(seconds: float) -> str:
    """``0:07``, ``2:41``, ``1:02:41``, ``3d 1:02:41``."""
    minutes, second = divmod(int(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    day = f"{days}d " if days else ""
    return f"{day}{hour}:{minute:02}:{second:02}" if hours else f"{minute}:{second:02}"
