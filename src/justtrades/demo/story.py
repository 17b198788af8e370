"""The whole story: curtain, scenes, table, and the one line that says whether it was true."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Final

from justtrades.demo import books, promises
from justtrades.demo.client import Client, Facts, Failed, Json
from justtrades.demo.play import LOOK_EVERY, PATIENCE, Play, Recorder
from justtrades.demo.promises import Told
from justtrades.demo.scenes import RECORDERS, SCENES, Scene
from justtrades.demo.show import Show

_START: Final = 15.0
"""Seconds until engine and broker must have found each other."""


async def tell(client: Client, show: Show, pace: float) -> bool:
    """Plays every scene; True when all of it was as promised and the books match the broker's."""
    play = await _curtain(client, show, pace)
    told, broken = await _scenes(play)
    found = [*broken, *await _settled(play, told)]
    _table(play, told)
    show.say(_compared_text(await client.ledger()))
    return verdict(show, found)


def verdict(show: Show, found: list[str]) -> bool:
    """Says whether the books match, and where they do not."""
    for sentence in found:
        show.say(f"  {sentence}", "red")
    show.say(f"books match broker: {'no' if found else 'yes'}", "bold red" if found else "bold green")
    return not found


async def _curtain(client: Client, show: Show, pace: float) -> Play:
    account = await _account(client)
    play = Play(client, show, account, pace)
    for rules in RECORDERS:
        made = await client.add_recorder(**rules, routes=[{"account_id": account["id"]}])
        play.recorders[made["name"]] = Recorder(made["name"], made["token"])
    show.say(
        f"Each of its {len(RECORDERS)} recorders trades account {account['name']} and has a webhook of its own.", "dim"
    )
    return play


async def _account(client: Client) -> Json:
    """The paper account, once the engine is ready."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + _START
    while clock() < give_up:
        if await client.ready() and (accounts := await client.items("accounts")):
            return accounts[0]
        await asyncio.sleep(LOOK_EVERY)
    raise Failed(f"the engine was not ready within {_START:.0f} s")


async def _scenes(play: Play) -> tuple[list[Told], list[str]]:
    """What was told, and why it broke off if it did: after a broken scene the next would stand on sand."""
    told: list[Told] = []
    for number, scene in enumerate(SCENES, 1):
        try:
            told.append(await _scene(play, number, scene))
        except Failed as error:
            return told, [f"{scene.title}: {error}"]
    return told, []


async def _scene(play: Play, number: int, scene: Scene) -> Told:
    play.show.scene(number, scene.title, scene.why)
    await play.pause(0.7)
    play.signal_ids = []
    expected = await scene.act(play)
    await play.look()
    await play.pause(0.6)
    return Told(scene.title, tuple(play.signal_ids), expected)


async def _settled(play: Play, told: list[Told]) -> list[str]:
    """What still differs once both sides had time to come to rest."""
    clock = asyncio.get_running_loop().time
    give_up = clock() + PATIENCE
    while True:
        await play.look()
        found = compared(told, play.facts, await play.client.ledger())
        if not found or clock() > give_up:
            return found
        await asyncio.sleep(LOOK_EVERY)


def compared(told: list[Told], facts: Facts, ledger: Json) -> list[str]:
    """Everything that is not as it should be: engine against broker, and each scene against its promise."""
    return [*books.differences(facts, ledger), *(s for one in told for s in promises.unexpected(one, facts))]


def _compared_text(ledger: Json) -> str:
    fees = -sum(Decimal(row["delta"]) for row in ledger["cashBalanceLog"] if row["cashChangeType"] == "Commission")
    return (
        f"Compared with the broker's own ledger: {len(ledger['order'])} orders, {len(ledger['fill'])} fills, "
        f"positions, working orders, P&L and cash. P&L is before fees; the broker took ${fees:.2f}."
    )


def _table(play: Play, told: list[Told]) -> None:
    play.show.blank()
    rows = [(one.title, promises.result_of(one, play.facts)) for one in told]
    play.show.results(rows, promises.total(play.facts))
