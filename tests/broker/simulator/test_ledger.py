"""The ledger is the venue: opened again after any commit, it gives the same book."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.broker.simulator.book import Book
from justtrades.broker.simulator.ledger import Entry, Ledger, account_event
from justtrades.broker.simulator.rules import Refused
from justtrades.broker.simulator.tape import Event, Outcome
from tests.broker.simulator.world import ACCOUNT, MNQ, NOW, World, limit, market, stop


@contextmanager
def opened(path: Path) -> Iterator[Ledger]:
    ledger = Ledger(path)
    try:
        yield ledger
    finally:
        ledger.close()


class Recorded(World):
    """A world whose every change is committed to a ledger, as the floor does it."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger
        book = self.venue.book
        own = [account_event(book.accounts[ACCOUNT]), Event("cashBalance", "Created", book.cash[ACCOUNT])]
        ledger.write([Entry(own, book.next_id, NOW, dict(book.prices))])

    def heard(self, outcome: Outcome) -> Outcome:
        book = self.venue.book
        self.ledger.write([Entry(list(outcome.events), book.next_id, NOW, dict(book.prices))])
        return super().heard(outcome)


def same(one: Book, other: Book) -> bool:
    """Equal but for the ids of ended orders, which only spare a look into the ledger."""
    return replace(one, ended={}) == replace(other, ended={})


STEPS: list[Any] = [
    lambda w: w.place(market("Buy", cl_ord_id="a"), 3),
    lambda w: w.oco(limit("Sell", "25010"), stop("Sell", "24990"), 3),
    lambda w: w.place(limit("Sell", "25020", text="two words"), 2),
    lambda w: w.tick("25003.25"),
    lambda w: w.oso(limit("Buy", "24995"), limit("Sell", "25010"), stop("Sell", "24980"), qty=2),
    lambda w: w.terms(depth=1),
    lambda w: w.tick("24994"),
    lambda w: w.tick("25010"),
    lambda w: w.terms(depth=None),
    lambda w: w.place(market("Sell"), 7),
    lambda w: w.heard(w.venue.liquidate(ACCOUNT, MNQ, NOW)),
    lambda w: w.place(market("Sell"), 2),
    lambda w: w.heard(w.venue.roll(NOW)),
    lambda w: w.place(market("Buy"), 1),
]


