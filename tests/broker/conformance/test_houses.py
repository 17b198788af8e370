"""Where the suite may trade, and what it says when it may not."""

from __future__ import annotations

import pytest

from tests.broker.conformance.houses import DEMO, CannotRun, demo

GIVEN = {"CONFORMANCE_USERNAME": "somebody", "CONFORMANCE_PASSWORD": "a-long-password"}


def test_without_a_log_in_it_says_what_to_set() -> None:
    with pytest.raises(CannotRun, match="set CONFORMANCE_PASSWORD to"):
        demo({"CONFORMANCE_USERNAME": "somebody"})


def test_the_demo_host_is_the_default() -> None:
    assert demo(GIVEN).settings.base_url == DEMO


@pytest.mark.parametrize("url", ["https://live.tradovateapi.com/v1", "https://live-api.example.com/v1"])
def test_a_live_host_is_never_traded_at(url: str) -> None:
    with pytest.raises(CannotRun, match="never with real money"):
        demo(GIVEN | {"CONFORMANCE_URL": url})


def test_a_password_is_not_in_what_a_failure_would_print() -> None:
    assert GIVEN["CONFORMANCE_PASSWORD"] not in repr(demo(GIVEN))
