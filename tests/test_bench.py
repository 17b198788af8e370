"""Each measurement runs in a tiny form and yields figures. How quick anything is, is nobody's claim here."""

from __future__ import annotations

import math
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bench import __main__ as bench
from bench import flood, old_rows, sides, speed, weight
from bench.client import Client
from bench.engine import Engine
from bench.report import Figure, Report
from bench.sizes import Size
from bench.stub_books import FIRST_ACCOUNT


@pytest.fixture
def tiny(tmp_path: Path) -> Size:
    return Size(
        rounds=1,
        lanes=2,
        busy_lanes=2,
        one_by_one=2,
        side_by_side=4,
        alerts=4,
        old_rows=(20,),
        pause=0.0,
        under=tmp_path,
    )


def quiet(_: str) -> None:
    return None


def assert_told(figures: list[Figure], names: list[str]) -> None:
    assert [figure.name for figure in figures] == names
    assert all(math.isfinite(figure.ratio) and figure.ratio > 0 for figure in figures)


async def test_speed_is_measured_beside_both_floors(tiny: Size) -> None:
    found = await speed.figures(tiny, frozenset(speed.PARTS), quiet)
    assert_told(
        found,
        [
            "alert → 202, p50",
            "alert → order on the wire, p50",
            "fill → target on the wire, p50",
            "alerts with orders a second",
            "CPU per alert, whole trade",
            "burst over all lanes, last order",
        ],
    )


async def test_only_what_is_asked_for_is_measured(tiny: Size) -> None:
    found = await speed.figures(tiny, frozenset({"burst"}), quiet)
    assert_told(found, ["burst over all lanes, last order"])


async def test_a_flood_is_measured_beside_the_same_engine_without_it(tiny: Size) -> None:
    found = await flood.figures(replace(tiny, one_by_one=1), frozenset(flood.PARTS), quiet)
    assert_told(found, ["alert → 202 beside a flood, p50", "alert → order beside a flood, p50"])


async def test_weight_is_measured_beside_the_same_imports(tiny: Size) -> None:
    found = await weight.figures(tiny, frozenset(weight.PARTS), quiet)
    assert_told(found, ["start to ready", "memory at rest", "memory after 4 alerts"])


async def test_an_engine_with_a_past_is_measured_beside_one_without(tiny: Size) -> None:
    found = await old_rows.figures(tiny, frozenset(old_rows.PARTS), quiet)
    assert_told(
        found,
        [
            f"20 old rows: {what}"
            for what in (
                "start to ready",
                "CPU of the start",
                "alert → 202",
                "alert → order",
                "fill → target",
                "CPU per alert",
            )
        ],
    )


async def test_a_past_fills_every_table_that_grows_with_trading(tiny: Size) -> None:
    with sides.folder(tiny) as directory, sides.stub(tiny, directory) as broker:
        engine = Engine(directory, broker.url)
        past = await old_rows.prepared(tiny, 20, directory, broker)
        assert past.rows == 20
        with closing(sqlite3.connect(engine.database)) as database:
            for table in old_rows.TABLES:
                assert database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] >= 20


async def test_a_floor_sends_an_entry_and_answers_its_fill_with_a_target(tiny: Size) -> None:
    async with sides.floor_f(tiny) as side:
        trade = await side.traffic.trade(0)
        assert trade.sent < trade.ordered < trade.filled < trade.targeted


async def test_the_stub_lists_what_was_placed(tiny: Size) -> None:
    order = (
        f'{{"accountId":{FIRST_ACCOUNT},"clOrdId":"one","action":"Buy","symbol":"MNQZ6","orderQty":1,'
        '"orderType":"Limit","price":24999.75}'
    )
    with sides.stub(tiny, tiny.under) as broker:
        async with Client(broker.url) as client:
            status, answer = await client.post("/v1/order/placeorder", order.encode())
            assert status == 200
            assert b"orderId" in answer
            _, commands = await client.get("/v1/command/list")
            _, versions = await client.get("/v1/orderVersion/list")
    assert b'"clOrdId":"one"' in commands
    assert b'"price":24999.75' in versions


async def test_a_profile_shows_the_engine_s_own_functions(tiny: Size, capsys: pytest.CaptureFixture[str]) -> None:
    await bench.profile(tiny, "burst")
    assert "executor.py" in capsys.readouterr().out


def figure(engine: list[float], floor: list[float], *, higher_is_better: bool = False) -> Figure:
    return Figure("something", "ms", engine, floor, 1.2, "G", higher_is_better)


def test_a_ratio_is_the_median_of_the_rounds_own_ratios() -> None:
    assert figure([2.0, 30.0, 4.0], [1.0, 10.0, 4.0]).ratio == 2.0


@pytest.mark.parametrize(("higher_is_better", "met"), [(True, True), (False, False)])
def test_a_goal_is_a_limit_or_a_minimum(*, higher_is_better: bool, met: bool) -> None:
    assert figure([3.0], [1.0], higher_is_better=higher_is_better).met is met


def test_a_report_shows_every_figure_with_its_goal() -> None:
    told = Report("a machine", 1, [figure([1.0], [1.0])], ["a remark"]).text()
    for part in ("a machine", "something", "≤ 1.2", "met", "a remark"):
        assert part in told


def test_an_unknown_name_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        bench.options(["nothing-like-it"])
    assert "unknown" in capsys.readouterr().err