def test_after_every_commit_the_file_opened_again_gives_the_same_book(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.db") as ledger:
        world = Recorded(ledger)
        for step in STEPS:
            step(world)
            with opened(tmp_path / "ledger.db") as again:
                assert same(again.load(), world.venue.book)


def test_a_triggered_stop_limit_is_still_triggered_after_a_restart(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.db") as ledger:
        world = Recorded(ledger)
        leg = replace(limit("Buy", "25010"), kind="StopLimit", stop_price=Decimal(25_010))
        order = world.place(leg)
        world.tick("25020")
        assert ledger.load().orders[order].triggered


def test_an_uncommitted_change_is_not_there(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.db") as ledger:
        world = Recorded(ledger)
        before = ledger.load()
        world.venue.tick(MNQ, Decimal(24_000), NOW)
        assert same(ledger.load(), before)


def test_a_failed_entry_takes_its_whole_transaction_with_it(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.db") as ledger:
        world = Recorded(ledger)
        good = Entry([Event("order", "Created", {"id": 7, "accountId": 1, "ordStatus": "Working"})], 8, NOW)
        bad = Entry([Event("order", "Created", {"id": 8})], 9, NOW)
        with pytest.raises(KeyError):
            ledger.write([good, bad])
        assert ledger.item("order", 7) is None
        assert same(ledger.load(), world.venue.book)


def test_commits_reach_the_disk(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.db") as ledger:
        settings = [ledger._writer.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
    assert settings == ["wal", 2]


def test_old_sessions_leave_the_lists_but_not_the_file(tmp_path: Path) -> None:
    with opened(tmp_path / "ledger.db") as ledger:
        world = Recorded(ledger)
        ended, live = world.place(market()), world.place(limit("Buy", "24000", cl_ord_id="kept"))
        later = NOW.replace(month=12)
        assert f'"id":{ended}' not in "".join(ledger.recent("order", later))
        assert [f'"id":{live}' in text for text in ledger.recent("order", later)] == [True]
        assert "kept" in "".join(ledger.recent("command", later))
        assert len(ledger.every("order")) == 2


# ── any sequence at all ──────────────────────────────────────────────────────────────────────────────────

_PRICES = st.integers(24_990, 25_010).map(str)
_SIDES = st.sampled_from(["Buy", "Sell"])
_QTYS = st.integers(1, 5)
_STEPS = st.one_of(
    st.builds(lambda side, qty: ("place", market(side), qty), _SIDES, _QTYS),
    st.builds(lambda side, price, qty: ("place", limit(side, price), qty), _SIDES, _PRICES, _QTYS),
    st.builds(lambda side, price, qty: ("place", stop(side, price), qty), _SIDES, _PRICES, _QTYS),
    st.builds(lambda one, other, qty: ("oco", limit("Sell", one), stop("Sell", other), qty), _PRICES, _PRICES, _QTYS),
    st.builds(
        lambda one, other, qty: ("oso", market("Buy"), limit("Sell", one), stop("Sell", other), qty),
        _PRICES,
        _PRICES,
        _QTYS,
    ),
    st.builds(lambda price: ("tick", price), _PRICES),
    st.builds(lambda which: ("cancel", which), st.integers(0, 20)),
    st.builds(lambda which, price, qty: ("modify", which, price, qty), st.integers(0, 20), _PRICES, _QTYS),
    st.builds(lambda lot, depth: ("terms", lot, depth), st.sampled_from([None, 1, 2]), st.sampled_from([None, 1, 3])),
    st.just(("liquidate",)),
)


def take(world: Recorded, step: tuple[Any, ...]) -> None:
    live = sorted(world.venue.book.orders)
    match step:
        case ("place", leg, qty):
            world.place(leg, qty)
        case ("oco", one, other, qty):
            world.oco(one, other, qty)
        case ("oso", parent, one, other, qty):
            world.oso(parent, one, other, qty=qty)
        case ("tick", price):
            world.tick(price)
        case ("cancel", which) if live:
            world.heard(world.venue.cancel(live[which % len(live)], NOW))
        case ("modify", which, price, qty) if live:
            order = live[which % len(live)]
            leg = limit(world.venue.side_of(order), price)
            world.heard(world.venue.modify(order, qty, leg, NOW))
        case ("terms", lot, depth):
            world.terms(lot=lot, depth=depth)
        case ("liquidate",):
            world.heard(world.venue.liquidate(ACCOUNT, MNQ, NOW))


@given(st.lists(_STEPS, max_size=25))
def test_whatever_happens_the_books_agree_with_the_fills(steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder, opened(Path(folder) / "ledger.db") as ledger:
        world = Recorded(ledger)
        for step in steps:
            with suppress(Refused):  # a modify below what has filled; nothing else here can be refused
                take(world, step)
        assert_consistent(world)
        assert same(ledger.load(), world.venue.book)


def assert_consistent(world: World) -> None:
    fills = world.of("fill")
    signed = [(fill["qty"] if fill["action"] == "Buy" else -fill["qty"], fill["price"]) for fill in fills]
    net = sum(qty for qty, _ in signed)
    assert world.venue.book.net(ACCOUNT, MNQ.id) == net
    assert_money(world, signed, net)
    for order in world.of("order"):
        filled = sum(qty for qty, _ in world.fills(order["id"]))
        newest = [version for version in world.of("orderVersion") if version["orderId"] == order["id"]][-1]
        assert (filled == newest["orderQty"]) == (order["ordStatus"] == "Filled")
        assert filled <= newest["orderQty"]


def assert_money(world: World, signed: list[tuple[int, Decimal]], net: int) -> None:
    """Realized and open P&L together are what the fills cost and what is left is worth."""
    last, point = world.venue.book.prices[MNQ.id], MNQ.root.point_value
    paid = sum((qty * price for qty, price in signed), Decimal(0))
    holding = world.venue.book.holdings.get((ACCOUNT, MNQ.id))
    lots = holding.lots if holding else ()
    opened_at = sum((lot.qty * lot.price for lot in lots), Decimal(0)) * (1 if net > 0 else -1)
    realized = world.cash["realizedPnL"]
    assert realized + (net * last - opened_at) * point == (net * last - paid) * point
    fees = sum(qty for qty, _ in ((abs(q), p) for q, p in signed)) * Decimal("0.72")
    assert world.cash["amount"] == 50_000 + realized - fees
