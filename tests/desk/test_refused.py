"""A login that was refused is tried anew when a person tests it, and only then."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from justtrades.broker.port import ConnectionState
from justtrades.positions.model import ConnectionId
from justtrades.store import connections
from justtrades.store.connections import Token
from tests.broker.tradovate.virtual import settle
from tests.desk.fakes import PAPER, World, played


async def kept(here: World, connection_id: ConnectionId = PAPER) -> Token | None:
    return await here.database.read(lambda c: connections.load_token(c, here.box, connection_id))


async def keep(here: World) -> None:
    word = Token("{}", here.clock() + timedelta(hours=1))
    await here.database.write(lambda c: connections.save_token(c, here.box, PAPER, word))


@played()
async def test_a_test_of_a_refused_login_forgets_the_refusal_and_logs_in_anew(here: World) -> None:
    await keep(here)
    here.broker.state = ConnectionState.REFUSED
    found = await here.desk.test_connection(PAPER)
    assert len(found) == 2
    await settle()
    assert here.broker.runs == ["start", "close", "start"]
    assert await kept(here) is None


@played()
async def test_a_test_of_a_login_that_works_leaves_it_alone(here: World) -> None:
    await keep(here)
    assert len(await here.desk.test_connection(PAPER)) == 2
    assert here.broker.runs == ["start"]
    assert await kept(here) is not None


@played()
async def test_an_engine_without_any_login_goes_on_and_takes_the_next_one(here: World) -> None:
    await here.database.write(lambda c: connections.edit(c, here.box, PAPER, at=here.clock(), enabled=False))
    await here.desk.connections_changed()
    await asyncio.sleep(60)
    assert not here.running.done()
    await here.database.write(lambda c: connections.edit(c, here.box, PAPER, at=here.clock(), enabled=True))
    await here.desk.connections_changed()
    await here.ready()


@played(start=False)
async def test_an_installation_names_one_device_for_good(here: World) -> None:
    await here.open()
    first = await here.database.write(lambda c: connections.device_id(c, here.clock()))
    await here.database.close()
    await here.open()
    assert await here.database.write(lambda c: connections.device_id(c, here.clock())) == first
    await here.database.close()
