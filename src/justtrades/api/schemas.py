"""What `/api/v1` takes and gives, field by field as the contract names them.

Prices and money are decimal strings in plain notation, quantities whole numbers, times RFC 3339 in UTC with `Z`,
ids strings. What is taken is strict: a field nobody knows is a mistake somebody should hear of.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Context, Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
)

from justtrades.positions.model import OnGap, OnOpposite, OnSameSide, TargetUpdate
from justtrades.positions.prices import Unit
from justtrades.positions.recorder import ExitsFrom, Mode, QuantityFrom
from justtrades.store.types import plain, utc

T = TypeVar("T")

_PLACES = Decimal("1e-9")
_EXACT = Context(prec=200)


def rfc3339(at: datetime) -> str:
    return utc(at).astimezone(UTC).isoformat().replace("+00:00", "Z")


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


def decimal_text(value: Decimal) -> str:
    """Plain notation without idle zeros; averages end after nine places, as far as Tradovate's own go."""
    rounded = _EXACT.quantize(value, _PLACES) if int(value.as_tuple().exponent) < -9 else value
    text = plain(rounded)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _number(value: Decimal) -> int | float:
    """A share as a JSON number. It has few digits, and a double's shortest text is what it was made from."""
    return int(value) if value == value.to_integral_value() else float(value)


