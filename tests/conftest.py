"""What every test may rely on: the same run everywhere, whatever the machine or its owner has set.

Property tests draw the same examples on every run, so that a red build is red for everyone; the search for
new examples belongs to `make soak` or to `HYPOTHESIS_PROFILE=search make test`.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import settings

# No deadline: a shared machine pauses whenever it likes, and a property is not a benchmark.
settings.register_profile("repeatable", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("search", deadline=None, print_blob=True, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeatable"))


@pytest.fixture(autouse=True)
def no_settings_of_the_owner(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own JUSTTRADES_… variables never reach a test."""
    for name in [name for name in os.environ if name.upper().startswith("JUSTTRADES_")]:
        if name != "JUSTTRADES_CONFORMANCE":  # set by `make conformance`, together with what it asks for
            monkeypatch.delenv(name)
