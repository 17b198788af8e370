"""What can be set from outside: read once, checked whole, then frozen.

Every variable is the field's name in capitals behind `JUSTTRADES_`; a `.env` file in the working directory is
read too, and the environment wins. No secret has a default. A value that cannot be used is told as `BadSetting`,
one line that names the variable and never shows the value, since it may be a secret.

The files of one installation lie beside its SQLite database (or in the working directory when the database is
elsewhere): see `key_file` and `secret_file`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
from decimal import Decimal
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from justtrades.positions.rolls import parse_rolls

Network = IPv4Network | IPv6Network

PREFIX: Final = "JUSTTRADES_"
LIVE_HOSTS: Final = frozenset({"live.tradovateapi.com", "live-api.staging.ninjatrader.dev"})
TRADINGVIEW: Final = ("52.89.214.238", "34.212.75.30", "54.218.53.128", "52.32.178.7")
"""The addresses TradingView sends alerts from, as its help centre lists them."""


class BadSetting(Exception):
    """A setting that cannot be used; its text is one line that names the variable."""

    def __init__(self, variable: str, sentence: str) -> None:
        super().__init__(f"{variable}: {sentence}")
        self.variable = variable


# ── checks: each returns the value or raises ValueError with a sentence that does not repeat it ──────────────


def _networks(text: str) -> tuple[Network, ...]:
    return tuple(_network(item) for item in _items(text))


def _network(text: str) -> Network:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        raise ValueError("must be a comma list of addresses and networks, such as 10.0.0.0/8") from None


def _items(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _allowed(text: str) -> str:
    allowed_networks(text)
    return text


def _proxies(text: str) -> str:
    if "*" in text or any(network.prefixlen == 0 for network in _networks(text)):
        raise ValueError("must name your proxies: trusting every address would let anyone choose his own")
    return text


def _database(text: str) -> str:
    from justtrades.store import engines  # late: `--help` needs no SQLAlchemy

    try:
        url = engines.parse(text)
    except ValueError as error:
        raise ValueError(f"cannot be used: {error}") from None
    except Exception:  # noqa: BLE001,RUF100 - SQLAlchemy's own errors would show the password in the address
        raise ValueError("must be sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME") from None
    if not engines.is_sqlite(url) and find_spec("asyncpg") is None:
        raise ValueError("PostgreSQL needs the package asyncpg: install justtrades[postgres]")
    if engines.in_memory(url):
        raise ValueError("must name a file: what is only in memory does not survive a restart")
    if engines.is_sqlite(url) and not Path(str(url.database)).parent.is_dir():
        raise ValueError("the directory of its file does not exist")
    return text


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.fragment:
        raise ValueError("must be an http or https address")
    return text.rstrip("/")


def _token_address(text: str) -> str:
    """Nothing else than `auth/*` may be asked where codes are exchanged."""
    address = _address(text)
    if not address.endswith("/auth/oauthtoken"):
        raise ValueError("must be an address that ends with /auth/oauthtoken")
    return address


def _demo_address(text: str) -> str:
    """What is called demo must not trade on live: neither `LIVE_TRADING` nor anything else would stand before it."""
    address = _address(text)
    if urlsplit(address).hostname in LIVE_HOSTS:
        raise ValueError("must not be Tradovate's live host")
    return address


def _paper_address(text: str) -> str:
    """With the path under which `justtrades paper` answers, also when only host and port were given."""
    address = _address(text)
    if (urlsplit(address).hostname or "").endswith(".tradovateapi.com"):
        raise ValueError("must be a paper broker, not Tradovate itself")
    return address if urlsplit(address).path else f"{address}/v1"


def _market(text: str) -> str:
    if text not in {"alerts", "walk"} and not re.fullmatch(r"csv:.+", text):
        raise ValueError("must be alerts, walk or csv:FILE")
    if text.startswith("csv:") and not Path(text.removeprefix("csv:")).is_file():
        raise ValueError("its CSV file does not exist")
    return text


def _rolls(text: str) -> str:
    parse_rolls(text)
    return text


def _key(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not re.fullmatch(r"[!-~]{8,200}", text):
        raise ValueError("must be 8 to 200 printable characters without spaces")
    return secret


def _sealing_key(secret: SecretStr) -> SecretStr:
    """32 bytes in base 64 are the key; any other text is a passphrase, and the key is made from it."""
    text = secret.get_secret_value().strip()
    if re.fullmatch(r"[A-Za-z0-9+/_-]{43}=", text):
        return SecretStr(text)
    if len(text) < 16:
        raise ValueError("must be 32 bytes in base 64, or a passphrase of at least 16 characters")
    # The salt is fixed because the same passphrase must give the same key at each start.
    key = hashlib.scrypt(text.encode(), salt=b"justtrades secret key", n=2**14, r=8, p=1, dklen=32)
    return SecretStr(base64.urlsafe_b64encode(key).decode())


def sealing_key(text: str) -> str:
    """The key that this text means, as `SECRET_KEY` would. ValueError with a sentence."""
    return _sealing_key(SecretStr(text)).get_secret_value()


Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Address = Annotated[str, AfterValidator(_address)]
Key = Annotated[SecretStr, AfterValidator(_key)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Settings(BaseSettings):
    """One frozen value; durations are seconds. The names are those of the contract."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    host: Annotated[str, Field(pattern=r"^[0-9A-Za-z.:_-]+$")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65_535)] = 8000
    database_url: Annotated[str, Field(repr=False), AfterValidator(_database)] = "sqlite+aiosqlite:///justtrades.db"
    admin_key: Key | None = None
    secret_key: Annotated[SecretStr, AfterValidator(_sealing_key)] | None = None
    webhook_allowed_ips: Annotated[str, AfterValidator(_allowed)] = "any"
    trusted_proxies: Annotated[str, AfterValidator(_proxies)] = ""
    tradovate_demo_url: Annotated[str, AfterValidator(_demo_address)] = "https://demo.tradovateapi.com/v1"
    tradovate_live_url: Address = "https://live.tradovateapi.com/v1"
    tradovate_oauth_url: Address = "https://trader.tradovate.com/oauth"
    tradovate_oauth_token_url: Annotated[str, AfterValidator(_token_address)] | None = None
    tradovate_oauth_redirect_url: Address | None = None
    tradovate_oauth_client_id: Annotated[str, Field(pattern=r"^[!-~]{1,8192}$")] | None = None
    tradovate_oauth_client_secret: SecretStr | None = None
    live_trading: bool = False
    request_timeout_seconds: Seconds = 5
    settle_seconds: Seconds = 15
    truth_poll_seconds: Seconds = 20
    entry_max_age_seconds: Seconds = 30
    penalty_rest_seconds: Seconds = 3600
    webhook_rate_per_minute: Count = 120
    duplicate_seconds: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 3
    paper_market: Annotated[str, AfterValidator(_market)] = "alerts"
    paper_url: Annotated[str, AfterValidator(_paper_address)] | None = None
    audit_days: Annotated[int, Field(ge=1, le=36_500)] = 90
    self_audit_seconds: Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)] = 300
    budget_per_minute: Count = 60
    budget_per_hour: Count = 4000
    roll_days: Annotated[str, AfterValidator(_rolls)] = ""
    price_tolerance_percent: Annotated[Decimal, Field(ge=0, le=1_000, allow_inf_nan=False)] = Decimal(10)
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"
    log_format: Annotated[Literal["console", "json"], BeforeValidator(str.lower)] = "console"


