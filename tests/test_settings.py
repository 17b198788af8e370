"""What can be set, and what a setting that cannot be used ends with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from justtrades import settings
from justtrades.settings import BadSetting, Settings, allowed_networks, key_file, load, secret_file
from justtrades.store.secrets import Box, new_key


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's and no `.env` but the test's."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"JUSTTRADES_{name.upper()}", raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_defaults_are_those_of_the_contract() -> None:
    loaded = load()
    assert {name: getattr(loaded, name) for name in Settings.model_fields} == {
        "host": "127.0.0.1",
        "port": 8000,
        "database_url": "sqlite+aiosqlite:///justtrades.db",
        "admin_key": None,
        "secret_key": None,
        "webhook_allowed_ips": "any",
        "trusted_proxies": "",
        "tradovate_demo_url": "https://demo.tradovateapi.com/v1",
        "tradovate_live_url": "https://live.tradovateapi.com/v1",
        "tradovate_oauth_url": "https://trader.tradovate.com/oauth",
        "tradovate_oauth_token_url": None,
        "tradovate_oauth_redirect_url": None,
        "tradovate_oauth_client_id": None,
        "tradovate_oauth_client_secret": None,
        "live_trading": False,
        "request_timeout_seconds": 5,
        "settle_seconds": 15,
        "truth_poll_seconds": 20,
        "entry_max_age_seconds": 30,
        "penalty_rest_seconds": 3600,
        "webhook_rate_per_minute": 120,
        "duplicate_seconds": 3,
        "paper_market": "alerts",
        "paper_url": None,
        "audit_days": 90,
        "self_audit_seconds": 300,
        "budget_per_minute": 60,
        "budget_per_hour": 4000,
        "roll_days": "",
        "price_tolerance_percent": 10,
        "log_level": "info",
        "log_format": "console",
    }


def test_the_environment_wins_over_the_file_and_the_file_over_the_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("JUSTTRADES_PORT=8001\nJUSTTRADES_AUDIT_DAYS=7\nOTHER=x\n", encoding="utf-8")
    monkeypatch.setenv("JUSTTRADES_PORT", "8002")
    assert (load().port, load().audit_days) == (8002, 7)


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUSTTRADES_ADMIN_KEY", "")
    assert load().admin_key is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "65536"),
        ("HOST", "a b"),
        ("DATABASE_URL", "mysql://u:zq9canary@h/d"),
        ("DATABASE_URL", "zq9canary"),
        ("DATABASE_URL", "sqlite+aiosqlite://"),
        ("DATABASE_URL", "sqlite+aiosqlite:///:memory:"),
        ("DATABASE_URL", "sqlite+aiosqlite:///no/such/zq9canary.db"),
        ("ADMIN_KEY", "zq9"),
        ("ADMIN_KEY", "zq9canary with spaces"),
        ("SECRET_KEY", "zq9canary"),
        ("WEBHOOK_ALLOWED_IPS", "zq9canary"),
        ("WEBHOOK_ALLOWED_IPS", ","),
        ("TRUSTED_PROXIES", "*"),
        ("TRUSTED_PROXIES", "0.0.0.0/0"),
        ("TRUSTED_PROXIES", "zq9canary"),
        ("TRADOVATE_DEMO_URL", "ftp://zq9canary"),
        ("TRADOVATE_DEMO_URL", "https://live.tradovateapi.com/v1"),
        ("PAPER_URL", "https://demo.tradovateapi.com/v1"),
        ("TRADOVATE_OAUTH_TOKEN_URL", "https://zq9canary/v1/order/placeorder"),
        ("LIVE_TRADING", "zq9canary"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
        ("SETTLE_SECONDS", "nan"),
        ("TRUTH_POLL_SECONDS", "inf"),
        ("ENTRY_MAX_AGE_SECONDS", "-1"),
        ("WEBHOOK_RATE_PER_MINUTE", "0"),
        ("DUPLICATE_SECONDS", "-3"),
        ("PAPER_MARKET", "csv:"),
        ("PAPER_MARKET", "csv:zq9canary.csv"),
        ("PAPER_URL", "localhost:8010"),
        ("AUDIT_DAYS", "1.5"),
        ("ROLL_DAYS", "ZQ9=3"),
        ("ROLL_DAYS", "ES=5,zq9"),
        ("ROLL_DAYS", "ES=61"),
        ("ROLL_DAYS", "ES=-1"),
        ("ROLL_DAYS", "ES=5,ES=6"),
        ("PRICE_TOLERANCE_PERCENT", "-1"),
        ("PRICE_TOLERANCE_PERCENT", "nan"),
        ("PRICE_TOLERANCE_PERCENT", "zq9"),
        ("LOG_LEVEL", "loud"),
        ("LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_cannot_be_used_is_one_line_that_names_it_and_hides_its_value(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"JUSTTRADES_{name}", value)
    with pytest.raises(BadSetting) as refused:
        load()
    line = str(refused.value)
    assert line.startswith(f"JUSTTRADES_{name}: ")
    assert "\n" not in line
    assert "zq9" not in line


@pytest.mark.parametrize("command", ["serve", "positions"])
def test_it_ends_the_process_with_code_2_and_no_traceback(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUSTTRADES_TRUSTED_PROXIES", "*")
    done = subprocess.run(
        [sys.executable, "-m", "justtrades", command], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("justtrades: JUSTTRADES_TRUSTED_PROXIES: ")
    assert done.stderr.count("\n") == 1


def test_secrets_are_not_in_the_settings_own_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUSTTRADES_ADMIN_KEY", "zq9-admin-key")
    monkeypatch.setenv("JUSTTRADES_SECRET_KEY", "zq9-a-long-passphrase")
    monkeypatch.setenv("JUSTTRADES_DATABASE_URL", "postgresql+asyncpg://u:zq9@h/d")
    assert "zq9" not in repr(load())
    assert "zq9" not in str(load())


@pytest.mark.parametrize("key", ["a passphrase of some length", new_key()], ids=["passphrase", "key"])
def test_a_secret_key_or_a_passphrase_seals_and_opens_again(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("JUSTTRADES_SECRET_KEY", key)
    first, second = load().secret_key, load().secret_key
    assert first is not None
    assert second is not None
    sealed = Box(first.get_secret_value()).seal("x", "about")
    assert Box(second.get_secret_value()).open(sealed, "about") == "x"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().port = 1  # type: ignore[misc]  # that it is refused is the claim


def test_tradingview_stands_for_its_four_addresses_and_may_stand_in_a_list() -> None:
    allowed = allowed_networks("tradingview, 10.0.0.0/8")
    assert allowed is not None
    assert {str(network) for network in allowed} == {
        *(f"{address}/32" for address in settings.TRADINGVIEW),
        "10.0.0.0/8",
    }
    assert allowed_networks("Any") is None


@pytest.mark.parametrize(
    ("url", "key"),
    [
        ("sqlite+aiosqlite:///justtrades.db", "justtrades.admin"),
        ("sqlite+aiosqlite:///data/books.db", "data/books.admin"),
        ("postgresql+asyncpg://u:p@h/books", "justtrades.admin"),
    ],
)
def test_the_files_of_an_installation_lie_beside_its_database(tmp_path: Path, url: str, key: str) -> None:
    (tmp_path / "data").mkdir()
    loaded = Settings(_env_file=None, database_url=url)
    assert key_file(loaded) == Path(key)
    assert secret_file(loaded) == Path(key).with_name("justtrades.key")


def test_an_absolute_path_is_kept(tmp_path: Path) -> None:
    loaded = Settings(_env_file=None, database_url=f"sqlite+aiosqlite:///{(tmp_path / 'books.db').as_posix()}")
    assert key_file(loaded) == tmp_path / "books.admin"


def test_words_are_read_whatever_their_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUSTTRADES_LOG_LEVEL", "WARNING")
    monkeypatch.setenv("JUSTTRADES_LIVE_TRADING", "True")
    assert (load().log_level, load().live_trading) == ("warning", True)


@pytest.mark.parametrize("given", ["http://paper:8010", "http://paper:8010/", "http://paper:8010/v1"])
def test_the_paper_address_may_leave_its_path_out(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv("JUSTTRADES_PAPER_URL", given)
    assert load().paper_url == "http://paper:8010/v1"


def test_a_misspelt_variable_is_known_as_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(settings.unknown())
    monkeypatch.setenv("JUSTTRADES_PROT", "8001")
    monkeypatch.setenv("JUSTTRADES_PORT", "8001")
    assert set(settings.unknown()) - before == {"JUSTTRADES_PROT"}
