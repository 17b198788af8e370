"""The desk beside a database that fails for a while, or keeps what it said it did not keep."""

from __future__ import annotations

import asyncio

import pytest

from justtrades.positions.model import Outcome, Verb
from justtrades.store.session import NotDurable
from tests.desk.fakes import ACCOUNT, MNQ, World, played


@played(start=False)
async def test_a_disk_that_is_full_while_accounts_are_found_does_not_end_the_engine(here: World) -> None:
    await here.start()
    here.database.full = True
    await asyncio.sleep(3)
    assert not here.running.done()
    here.database.full = False
    await here.ready()


@played()
async def test_a_close_that_was_kept_in_spite_of_its_error_is_done_now(here: World) -> None:
    """And not at the next start, when it would close what was opened since."""
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    here.database.unsure = True
    with pytest.raises(NotDurable):
        await here.desk.close(ACCOUNT, MNQ, "somebody")
    here.database.unsure = False
    await here.until(lambda: here.broker.net() == 0)