class GivenSettings(Settings):
    """Only what its maker says: no `.env`, nothing of the owner's environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings,)


def load() -> Settings:
    """The settings of this process; `BadSetting` for the first that cannot be used."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise BadSetting(_variable(first["loc"]), _sentence(first)) from None
    except SettingsError as error:
        raise BadSetting(_named_in(str(error)), "cannot be read") from None
    except (OSError, UnicodeDecodeError):
        raise BadSetting(".env", "the file cannot be read as UTF-8 text") from None


def unknown() -> tuple[str, ...]:
    """Variables of the environment that begin as ours do and set nothing, such as a misspelt one."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    return tuple(sorted(name for name in map(str.upper, os.environ) if name.startswith(PREFIX) and name not in known))


def allowed_networks(text: str) -> tuple[Network, ...] | None:
    """Who may send alerts; None: anyone. ValueError when an item is no address or network."""
    if text.strip().lower() == "any":
        return None
    found = tuple(network for item in _items(text) for network in _allowed_item(item))
    if not found:
        raise ValueError("must be any, tradingview, or a comma list of addresses and networks")
    return found


def trusted_networks(text: str) -> tuple[Network, ...]:
    """The proxies whose `X-Forwarded-For` counts."""
    return _networks(text)


def key_file(settings: Settings) -> Path:
    """Where `serve` writes the key that is valid on loopback only: `<database stem>.admin`."""
    return _beside_database(settings, ".admin")


def paper_address_file(settings: Settings) -> Path:
    """Where `serve` leaves the address of its embedded paper broker, for rehearsals: `<database stem>.paper`."""
    return _beside_database(settings, ".paper")


def secret_file(settings: Settings) -> Path:
    """Where the key that seals broker credentials is made on first start, when none is set."""
    return _beside_database(settings, ".key").with_name("justtrades.key")


def _beside_database(settings: Settings, suffix: str) -> Path:
    from justtrades.store.engines import in_memory, is_sqlite, parse

    url = parse(settings.database_url)
    if not is_sqlite(url) or in_memory(url) or not url.database:
        return Path("justtrades").with_suffix(suffix)
    return Path(url.database).with_suffix(suffix)


def _allowed_item(item: str) -> tuple[Network, ...]:
    return _networks(",".join(TRADINGVIEW)) if item.lower() == "tradingview" else (_network(item),)


def _variable(location: tuple[int | str, ...]) -> str:
    """Pydantic locates a field by its name, or by the variable it was read from."""
    name = str(location[0]).upper() if location else "settings"
    return name if name.startswith(PREFIX) else PREFIX + name


def _named_in(text: str) -> str:
    found = re.search(r'field "(\w+)"', text)
    return PREFIX + found[1].upper() if found else "settings"


def _sentence(error: ErrorDetails) -> str:
    if error["type"] == "string_pattern_mismatch":
        return "has characters that cannot stand there"
    told = error["msg"].removeprefix("Value error, ")
    return (told[:1].lower() + told[1:]).replace("\n", " ").replace("input should", "must")
