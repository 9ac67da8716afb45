"""One floor, two companies: who calls one hears nothing of the other, and agents of both greet in the right name."""

from __future__ import annotations

from dataclasses import replace

from callcenter.acd.events import Reconfigured
from callcenter.calls.settings import (
    Announce,
    Choice,
    Client,
    DialRules,
    Flow,
    Menu,
    Number,
    Prompts,
    QueueTreatment,
    Say,
    ToQueue,
)
from callcenter.media.plane import Clip
from callcenter.model.states import Work
from callcenter.signaling.trunks.settings import Peer, TrunkSettings
from callcenter.simulation import floor
from callcenter.simulation.phone import Phone
from callcenter.simulation.world import AgentPhone, World, story

GREETING = {"en": "Thank you for calling The Tech Giant, {agent} speaking."}
OURS = {"pt-BR": "Casa Lumina, aqui é {agent}."}
TECH = Client("tech", "The Tech Giant", ("en",), GREETING, music="tech-music")
LUMINA = Client("lumina", "Casa Lumina", ("pt-BR",), OURS, music="lumina-music")
TOLD = {
    "tech": Announce("tech-position", first=10.0, every=20.0, most=5, prompts=("tech-patience",)),
    "lumina": Announce("lumina-position", first=10.0, every=20.0, most=5, prompts=("lumina-patience",)),
}
NUMBERS = {"tech": "1000", "lumina": "2000"}
LANGUAGES = {"tech": "en", "lumina": "pt-BR"}


def furnish(world: World) -> None:
    """Each company with a number, a flow, a queue, prompts and a piece of music of its own, which may overflow."""
    plan = world.plan
    queues = {f"{client}-sales": replace(floor.queue(f"{client}-sales"), client=client) for client in NUMBERS}
    world.plan = replace(plan, queues={**queues, "tech-more": replace(queues["tech-sales"], id="tech-more")})
    world.house.dispatcher.tell(Reconfigured(world.plan))
    texts: dict[tuple[str, str], tuple[Clip, ...]] = {}
    for client, language in LANGUAGES.items():
        names = [f"{client}-{name}" for name in ("welcome", "menu", "patience")]
        names += [f"{client}-position/{number}" for number in range(1, 6)]
        texts |= {(name, language): (Clip(f"{name}.{language}", 2.0),) for name in names}
    settings = world.house.services.settings
    spoken = {key: clips for key, clips in settings.prompts.texts.items() if key[0] not in floor.PROMPTS}
    treatments = {name: QueueTreatment(name, f"{queue.client}-music", TOLD[queue.client])
                  for name, queue in world.plan.queues.items()}  # fmt: skip
    world.house.services.settings = replace(
        settings,
        clients={"tech": TECH, "lumina": LUMINA},
        numbers={f"+1800555{dialled}": Number(f"+1800555{dialled}", client, client, (dialled,))
                 for client, dialled in NUMBERS.items()},
        flows={client: _flow(client) for client in NUMBERS},
        treatments=treatments,
        # The other company's piece stands first: who takes any takes the wrong one.
        prompts=Prompts({**spoken, **texts}, {f"{client}-music": (Clip(f"{client}-music", 30.0),)
                                              for client in ("tech", "lumina")}),
    )  # fmt: skip


def _flow(client: str) -> Flow:
    menu = Menu("main", f"{client}-menu", {"1": Choice("sales", then=(ToQueue(f"{client}-sales"),))}, timeout=2.0)
    return Flow(client, (Say(f"{client}-welcome"), menu))


async def works_for(world: World, name: str, *clients: str) -> AgentPhone:
    """An agent who takes the callers of these companies."""
    phone = await world.hire(name, {})
    agent = replace(world.plan.agents[name], clients=frozenset(clients))
    world.plan = floor.with_agent(world.plan, agent)
    world.house.dispatcher.tell(Reconfigured(world.plan))
    await phone.register(name, f"secret of {name}")
    await world.settled()
    return phone


async def calls(world: World, number: str, client: str) -> Phone:
    phone = await world.phone(number)
    await phone.dial(NUMBERS[client])
    return phone


async def listen(world: World, phones: list[Phone], seconds: float) -> dict[str, set[str]]:
    """All that each phone hears."""
    heard: dict[str, set[str]] = {phone.name: set() for phone in phones}
    for _ in range(round(seconds / 0.1)):
        for phone in phones:
            heard[phone.name] |= set(phone.heard_now())
        await world.sleep(0.1)
    return heard


