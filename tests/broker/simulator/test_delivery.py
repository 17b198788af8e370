"""How events come: whole and in order unless a manner says otherwise, and nothing is ever made up."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from justtrades.broker.simulator.delivery import Manners, Parcel, parcels
from justtrades.broker.simulator.tape import Frame
from tests.broker.simulator.world import World, limit, market, stop


def bracket() -> tuple[Frame, ...]:
    """The events of a market entry with two legs: the longest story there is."""
    world = World()
    world.oso(market("Buy"), limit("Sell", "25010"), stop("Sell", "24980"))
    return tuple(
        public
        for frame in world.last.frames
        if (public := tuple(event for event in frame if not event.entity_type.startswith("_")))
    )


FRAMES = bracket()


def told(manners: Manners, seed: int = 1) -> list[list[dict[str, Any]]]:
    return [[m["d"] for m in json.loads(parcel.text)] for parcel in parcels(FRAMES, manners, Random(seed))]


def facts(told_frames: list[list[dict[str, Any]]]) -> list[tuple[str, int]]:
    """Entity type and id of every event, arrays taken apart."""
    found = []
    for props in (one for frame in told_frames for one in frame):
        entities = props["entity"] if isinstance(props["entity"], list) else [props["entity"]]
        found += [(props["entityType"], entity["id"]) for entity in entities]
    return found


PLAIN = told(Manners())


def test_without_a_manner_every_event_comes_once_in_order() -> None:
    assert [len(frame) for frame in PLAIN] == [len(frame) for frame in FRAMES]
    assert facts(PLAIN) == [(event.entity_type, event.entity["id"]) for frame in FRAMES for event in frame]


def test_a_batch_is_one_frame_with_everything_in_order() -> None:
    batched = told(Manners(batch=True))
    assert len(batched) == 1
    assert facts(batched) == facts(PLAIN)


def test_an_array_holds_the_entities_of_one_kind_in_a_frame() -> None:
    arrays = told(Manners(arrays=True))
    first = arrays[0][0]
    assert (first["entityType"], first["eventType"], len(first["entity"])) == ("order", "Created", 3)
    assert sorted(facts(arrays)) == sorted(facts(PLAIN))


def test_legs_come_late_and_at_first_without_their_links() -> None:
    found = parcels(FRAMES, Manners(late_legs=0.3), Random(1))
    assert {parcel.delay for parcel in found} == {0.0, 0.3}
    late = [m["d"] for parcel in found if parcel.delay for m in json.loads(parcel.text)]
    created = [d["entity"] for d in late if (d["entityType"], d["eventType"]) == ("order", "Created")]
    assert len(created) == 2
    assert all("parentId" not in leg and "ocoId" not in leg for leg in created)
    changed = [d["entity"] for d in late if (d["entityType"], d["eventType"]) == ("order", "Updated")]
    assert all("parentId" in leg for leg in changed)


def test_partial_updates_have_an_id_and_a_status_and_no_event_type() -> None:
    partial = [d for frame in told(Manners(partial=True)) for d in frame if "eventType" not in d]
    assert {tuple(d["entity"]) for d in partial} == {("id", "ordStatus"), ("id", "commandStatus")}


def test_unpublished_fields_stand_beside_the_known_ones() -> None:
    extra = told(Manners(extra_fields=True))
    assert all("unpublished" in d["entity"] for frame in extra for d in frame)
    assert facts(extra) == facts(PLAIN)


def test_lost_events_do_not_come() -> None:
    assert parcels(FRAMES, Manners(lose=True), Random(1)) == []


def test_a_seed_shuffles_the_same_way_again() -> None:
    assert told(Manners(shuffle=True), 7) == told(Manners(shuffle=True), 7)
    assert told(Manners(shuffle=True), 7) != told(Manners(shuffle=True), 8)


@pytest.mark.parametrize("delay", [0.0, 2.0])
def test_a_delay_is_everybodys_and_the_legs_add_theirs(delay: float) -> None:
    found = parcels(FRAMES, Manners(delay=delay, late_legs=0.5), Random(1))
    assert {parcel.delay for parcel in found} == {delay, delay + 0.5}


@given(
    st.builds(
        Manners,
        **dict.fromkeys(("duplicate", "shuffle", "batch", "arrays", "extra_fields", "partial"), st.booleans()),
        delay=st.sampled_from([0.0, 1.0]),
        late_legs=st.sampled_from([0.0, 0.3]),
    ),
    st.integers(0, 5),
)
def test_whatever_the_manners_nothing_is_lost_and_nothing_made_up(manners: Manners, seed: int) -> None:
    found: list[Parcel] = parcels(FRAMES, manners, Random(seed))
    said = facts([[m["d"] for m in json.loads(parcel.text)] for parcel in found])
    assert sorted(said) == sorted(facts(PLAIN) * (2 if manners.duplicate else 1))
