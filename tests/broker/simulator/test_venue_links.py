"""Orders that know each other: OCO pairs and OSO brackets."""

from __future__ import annotations

from decimal import Decimal

import pytest

from justtrades.broker.simulator.change import LateReject
from tests.broker.simulator.world import NOW, World, limit, market, stop


@pytest.fixture
def world() -> World:
    return World()


def test_the_orders_of_an_oco_have_consecutive_ids_and_name_each_other(world: World) -> None:
    one, other = world.oco(limit("Sell", "25010"), stop("Sell", "24990"))
    assert other == one + 1
    assert (world.known["order"][one]["ocoId"], world.known["order"][other]["ocoId"]) == (other, one)
    assert (world.status(one), world.status(other)) == ("Working", "Working")


@pytest.mark.parametrize(("price", "filled"), [("25010", 0), ("24990", 1)])
def test_a_fill_of_one_cancels_the_other(world: World, price: str, filled: int) -> None:
    world.place(market(), 1)
    pair = world.oco(limit("Sell", "25010"), stop("Sell", "24990"))
    world.tick(price)
    assert world.status(pair[filled]) == "Filled"
    assert world.status(pair[1 - filled]) == "Canceled"
    assert world.position["netPos"] == 0


def test_the_sibling_is_cancelled_by_a_command_whose_report_is_the_next_id(world: World) -> None:
    _, sibling = world.oco(limit("Sell", "25010"), stop("Sell", "24990"))
    world.tick("25010")
    cancel = next(one for one in world.of("command") if one["commandType"] == "Cancel")
    assert cancel["orderId"] == sibling
    assert world.known["executionReport"][cancel["id"] + 1]["execType"] == "Canceled"


def test_a_part_filled_takes_the_same_part_from_the_other(world: World) -> None:
    world.terms(depth=2)
    one, other = world.oco(limit("Sell", "25010"), stop("Sell", "24990"), qty=5)
    world.tick("25010")
    newest = [version for version in world.of("orderVersion") if version["orderId"] == other][-1]
    assert newest["orderQty"] == 3
    world.terms(depth=None)
    world.tick("24990")
    assert sum(qty for qty, _ in world.fills(one) + world.fills(other)) == 5
    assert (world.status(one), world.status(other)) == ("Canceled", "Filled")


def test_an_oco_whose_first_order_fills_at_once_never_works_its_second(world: World) -> None:
    one, other = world.oco(limit("Sell", "24990"), stop("Sell", "24900"))
    assert (world.status(one), world.status(other)) == ("Filled", "Canceled")


def test_a_cancel_by_hand_leaves_the_sibling_working(world: World) -> None:
    one, other = world.oco(limit("Sell", "25010"), stop("Sell", "24990"))
    world.heard(world.venue.cancel(one, NOW))
    assert (world.status(one), world.status(other)) == ("Canceled", "Working")


def test_brackets_have_ids_after_their_parents_and_wait_suspended(world: World) -> None:
    parent, first, second = world.oso(limit("Buy", "24990"), limit("Sell", "25010"), stop("Sell", "24980"))
    assert (first, second) == (parent + 1, parent + 2)
    assert (world.status(first), world.status(second)) == ("Suspended", "Suspended")
    assert world.known["order"][first]["parentId"] == parent
    assert world.known["order"][first]["ocoId"] == second
    assert "executionProviderId" not in world.known["order"][first]


def test_suspended_legs_do_not_trade(world: World) -> None:
    _, first, _ = world.oso(limit("Buy", "24990"), limit("Sell", "25010"), stop("Sell", "24980"))
    world.tick("25011")
    assert (world.fills(first), world.status(first)) == ([], "Suspended")


def test_the_parents_fill_releases_the_legs_as_an_oco(world: World) -> None:
    parent, first, second = world.oso(market("Buy"), limit("Sell", "25010"), stop("Sell", "24980"))
    assert [world.status(order) for order in (parent, first, second)] == ["Filled", "Working", "Working"]
    world.tick("25010")
    assert world.fills(first) == [(1, Decimal(25_010))]
    assert world.status(second) == "Canceled"


def test_a_single_bracket_has_no_sibling(world: World) -> None:
    _, leg = world.oso(market("Buy"), limit("Sell", "25010"))
    assert "ocoId" not in world.known["order"][leg]
    assert world.status(leg) == "Working"


def test_a_cancelled_parent_takes_its_legs_with_it(world: World) -> None:
    parent, *legs = world.oso(limit("Buy", "24990"), limit("Sell", "25010"), stop("Sell", "24980"))
    world.heard(world.venue.cancel(parent, NOW))
    assert [world.status(leg) for leg in legs] == ["Canceled", "Canceled"]


def test_a_rejected_parent_takes_its_legs_with_it(world: World) -> None:
    fate = LateReject("NoQuote", "No quote available")
    parent, leg = world.oso(market("Buy"), limit("Sell", "25010"), fate=fate)
    assert (world.status(parent), world.status(leg)) == ("Rejected", "Canceled")


def test_legs_of_a_parent_cancelled_in_part_start_with_what_it_filled(world: World) -> None:
    world.terms(depth=2)
    parent, *legs = world.oso(limit("Buy", "25000"), limit("Sell", "25010"), stop("Sell", "24980"), qty=5)
    world.heard(world.venue.cancel(parent, NOW))
    newest = {version["orderId"]: version["orderQty"] for version in world.of("orderVersion")}
    assert [newest[leg] for leg in legs] == [2, 2]
    assert [world.status(leg) for leg in legs] == ["Working", "Working"]