@story()
async def test_a_caller_to_one_company_never_hears_the_music_or_a_prompt_of_another(world: World) -> None:
    """From the first word to the last: the menu, the line with its announcements, and on hold in the talk."""
    furnish(world)
    one, other = await calls(world, "+14155550101", "tech"), await calls(world, "+14155550102", "lumina")
    heard = await listen(world, [one, other], 3)
    for phone in (one, other):
        await phone.press("1")
    waiting = await listen(world, [one, other], 90)
    amy = await works_for(world, "amy", "tech", "lumina")
    await amy.rings()
    await amy.answers()
    await amy.hold()
    held = await listen(world, [one, other], 10)
    for client, phone in (("tech", one), ("lumina", other)):
        all_of_it = heard[phone.name] | waiting[phone.name] | held[phone.name]
        clips = {sound for sound in all_of_it if sound != "amy"}
        assert {sound.partition("-")[0] for sound in clips} == {client}
        assert {f"{client}-music", f"{client}-menu.{LANGUAGES[client]}"} <= clips
        assert any("position" in sound for sound in clips)
        assert any("patience" in sound for sound in clips)
    assert held[one.name] == {"tech-music"}
    await one.hangs_up()
    await other.hangs_up()


@story()
async def test_an_agent_of_several_companies_is_told_before_each_call_in_whose_name_to_greet(world: World) -> None:
    furnish(world)
    amy = await works_for(world, "amy", "tech", "lumina")
    for client, number in (("lumina", "+14155550101"), ("tech", "+14155550102"), ("lumina", "+14155550103")):
        caller = await calls(world, number, client)
        await caller.press("1")
        ringing = await amy.rings(within=60)
        pop = await amy.screen_pop()
        company = {"tech": TECH, "lumina": LUMINA}[client]
        greeting = company.greeting_for(LANGUAGES[client], "Amy")
        assert pop["client"] == {"id": client, "name": company.name, "greeting": greeting}
        assert ringing.caller_name == company.name, "the phone shows for whom to answer"
        await amy.answers()
        await caller.hears(amy)
        await caller.hangs_up()
        await amy.is_hung_up()


@story()
async def test_an_agent_of_one_company_alone_is_never_offered_a_caller_of_another(world: World) -> None:
    furnish(world)
    amy = await works_for(world, "amy", "tech")
    caller = await calls(world, "+14155550101", "lumina")
    await caller.press("1")
    await amy.rings_not()
    ours = await calls(world, "+14155550102", "tech")
    await ours.press("1")
    await amy.rings()
    await amy.answers()
    assert world.hear_each_other(ours, amy)
    assert caller.heard_now() == ("lumina-music",)
    await ours.hangs_up()
    await caller.hangs_up()


@story()
async def test_a_place_in_one_companys_line_is_none_in_anothers(world: World) -> None:
    """The same person calls both; who hung up on one is no earlier with the other."""
    furnish(world)
    caller, rival = await calls(world, "+14155550101", "tech"), await calls(world, "+14155550102", "lumina")
    for phone in (caller, rival):
        await phone.press("1")
        await phone.hears("music")
    await world.sleep(20)
    await caller.hangs_up()
    await caller.dial(NUMBERS["lumina"])
    await caller.press("1")
    await caller.hears("lumina-music")
    await world.settled()
    calls_up = world.house.supervisor.calls
    line = [calls_up[ticket.call_id].from_number for ticket in world.house.acd.waiting("lumina-sales")]
    assert line == [rival.name, caller.name]
    await caller.hangs_up()
    await rival.hangs_up()


@story()
async def test_a_caller_cannot_be_handed_to_another_companys_queue_number_or_agent(world: World) -> None:
    """By mistake an agent of both presses the other company's key: the caller stays, and hears nothing of it."""
    furnish(world)
    world.permit(amy=DialRules(agents=True, queues=True))
    amy = await works_for(world, "amy", "tech", "lumina")
    await works_for(world, "bob", "lumina")
    caller = await calls(world, "+14155550101", "tech")
    await caller.press("1")
    await amy.rings()
    await amy.answers()
    for target in ("lumina-sales", "2000", "bob"):
        told = amy.transfers(target)
        await world.settled()
        assert told == [403]
        assert world.hear_each_other(caller, amy)
    await caller.hangs_up()


@story()
async def test_a_customer_whom_an_agent_calls_in_one_companys_name_is_not_held_to_the_music_of_another(
    world: World,
) -> None:
    furnish(world)
    amy = await works_for(world, "amy", "lumina", "tech")
    outside = await world.phone("+551100000151")
    world.house.trunks.reconfigure(
        {"carrier": TrunkSettings("carrier", (Peer(outside.host.address),), qualify=None)}, {}
    )
    services = world.house.services
    clients = {name: floor.calling_out(client, ["carrier"]) for name, client in services.settings.clients.items()}
    services.settings = replace(
        services.settings,
        clients=clients,
        may_dial={"amy": DialRules(outside=("+",))},
        home_clients={"amy": "lumina"},
    )
    amy.starts_dialling("+551100000151")
    await outside.rings()
    await outside.answers()
    await outside.hears(amy)
    await amy.hold()
    await outside.hears("lumina-music")
    view = world.house.acd.agent("amy")
    assert view is not None
    assert view.work is Work.OUTBOUND
    await outside.hangs_up()
    await amy.is_hung_up()
