"""How prices move, and what is listed."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.broker.simulator import listing
from justtrades.broker.simulator.documents import instant, trade_date
from justtrades.broker.simulator.market import Market, Moves, parse_market, read_quotes, seed_price, to_tick, walk
from justtrades.positions.contracts import ROOTS
from tests.broker.simulator.world import NOW, contract

TICK = Decimal("0.25")


def path_of(seed: int) -> list[Decimal]:
    rng, price, path = Random(seed), Decimal(25_000), []
    for _ in range(50):
        price = walk(price, TICK, rng)
        path.append(price)
    return path


def test_a_seed_gives_the_same_market_again_and_another_seed_another() -> None:
    assert path_of(1) == path_of(1)
    assert path_of(1) != path_of(2)


@given(st.integers(), st.integers(1, 100_000))
def test_a_walk_stays_on_the_tick_and_above_zero(seed: int, ticks: int) -> None:
    price = walk(ticks * TICK, TICK, Random(seed))
    assert price > 0
    assert price % TICK == 0
    assert abs(price - ticks * TICK) <= 3 * TICK


@pytest.mark.parametrize("root", ROOTS)
def test_every_root_has_a_first_price_on_its_tick(root: str) -> None:
    price = seed_price(ROOTS[root])
    assert price > 0
    assert price % ROOTS[root].tick_size == 0


def test_a_market_is_named_in_one_word_or_a_file() -> None:
    assert parse_market("alerts") == Market(Moves.ALERTS)
    assert parse_market("csv:C:/prices.csv") == Market(Moves.CSV, Path("C:/prices.csv"))


@pytest.mark.parametrize("text", ["", "csv", "csv:", "walk:fast", "bull"])
def test_any_other_market_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"market|Moves"):
        parse_market(text)


def test_a_file_gives_its_rows_with_the_time_between_them(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(
        "time,symbol,price\n2026-11-23T15:00:00Z,MNQZ6,25000\n2026-11-23T15:00:01.5Z, MNQZ6,25000.25\n",
        encoding="utf-8",
    )
    quotes = [(quote.symbol, quote.price, quote.wait) for quote in read_quotes(file)]
    assert quotes == [("MNQZ6", Decimal(25_000), None), ("MNQZ6", Decimal("25000.25"), 1.5)]


def test_the_time_may_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "prices.csv"
    file.write_text("symbol,price\nMNQZ6,25000\n", encoding="utf-8")
    assert next(read_quotes(file)).wait is None


@pytest.mark.parametrize("row", ["MNQZ6,", "MNQZ6", ",,"])
def test_a_bad_row_is_named(tmp_path: Path, row: str) -> None:
    file = tmp_path / "prices.csv"
    file.write_text(f"symbol,price\n{row}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"prices\.csv, line 2"):
        list(read_quotes(file))


def test_a_price_is_put_on_the_nearest_tick() -> None:
    assert to_tick(Decimal("25000.20"), TICK) == Decimal("25000.25")


# ── the listing ──────────────────────────────────────────────────────────────────────────────────────────


def test_every_contract_is_found_again_by_its_ids_and_its_name() -> None:
    for root in ROOTS.values():
        for one in listing.contracts_ahead(root, NOW):
            assert listing.contract_by_id(one.id) == one
            assert listing.contract_by_maturity(one.maturity_id) == one
            assert listing.find_contract(one.name, NOW) == one


def test_ids_of_different_kinds_are_never_taken_for_each_other() -> None:
    everything = [one for root in ROOTS.values() for one in listing.contracts_ahead(root, NOW)]
    ids = {one.id for one in everything} | {one.maturity_id for one in everything}
    assert len(ids) == 2 * len(everything)
    assert not ids & {listing.product_id(symbol) for symbol in ROOTS}
    assert all(listing.contract_by_id(one.maturity_id) is None for one in everything)


def test_every_root_is_listed_for_about_two_years() -> None:
    for root in ROOTS.values():
        last = list(listing.contracts_ahead(root, NOW))[-1]
        assert last.expires > datetime(2028, 5, 1, tzinfo=UTC)


def test_front_is_the_nearest_contract_that_has_not_ended() -> None:
    december = contract("MNQZ6")
    assert listing.maturity_document(december, NOW)["isFront"] is True
    assert listing.maturity_document(december, december.expires)["isFront"] is False


def test_the_trade_date_is_the_sessions() -> None:
    assert trade_date(datetime(2026, 8, 18, 1, 50, tzinfo=UTC)) == {"year": 2026, "month": 8, "day": 18}
    assert trade_date(datetime(2026, 8, 18, 21, 59, tzinfo=UTC)) == {"year": 2026, "month": 8, "day": 18}
    assert trade_date(datetime(2026, 8, 18, 22, 0, tzinfo=UTC)) == {"year": 2026, "month": 8, "day": 19}


def test_a_time_is_written_as_the_broker_writes_it() -> None:
    at = datetime(2026, 8, 18, 1, 50, 8, 482_999, tzinfo=UTC)
    assert instant(at) == "2026-08-18T01:50:08.482Z"
