"""baresip as an agent's phone with two lines, a program of its own (one stack a process): answers, asks, puts through.

Debian's baresip has no command for an attended transfer; this is a later one, a library. Arguments: the switch's host
and port, user, password, and the tone in Hz that it sends. Each line that it prints is one event: ``registered``,
``taken``, ``asked``, ``put through``, ``not put through: WHY``. Each line that it reads is a command: ``ask WHOM``,
``put through`` (REFER with Replaces, RFC 3891), ``stop``; its end stops it too.
"""

from __future__ import annotations

import asyncio
import sys

from baresip import Account, BaresipError, Call, Config, Runtime, UserAgent


def say(line: str) -> None:
    """Tells the test."""
    print(line, flush=True)


async def take(call: Call, calls: list[Call]) -> None:
    """Answers the call that rings."""
    await call.answer()
    await call.wait_established()
    calls.append(call)
    say("taken")


async def obey(phone: UserAgent, server: str, calls: list[Call]) -> None:
    """Does what it is told, until it is told to stop."""
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        match line.split():
            case ["ask", whom]:
                await calls[0].hold()
                asked = await phone.dial(f"sip:{whom}@{server}")
                await asked.wait_established()
                calls.append(asked)
                say("asked")
            case ["put", "through"]:
                try:
                    await calls[0].attended_transfer(calls[1])
                    say("put through")
                except BaresipError as error:
                    say(f"not put through: {error}")
            case _:
                return


async def main() -> None:
    """Registers and waits for calls."""
    host, port, user, password, hz = sys.argv[1:]
    server, calls, taking = f"{host}:{port}", list[Call](), set[asyncio.Task[None]]()
    runtime = Runtime()
    await runtime.start(Config(net_interface=host, audio_source=f"ausine,{float(hz):.0f}"))
    try:
        phone = await UserAgent.create(runtime, Account(user, server, password))

        def ring(call: Call) -> None:
            taking.add(asyncio.get_running_loop().create_task(take(call, calls)))

        phone.on_incoming(ring)
        await phone.register()
        say("registered")
        await obey(phone, server, calls)
    finally:
        await runtime.close()


if __name__ == "__main__":
    asyncio.run(main())