DecimalText = Annotated[
    Decimal,
    BeforeValidator(_no_bool),
    PlainSerializer(decimal_text, return_type=str),
    WithJsonSchema({"type": "string", "format": "decimal", "example": "24500.25"}),
]
ShareNumber = Annotated[
    Decimal,
    BeforeValidator(_no_bool),
    PlainSerializer(_number, return_type=int | float),
    WithJsonSchema({"type": "number", "example": 100}),
]
Moment = Annotated[
    datetime, PlainSerializer(rfc3339, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(max_length=500)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Contracts = Annotated[int, Field(ge=1, le=10_000, strict=True)]
Above = Annotated[DecimalText, Field(gt=0, lt=1_000_000_000, max_digits=28, allow_inf_nan=False)]


class Taken(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Given(BaseModel):
    """Read from rows and views by their names; a column more than is shown is no error."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")


class Page(Given, Generic[T]):
    """One page of a list, newest first. `next` is the cursor for `before`; null at the end."""

    items: list[T]
    next: str | None = None


class ProblemBody(Given):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str


# ── connections and accounts ─────────────────────────────────────────────────────────────────────────────────


class Credentials(Taken):
    username: Text | None = None
    password: Secret | None = None
    app_id: Text | None = None
    app_version: Text | None = None
    cid: (
        Annotated[
            str, StringConstraints(max_length=100), BeforeValidator(lambda v: str(v) if isinstance(v, int) else v)
        ]
        | None
    ) = None
    sec: Secret | None = None
    device_id: Text | None = None


class ConnectionIn(Credentials):
    name: Name
    environment: Literal["paper", "demo", "live"]
    auth: Literal["password", "oauth"] = "password"


class ConnectionPatch(Credentials):
    name: Name | None = None
    enabled: bool | None = None


class BudgetOut(Given):
    minute_used: int
    minute_limit: int
    hour_used: int
    hour_limit: int
    waiting: int


class ConnectionOut(Given):
    id: str
    name: str
    environment: str
    auth: str
    username: str | None = None
    enabled: bool
    state: Literal["connecting", "synced", "penalty", "refused", "offline"]
    reason: str | None = None
    token_expires_at: Moment | None = None
    last_event_at: Moment | None = None
    budget: BudgetOut | None = None
    created_at: Moment


class OAuthUrlOut(Given):
    """`url` is the broker's page, which sends the browser back to `redirect_uri`."""

    url: str
    redirect_uri: str
    expires_at: Moment


class BrokerAccountOut(Given):
    """An account as the broker lists it at this moment."""

    broker_account_id: str
    name: str
    active: bool
    why: str | None = None


class ConnectionTested(Given):
    accounts: list[BrokerAccountOut]


class AccountOut(Given):
    id: str
    connection_id: str
    broker_account_id: str
    name: str
    active: bool
    halted: bool
    """It takes no entries: we stopped it, until a person resumes it, or the broker did (then it is not `active`)."""
    halt_reason: str | None = None
    why: str | None = None
    """The broker's part of the reason; the halt ends by itself when he lets the account go."""


# ── recorders ────────────────────────────────────────────────────────────────────────────────────────────────


class TargetBody(Taken):
    model_config = ConfigDict(from_attributes=True)
    distance: Above
    unit: Unit = Unit.TICKS
    percent: Annotated[ShareNumber, Field(gt=0, le=100, max_digits=12)] = Decimal(100)


class StopBody(Taken):
    distance: Above
    unit: Unit = Unit.TICKS


class RouteBody(Taken):
    account_id: Name
    multiplier: Annotated[ShareNumber, Field(gt=0, le=1000, max_digits=12)] = Decimal(1)
    enabled: bool = True


class RecorderIn(Taken):
    """A strategy and its rules; see the README for what each rule means."""

    name: Name
    symbol: Name | None = None
    quantity: Contracts = 1
    quantity_from: QuantityFrom = QuantityFrom.RECORDER
    add_quantity: Contracts | None = None
    max_quantity: Contracts | None = None
    on_same_side: OnSameSide = OnSameSide.ADD
    on_opposite: OnOpposite = OnOpposite.REVERSE
    targets: Annotated[list[TargetBody], Field(max_length=10)] = []
    stop: StopBody | None = None
    exits_from: ExitsFrom = ExitsFrom.RECORDER
    target_update: TargetUpdate = TargetUpdate.MODIFY
    dialect: Name = "auto"
    mode: Mode = Mode.TRADE
    on_gap: OnGap = OnGap.BLOCK
    max_alert_age_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    secret: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    heartbeat_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    routes: Annotated[list[RouteBody], Field(max_length=100)] = []
    enabled: bool = True


class RecorderPatch(Taken):
    """Any of a recorder's fields; what is not named stays."""

    name: Name | None = None
    symbol: Name | None = None
    quantity: Contracts | None = None
    quantity_from: QuantityFrom | None = None
    add_quantity: Contracts | None = None
    max_quantity: Contracts | None = None
    on_same_side: OnSameSide | None = None
    on_opposite: OnOpposite | None = None
    targets: Annotated[list[TargetBody], Field(max_length=10)] | None = None
    stop: StopBody | None = None
    exits_from: ExitsFrom | None = None
    target_update: TargetUpdate | None = None
    dialect: Name | None = None
    mode: Mode | None = None
    on_gap: OnGap | None = None
    max_alert_age_seconds: Annotated[int, Field(ge=1, le=86_400)] | None = None
    secret: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    heartbeat_seconds: Annotated[int, Field(ge=1, le=604_800)] | None = None
    routes: Annotated[list[RouteBody], Field(max_length=100)] | None = None
    enabled: bool | None = None


class RecorderOut(RecorderIn):
    """`secret` is never shown; `has_secret` tells that there is one."""

    model_config = ConfigDict(extra="ignore")
    id: str
    has_secret: bool
    last_alert_at: Moment | None = None
    heartbeat_state: Literal["grey", "green", "red"] = "grey"
    """Grey until a first heartbeat whose period is known; red after one and a half periods of silence."""
    last_heartbeat_at: Moment | None = None
    heartbeat_period_seconds: int | None = None
    gaps: int = 0
    """Signals before which, by the strategy's position, another was missing."""
    last_gap_at: Moment | None = None
    created_at: Moment
    updated_at: Moment


class RecorderMade(RecorderOut):
    """The token is shown this once."""

    token: str
    webhook_url: str


class RotateIn(Taken):
    overlap_seconds: Annotated[int, Field(ge=0, le=31_536_000)] = 86_400


class RotateOut(Given):
    token: str
    webhook_url: str
    old_token_expires_at: Moment


# ── acts ─────────────────────────────────────────────────────────────────────────────────────────────────────


class CloseIn(Taken):
    account_id: Name
    contract: Name


class FlattenIn(Taken):
    account_id: Name | None = None


class ReconcileIn(Taken):
    """`dry_run`: only tell what differs; nothing is merged and nothing is sent."""

    account_id: Name | None = None
    dry_run: Annotated[bool, Field(strict=True)] = False


class KillIn(Taken):
    on: Annotated[bool, Field(strict=True)]
    reason: Text = ""


class ResumeIn(Taken):
    account_id: Name
    contract: Name
    decision: Literal["adopt", "leave"]
    recorder_id: Name | None = None


class CloseOut(Given):
    signal_id: str


class FlattenOut(Given):
    signal_ids: list[str]


class KillOut(Given):
    on: bool
    reason: str
    since: Moment | None = None
