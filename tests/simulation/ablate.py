"""The search for seeds that notice a safeguard's absence: a table, and 1 when one of them goes unnoticed."""

from __future__ import annotations

from dataclasses import dataclass

from pytest import MonkeyPatch  # noqa: PT013 - the class itself is the seam

from tests.simulation.ablations import ABLATIONS, Ablation
from tests.simulation.script import named, play
from tests.simulation.soak import quiet


@dataclass(frozen=True, slots=True)
class Noticed:
    seed: int
    by: str


def noticed(ablation: Ablation, seed: int) -> Noticed | None:
    """Whether this seed breaks an invariant without the safeguard, one of those that should."""
    with MonkeyPatch.context() as patch, quiet():
        ablation.off(patch)
        broken = play(seed, named(ablation.kind)).broken
    found = [told.partition(":")[0] for told in broken]
    return next((Noticed(seed, by) for by in found if by in ablation.noticed_by), None)


def search(seeds: int, start: int) -> int:
    """Prints a line for each safeguard; how many went unnoticed."""
    unnoticed = 0
    for ablation in ABLATIONS:
        tries = (noticed(ablation, seed) for seed in range(start, start + seeds))
        found = next((one for one in tries if one is not None), None)
        unnoticed += found is None
        told = f"seed {found.seed:5d} by {found.by}" if found else "UNNOTICED"
        print(f"{ablation.promise:50s} {ablation.kind:20s} {told}", flush=True)
    print(f"ablations {len(ABLATIONS)}, unnoticed {unnoticed}")
    return unnoticed
