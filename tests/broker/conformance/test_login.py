"""Logging in, accounts, contracts, and what the audit keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from justtrades.broker.port import BrokerError, ConnectionState, Refused
from justtrades.positions.model import ContractName
from tests.broker.conformance.conftest import front
from tests.broker.conformance.stage import Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")

PRODUCTS = {
    "ES": ("0.25", "50"),
    "MES": ("0.25", "5"),
    "NQ": ("0.25", "20"),
    "CL": ("0.01", "1000"),
    "GC": ("0.1", "100"),
    "6E": ("0.00005", "125000"),
    "ZN": ("0.015625", "1000"),
    "M2K": ("0.1", "5"),
}
"""Tick in points and USD a point (protocol.md section 7; cross-checked against public symbol properties)."""


async def test_a_login_that_works_is_synced(stage: Stage) -> None:
    assert stage.broker.health.state is ConnectionState.SYNCED
    assert stage.broker.health.reason is None


async def test_the_token_says_itself_when_it_ends(stage: Stage) -> None:
    expires = stage.broker.health.token_expires_at
    assert expires is not None
    assert timedelta(0) < expires - datetime.now(UTC) < timedelta(hours=25)


async def test_the_last_event_is_of_just_now(stage: Stage) -> None:
    heard = stage.broker.health.last_event_at
    assert heard is not None
    assert heard.tzinfo is not None
    assert datetime.now(UTC) - heard < timedelta(minutes=30)


async def test_one_token_request_and_one_sync_serve_the_whole_suite(stage: Stage) -> None:
    assert len(stage.audit.calls("/auth/accesstokenrequest")) == 1
    assert 1 <= len(stage.audit.events("user/syncrequest")) <= 2  # a second one only when asked by entity types


async def test_every_request_is_counted_in_the_budget(stage: Stage) -> None:
    used = stage.broker.health.budget.hour_used
    await stage.broker.accounts()
    assert used < stage.broker.health.budget.hour_used <= stage.broker.health.budget.hour_limit


async def test_accounts_are_listed_by_id_and_name(stage: Stage) -> None:
    found = await stage.broker.accounts()
    assert stage.account.id in [account.id for account in found]
    assert all(account.name and account.id.isdigit() for account in found)


async def test_asking_twice_names_the_same_accounts(stage: Stage) -> None:
    assert await stage.broker.accounts() == await stage.broker.accounts()


async def test_no_secret_stands_in_the_audit(stage: Stage) -> None:
    token = await stage.box.load()
    assert token is not None
    kept = "\n".join(f"{row.request} {row.response}" for row in stage.audit.rows.values())
    assert [secret for secret in (*stage.house.secrets, token.access) if secret in kept] == []


async def test_a_wrong_password_is_refused_with_a_reason_and_not_repeated(stage: Stage) -> None:
    if stage.house.paced:
        pytest.skip("a failed log-in counts against a real address")
    wrong = replace(stage.house.settings.credentials, name="")
    one = Stage(replace(stage.house, settings=replace(stage.house.settings, credentials=wrong)), type(stage.box)())
    one.broker = type(stage.broker)(one.house.settings, one.audit, one.box)
    with pytest.raises(BrokerError, match="login"):
        await one.broker.accounts()
    with pytest.raises(BrokerError, match="login"):
        await one.broker.accounts()
    assert len(one.audit.calls("/auth/accesstokenrequest")) == 1
    await one.broker.close()


# ── contracts ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_contract_brings_its_tick_and_point_value(stage: Stage) -> None:
    assert (stage.contract.tick_size, stage.contract.point_value) == (Decimal("0.25"), Decimal(2))


async def test_a_contract_has_an_id_and_the_name_it_was_asked_by(stage: Stage) -> None:
    assert stage.contract.id > 0
    assert stage.contract.name == front("MNQ")


async def test_the_front_contract_ends_in_the_future(stage: Stage) -> None:
    assert stage.contract.expires_at is not None
    assert stage.contract.expires_at > datetime.now(UTC)


@pytest.mark.parametrize("root", PRODUCTS)
async def test_a_product_has_the_tick_and_point_value_the_calendar_knows(stage: Stage, root: str) -> None:
    record = await stage.broker.contract(front(root))
    assert (record.tick_size, record.point_value) == tuple(Decimal(value) for value in PRODUCTS[root])


@pytest.mark.parametrize("name", ["MNQ1!", "MNQ", "NOSUCHZ6", "MNQA6"])
async def test_what_is_no_contract_is_refused(stage: Stage, name: str) -> None:
    with pytest.raises(Refused):
        await stage.broker.contract(ContractName(name))


async def test_a_contract_is_asked_for_once(stage: Stage) -> None:
    await stage.broker.contract(front("MES"))
    asked = len(stage.audit.calls("/contract/find"))
    await stage.broker.contract(front("MES"))
    assert len(stage.audit.calls("/contract/find")) == asked
