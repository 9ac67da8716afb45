"""Somebody saves the configuration of a switch that runs: what is whole comes into force by itself, no more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs
from structlog.typing import EventDict

from callcenter.config import ConfigError, Settings
from callcenter.config.problems import Code, Place, Problem, Source
from callcenter.config.settings import ReloadWhen
from callcenter.model.facts import ConfigReloaded
from callcenter.operate.watch import BY, Watch
from callcenter.signaling.settings import CertificateFiles
from callcenter.simulation.world import World, story
from tests.scenarios.test_reload import here, present, reloader

MISTAKE = Problem(
    Code.NAMES_NOTHING,
    Place(Source("queues.yaml", ("queues:", "  sales: {client: acme}")), 2, 19, 23),
    "queues.sales.client",
    "no client is named `acme`",
)


class Desk:
    """Where an operator edits: a folder whose files say, in a word, what the configuration is."""

    def __init__(self, world: World, folder: Path, when: ReloadWhen = ReloadWhen.ON_CHANGE) -> None:
        self.world = world
        self.folder = folder
        self.loads = 0
        folder.mkdir()
        self.save("queues.yaml", "as it was")
        house = world.house
        sip = replace(house.settings.sip, tls=replace(house.settings.sip.tls, certificates=()))
        house.settings = replace(house.settings, sip=sip, folder=folder)
        self._when = when
        house.settings = self.read()

    def save(self, name: str, text: str) -> None:
        """Write a file as most editors do: another one beside it, put in its place."""
        beside = self.folder / f".{name}.new"
        beside.write_text(text)
        os.replace(beside, self.folder / name)

    def read(self) -> Settings:
        """What stands in the files now; raises ConfigError when one of them says ``wrong``."""
        self.loads += 1
        texts = [path.read_text() for path in sorted(self.folder.glob("*.yaml"))]
        if wrong := [text for text in texts if "wrong" in text]:
            raise ConfigError([replace(MISTAKE, message=f"no client is named `{text}`") for text in wrong])
        settings = present(self.world, written={"queues": {text: {} for text in texts}})
        switch = replace(settings.switch, reload=self._when)
        return replace(settings, folder=self.folder, switch=switch, revision=" + ".join(texts))

    @contextmanager
    def watched(self) -> Iterator[Watch]:
        """Somebody looks at the folder."""
        watch = Watch(reloader(self.world, self.read), lambda: self.world.house.settings, aside=here)
        watch.begin()
        yield watch
        watch.close()

    @property
    def reloads(self) -> list[ConfigReloaded]:
        return [fact.body for fact in self.world.facts if isinstance(fact.body, ConfigReloaded)]


def errors(logged: list[EventDict]) -> list[EventDict]:
    return [entry for entry in logged if entry["log_level"] == "error"]


def test_several_files_saved_one_after_the_other_are_one_reload_that_is_told_before(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        amy = await world.agent("amy", english=5)
        caller = await world.phone("+14155550100")
        await world.connect(caller, amy)
        desk = Desk(world, tmp_path / "config")
        with desk.watched(), capture_logs() as logged:
            await world.sleep(10)
            assert desk.reloads == []
            for number in range(6):
                desk.save(f"file{number}.yaml", f"more {number}")
                await world.sleep(1.5)
            assert desk.reloads == [], "while somebody saves, nothing is loaded"
            await world.sleep(5)
            await world.settled()
        revision = " + ".join([*(f"more {number}" for number in range(6)), "as it was"])
        assert desk.reloads == [ConfigReloaded(revision, BY)]
        words = [(entry["event"], entry.get("change")) for entry in logged]
        before = [("to be reloaded", f"+ queues.more {number}") for number in range(6)]
        assert [each for each in words if each[0] in ("to be reloaded", "reloaded")] == [*before, ("reloaded", None)]
        assert world.hear_each_other(caller, amy), "whoever talked talks on"
        await caller.hangs_up()

    it()


def test_a_file_that_is_wrong_keeps_the_old_one_and_is_told_once_with_its_line(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        desk = Desk(world, tmp_path / "config")
        before = world.house.settings
        with desk.watched(), capture_logs() as logged:
            await world.sleep(1)
            desk.save("queues.yaml", "wrong")
            await world.sleep(60)
            desk.save("more.yaml", "a comment somewhere else")  # and the same mistake is there still
            await world.sleep(60)
            assert world.house.settings is before
            [error] = errors(logged)
            assert error["problems"][0].startswith("queues.yaml:2:19: REF101 queues.sales.client: no client is named")
            assert "the running configuration is untouched" in error["reason"]
            desk.save("queues.yaml", "wrong otherwise")
            await world.sleep(10)
            assert len(errors(logged)) == 2, "another mistake is told too"
            desk.save("queues.yaml", "right")
            await world.sleep(10)
            desk.save("queues.yaml", "wrong")
            await world.sleep(10)
            assert len(errors(logged)) == 3, "and one that came back"
        assert [each.revision for each in desk.reloads] == ["a comment somewhere else + right"]

    it()


def test_saved_files_wait_for_a_word_where_the_operator_wants_to_give_it(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        desk = Desk(world, tmp_path / "config", ReloadWhen.ON_REQUEST)
        with desk.watched():
            loads = desk.loads
            await world.sleep(1)
            desk.save("queues.yaml", "another")
            await world.sleep(60)
        assert (desk.loads, desk.reloads) == (loads, [])

    it()


def test_what_was_reloaded_by_command_already_is_not_reloaded_again(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        desk = Desk(world, tmp_path / "config")
        with desk.watched():
            await world.sleep(1)
            desk.save("queues.yaml", "another")
            await reloader(world, desk.read).reload("olga")
            await world.sleep(60)
            desk.save("queues.yaml", "another")  # saved as it was
            await world.sleep(60)
        assert [each.by for each in desk.reloads] == ["olga"]

    it()


def test_a_certificate_that_is_renewed_under_its_name_is_put_in_force(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        (tmp_path / "fullchain.pem").write_text("old")
        desk = Desk(world, tmp_path / "config")
        tls = replace(world.house.settings.sip.tls, certificates=(CertificateFiles(tmp_path / "fullchain.pem"),))
        world.house.settings = replace(world.house.settings, sip=replace(world.house.settings.sip, tls=tls))
        with desk.watched():
            await world.sleep(5)
            (tmp_path / "fullchain.pem").write_text("renewed")
            await world.sleep(5)
        assert [each.by for each in desk.reloads] == [BY]

    it()


def test_files_saved_while_the_switch_was_starting_are_not_overlooked(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        desk = Desk(world, tmp_path / "config")
        with desk.watched():
            desk.save("queues.yaml", "saved at once")  # before anybody has looked
            await world.sleep(10)
        assert [each.revision for each in desk.reloads] == ["saved at once"]

    it()


def test_a_folder_that_is_gone_for_a_moment_ends_nothing(tmp_path: Path) -> None:
    @story()
    async def it(world: World) -> None:
        desk = Desk(world, tmp_path / "config")
        with desk.watched(), capture_logs() as logged:
            await world.sleep(5)
            (tmp_path / "config").rename(tmp_path / "elsewhere")
            await world.sleep(1.5)
            (tmp_path / "elsewhere").rename(tmp_path / "config")
            await world.sleep(10)
            desk.save("queues.yaml", "after that")
            await world.sleep(10)
        assert errors(logged) == []
        assert [each.revision for each in desk.reloads] == ["after that"]

    it()
