"""The tables. Facts only grow: rows are added and completed, and what a lane forgets stays here.

A list is always "newest first", so every table a list is made of has a key that rises: ids that rise with time
(`ids`), or a `number` beside an id that others chose (orders, trades). Each index serves one question, named
beside it, so that hot paths and lists stay as quick with a million old rows as with none.

Columns named `*_json` hold the text of one codec each (`codec`), never queried into. Secrets are sealed
(`secrets`) or hashed; no column holds one in the clear.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final, cast

from sqlalchemy import (
    BigInteger,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from justtrades.store.types import ExactDecimal, UtcDateTime

# SQLite numbers rows by itself only in a column that is exactly INTEGER.
_Number = BigInteger().with_variant(Integer(), "sqlite")

UNFINISHED: Final = "status IN ('accepted', 'working')"
KEYLESS: Final = "repeat_key IS NULL"
REFUSED: Final = "status = 'refused'"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {Decimal: ExactDecimal, datetime: UtcDateTime, str: Text}  # noqa: RUF012 - SQLAlchemy's


class Connection(Base):
    """One login at a broker. `secrets` and `token` are sealed."""

    __tablename__ = "connections"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    environment: Mapped[str]
    auth: Mapped[str]
    username: Mapped[str | None]
    secrets: Mapped[bytes | None] = mapped_column(LargeBinary)
    token: Mapped[bytes | None] = mapped_column(LargeBinary)
    token_expires_at: Mapped[datetime | None]
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(primary_key=True)
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"))
    broker_account_id: Mapped[str]
    name: Mapped[str]
    active: Mapped[bool]
    why: Mapped[str | None]
    halted: Mapped[bool]
    halt_reason: Mapped[str | None]
    updated_at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("connection_id", "broker_account_id"),)


class Contract(Base):
    """A contract as a connection's broker described it: tick size in points, dollars per point. Not filled yet."""

    __tablename__ = "contracts"
    connection_id: Mapped[str] = mapped_column(ForeignKey("connections.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    broker_contract_id: Mapped[int] = mapped_column(BigInteger)
    tick_size: Mapped[Decimal]
    point_value: Mapped[Decimal]
    expires_at: Mapped[datetime | None]
    fetched_at: Mapped[datetime]


class Recorder(Base):
    """A strategy's rules. Its routes are part of the rules; the secret an alert must carry is sealed."""

    __tablename__ = "recorders"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    rules_json: Mapped[str]
    secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class RecorderToken(Base):
    """A webhook token, as its hash. `expires_at` is set when it was rotated out."""

    __tablename__ = "recorder_tokens"
    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    recorder_id: Mapped[str] = mapped_column(ForeignKey("recorders.id"), index=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]


class Signal(Base):
    """What an alert, or a person, asked. `recorder_json` is the recorder as it stood at that moment."""

    __tablename__ = "signals"
    id: Mapped[str] = mapped_column(primary_key=True)
    recorder_id: Mapped[str | None]
    received_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    source: Mapped[str]
    dialect: Mapped[str | None]
    verb: Mapped[str | None]
    ticker: Mapped[str | None]
    status: Mapped[str]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    finished_at: Mapped[datetime | None]
    repeat_key: Mapped[str | None]
    content_hash: Mapped[str]
    raw: Mapped[bytes] = mapped_column(LargeBinary)
    reading_json: Mapped[str | None]
    recorder_json: Mapped[str | None]
    __table_args__ = (
        # Is this alert a repeat? (NULL keys never collide.)
        UniqueConstraint("recorder_id", "repeat_key"),
        # The same for alerts without a key of their own: the same bytes, lately?
        Index(
            "ix_signals_same_bytes",
            "recorder_id",
            "content_hash",
            "id",
            sqlite_where=text(KEYLESS),
            postgresql_where=text(KEYLESS),
        ),
        # A recorder's signals, newest first.
        Index(None, "recorder_id", "id"),
        # What a restart has to go on with.
        Index("ix_signals_unfinished", "id", sqlite_where=text(UNFINISHED), postgresql_where=text(UNFINISHED)),
        # Refused alerts: all, and one recorder's.
        Index("ix_signals_refused", "id", sqlite_where=text(REFUSED), postgresql_where=text(REFUSED)),
        Index(
            "ix_signals_refused_of_recorder",
            "recorder_id",
            "id",
            sqlite_where=text(REFUSED),
            postgresql_where=text(REFUSED),
        ),
    )


class SignalRoute(Base):
    """One signal at one account. `contract` is empty until it is known which month is meant."""

    __tablename__ = "signal_routes"
    signal_id: Mapped[str] = mapped_column(ForeignKey("signals.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    contract: Mapped[str] = mapped_column(primary_key=True)
    status: Mapped[str]
    outcome: Mapped[str | None]
    reason: Mapped[str | None]
    finished_at: Mapped[datetime | None]


class Note(Base):
    """A sentence on a signal's receipt: what was trimmed, what was found out late."""

    __tablename__ = "signal_notes"
    number: Mapped[int] = mapped_column(_Number, primary_key=True)
    signal_id: Mapped[str] = mapped_column(index=True)
    account_id: Mapped[str]
    contract: Mapped[str]
    at: Mapped[datetime]
    text: Mapped[str]
    alarm: Mapped[bool]


class Lane(Base):
    """All that is known of one account × contract (`state_json`), and what people ask about most."""

    __tablename__ = "lanes"
    account_id: Mapped[str] = mapped_column(primary_key=True)
    contract: Mapped[str] = mapped_column(primary_key=True)
    state_json: Mapped[str]
    quantity: Mapped[int]
    broker_quantity: Mapped[int | None]
    foreign_quantity: Mapped[int]
    in_doubt: Mapped[bool]
    halted: Mapped[bool]
    halt_reason: Mapped[str | None]
    owner_recorder_id: Mapped[str | None]
    unprotected_since: Mapped[datetime | None]
    unprotected_day: Mapped[str | None]
    # A duration for people, not money: a float is exact enough, and SQL can compare it.
    unprotected_seconds_max: Mapped[float]
    checked_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Journal(Base):
    """Every step of every lane: the event and the commands it led to."""

    __tablename__ = "journal"
    number: Mapped[int] = mapped_column(_Number, primary_key=True)
    account_id: Mapped[str]
    contract: Mapped[str]
    at: Mapped[datetime]
    key: Mapped[str | None]
    event_json: Mapped[str]
    commands_json: Mapped[str]
    signal_id: Mapped[str | None]
    __table_args__ = (
        # Was this event seen before? (NULL keys never collide.)
        UniqueConstraint("account_id", "contract", "key"),
        Index(None, "account_id", "contract", "number"),
        Index(
            "ix_journal_signal_id",
            "signal_id",
            sqlite_where=text("signal_id IS NOT NULL"),
            postgresql_where=text("signal_id IS NOT NULL"),
        ),
    )


class Order(Base):
    """One order of ours; `id` is the client order id. `average_price` and `filled_quantity` are its fills'."""

    __tablename__ = "orders"
    number: Mapped[int] = mapped_column(_Number, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    broker_order_id: Mapped[str | None]
    signal_id: Mapped[str | None] = mapped_column(index=True)
    trade_id: Mapped[str | None]
    account_id: Mapped[str]
    contract: Mapped[str]
    purpose: Mapped[str]
    leg: Mapped[int]
    action: Mapped[str]
    quantity: Mapped[int]
    order_type: Mapped[str]
    price: Mapped[Decimal | None]
    status: Mapped[str]
    filled_quantity: Mapped[int]
    average_price: Mapped[Decimal | None]
    reason: Mapped[str | None]
    text: Mapped[str | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        Index(None, "account_id", "contract", "number"),
        Index(None, "account_id", "number"),
        Index(None, "status", "number"),
        # What a start must recognise when the broker tells it again; and below.
        Index(None, "ended_at"),
    )


class Fill(Base):
    """One execution. `order_id` is empty while (or because) the order is not ours; a bust keeps its row."""

    __tablename__ = "fills"
    number: Mapped[int] = mapped_column(_Number, primary_key=True)
    broker_fill_id: Mapped[str]
    broker_order_id: Mapped[str]
    order_id: Mapped[str | None]
    trade_id: Mapped[str | None]
    account_id: Mapped[str]
    contract: Mapped[str]
    action: Mapped[str]
    quantity: Mapped[int]
    price: Mapped[Decimal]
    filled_at: Mapped[datetime]
    busted: Mapped[bool]
    __table_args__ = (
        UniqueConstraint("account_id", "broker_fill_id"),
        Index(None, "account_id", "contract", "number"),
        Index(None, "account_id", "number"),
        Index(None, "order_id"),
        Index(None, "trade_id"),
        Index(None, "filled_at"),
    )


class FillFee(Base):
    """What a fill cost, USD, every kind of fee together; may be here before its fill. Kept apart from `fills`
    because either comes first."""

    __tablename__ = "fill_fees"
    account_id: Mapped[str] = mapped_column(primary_key=True)
    broker_fill_id: Mapped[str] = mapped_column(primary_key=True)
    amount: Mapped[Decimal]


class RecordedTrade(Base):
    """Flat to flat. `pnl` is price difference × quantity × point value; `fees` stand beside it."""

    __tablename__ = "recorded_trades"
    number: Mapped[int] = mapped_column(_Number, primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    recorder_id: Mapped[str]
    signal_id: Mapped[str] = mapped_column(index=True)
    account_id: Mapped[str]
    ticker: Mapped[str]
    contract: Mapped[str]
    action: Mapped[str]
    side: Mapped[str]
    entry_price: Mapped[Decimal | None]
    exit_price: Mapped[Decimal | None]
    quantity: Mapped[int]
    tp_price: Mapped[Decimal | None]
    sl_price: Mapped[Decimal | None]
    status: Mapped[str]
    pnl: Mapped[Decimal | None]
    pnl_ticks: Mapped[Decimal | None]
    fees: Mapped[Decimal | None]
    exit_reason: Mapped[str | None]
    broker_order_id: Mapped[str | None]
    broker_strategy_id: Mapped[str | None]
    broker_fill_price: Mapped[Decimal | None]
    broker_managed_tp_sl: Mapped[bool]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    __table_args__ = (
        Index(None, "status", "number"),
        Index(None, "recorder_id", "number"),
        Index(None, "account_id", "number"),
        Index(None, "account_id", "contract", "number"),
    )


class RecorderPosition(Base):
    """What a recorder holds, one row per recorder × account × contract for good."""

    __tablename__ = "recorder_positions"
    id: Mapped[int] = mapped_column(_Number, primary_key=True)
    recorder_id: Mapped[str]
    account_id: Mapped[str]
    ticker: Mapped[str]
    contract: Mapped[str]
    side: Mapped[str]
    total_quantity: Mapped[int]
    avg_entry_price: Mapped[Decimal | None]
    status: Mapped[str]
    trade_id: Mapped[str]
    opened_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]
    __table_args__ = (
        UniqueConstraint("recorder_id", "account_id", "contract"),
        Index(None, "status", "id"),
    )


class Audit(Base):
    """Every broker call and answer and every event received, redacted. An unchanged read is kept as a hash."""

    __tablename__ = "audit"
    id: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    connection_id: Mapped[str | None]
    method: Mapped[str]
    endpoint: Mapped[str]
    status: Mapped[int | None]
    # A measurement, not money.
    duration_ms: Mapped[float | None]
    request: Mapped[str | None]
    response: Mapped[str | None]
    response_hash: Mapped[str | None] = mapped_column(String(64))
    signal_id: Mapped[str | None]
    order_id: Mapped[str | None]
    __table_args__ = (
        Index(
            "ix_audit_signal_id",
            "signal_id",
            sqlite_where=text("signal_id IS NOT NULL"),
            postgresql_where=text("signal_id IS NOT NULL"),
        ),
        Index(
            "ix_audit_order_id",
            "order_id",
            sqlite_where=text("order_id IS NOT NULL"),
            postgresql_where=text("order_id IS NOT NULL"),
        ),
        Index(None, "connection_id", "id"),
    )


class Switch(Base):
    """What a person switched and must outlive a restart, such as the kill switch."""

    __tablename__ = "switches"
    name: Mapped[str] = mapped_column(primary_key=True)
    is_on: Mapped[bool]
    reason: Mapped[str | None]
    at: Mapped[datetime]


class AdminKey(Base):
    """A key of a person or a script, as its hash."""

    __tablename__ = "admin_keys"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    scope: Mapped[str]
    hash: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class NotificationTarget(Base):
    """A place that is told what happens. `url` is sealed, since it holds a password or token."""

    __tablename__ = "notification_targets"
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    service: Mapped[str]
    kinds: Mapped[str]
    url: Mapped[bytes] = mapped_column(LargeBinary)
    enabled: Mapped[bool]
    created_at: Mapped[datetime]
    last_sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None]
    last_error_at: Mapped[datetime | None]


class Outbox(Base):
    """A message to one place: `count` pieces of news of one kind, the first few in `lines_json`."""

    __tablename__ = "outbox"
    number: Mapped[int] = mapped_column(_Number, primary_key=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("notification_targets.id"))
    kind: Mapped[str]
    title: Mapped[str]
    lines_json: Mapped[str]
    count: Mapped[int]
    status: Mapped[str]
    tries: Mapped[int]
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    __table_args__ = (
        # What is due? What does a place have waiting, and when was it last told of this kind?
        Index(None, "status", "due_at"),
        Index(None, "target_id", "kind", "status"),
    )


class Heartbeat(Base):
    """When a recorder's heartbeat was last heard, the period it names, and when its silence was told."""

    __tablename__ = "heartbeats"
    recorder_id: Mapped[str] = mapped_column(primary_key=True)
    heard_at: Mapped[datetime]
    period_seconds: Mapped[int | None]
    told_at: Mapped[datetime | None]


class SignalGap(Base):
    """A signal before which, by its strategy's position, another is missing."""

    __tablename__ = "signal_gaps"
    signal_id: Mapped[str] = mapped_column(primary_key=True)
    recorder_id: Mapped[str] = mapped_column(index=True)
    at: Mapped[datetime]
    text: Mapped[str]


class ShadowLane(Base):
    """What a recorder in shadow mode would hold."""

    __tablename__ = "shadow_lanes"
    recorder_id: Mapped[str] = mapped_column(primary_key=True)
    account_id: Mapped[str] = mapped_column(primary_key=True)
    contract: Mapped[str] = mapped_column(primary_key=True)
    state_json: Mapped[str]
    updated_at: Mapped[datetime]


def table(model: type[Base]) -> Table:
    """The model's Core table: hot paths speak Core, which costs a fraction of a session."""
    return cast(Table, model.__table__)


connections = table(Connection)
accounts = table(Account)
contracts = table(Contract)
recorders = table(Recorder)
recorder_tokens = table(RecorderToken)
signals = table(Signal)
signal_routes = table(SignalRoute)
signal_notes = table(Note)
lanes = table(Lane)
journal = table(Journal)
orders = table(Order)
fills = table(Fill)
fill_fees = table(FillFee)
recorded_trades = table(RecordedTrade)
recorder_positions = table(RecorderPosition)
audit = table(Audit)
switches = table(Switch)
admin_keys = table(AdminKey)
notification_targets = table(NotificationTarget)
outbox = table(Outbox)
heartbeats = table(Heartbeat)
signal_gaps = table(SignalGap)
shadow_lanes = table(ShadowLane)
