"""What a lane did and what people are told of it are one commit: no crash comes between."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from sqlalchemy import text

from justtrades.announce import keeping
from justtrades.notices import Kind
from justtrades.outbox import Outbox
from justtrades.positions.model import Outcome, Verb
from justtrades.store import notifications
from justtrades.store.notifications import TargetRow
from tests.desk.fakes import World, played
from tests.test_notifications import URL, FakeCourier


async def with_a_place(here: World) -> None:
    """An engine whose outbox never runs: as if it died right after each commit."""
    await here.open()
    place = TargetRow("p", "phone", "discord", (Kind.FILL,), True, here.clock())
    await here.database.write(lambda c: notifications.add(c, here.box, place, URL))
    outbox = Outbox(here.database, here.box, FakeCourier(), here.clock)
    await here.database.close()
    here.keeps_news = keeping(outbox.keep_with)
    await here.start()
    await here.ready()


@played(start=False)
async def test_a_fill_is_in_the_outbox_with_the_commit_that_knows_it(here: World) -> None:
    await with_a_place(here)
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    await here.crash()
    await here.open()
    later = here.clock() + timedelta(minutes=1)
    (message,) = await here.database.read(partial(notifications.due, box=here.box, now=later))
    assert "filled" in message.news.lines[0][0]


@played(start=False)
async def test_an_outbox_that_takes_nothing_costs_no_trade(here: World) -> None:
    await with_a_place(here)
    await here.database.write(lambda c: c.execute(text("DROP TABLE outbox")).rowcount)
    assert await here.trade(Verb.BUY) is Outcome.FILLED
    assert await here.trade(Verb.CLOSE) is Outcome.FILLED
    assert here.lane().lane.halted is None
