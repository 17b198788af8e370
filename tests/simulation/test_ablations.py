"""A checker that catches nothing is not a checker: without a safeguard some seed soon breaks what it promises."""

from __future__ import annotations

import pytest

from tests.simulation.ablate import noticed
from tests.simulation.ablations import ABLATIONS, Ablation

TRIES = 40
"""How many seeds on from the known one: whatever the product sends differently shifts the dice."""


@pytest.mark.parametrize("ablation", ABLATIONS, ids=lambda one: one.promise)
def test_without_it_a_seed_breaks_its_promise(ablation: Ablation) -> None:
    first = ablation.known
    assert any(noticed(ablation, seed) is not None for seed in range(first, first + TRIES))


def test_there_are_at_least_twenty_safeguards() -> None:
    assert len({ablation.promise for ablation in ABLATIONS}) >= 20
