"""The first schema.

Revises: nothing
Written: 2026-11-23
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


# As justtrades.store.types keeps them; written out, because a migration must not change when they do.
MOMENT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
AMOUNT = sa.Text().with_variant(sa.Numeric(), "postgresql")
NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def only(condition: str) -> dict[str, Any]:
    """A partial index, on both databases."""
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def upgrade() -> None:
    op.create_table(
        "admin_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_admin_keys"),
        sa.UniqueConstraint("hash", name="uq_admin_keys_hash"),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=True),
        sa.Column("method", sa.Text(), nullable=False),
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("duration_ms", sa.Double(), nullable=True),
        sa.Column("request", sa.Text(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("response_hash", sa.String(length=64), nullable=True),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_connection_id_id", "audit", ["connection_id", "id"])
    op.create_index("ix_audit_order_id", "audit", ["order_id"], **only("order_id IS NOT NULL"))
    op.create_index("ix_audit_signal_id", "audit", ["signal_id"], **only("signal_id IS NOT NULL"))

    op.create_table(
        "connections",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("auth", sa.Text(), nullable=False),
        sa.Column("username", sa.Text(), nullable=True),
        sa.Column("secrets", sa.LargeBinary(), nullable=True),
        sa.Column("token", sa.LargeBinary(), nullable=True),
        sa.Column("token_expires_at", MOMENT, nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
    )
    op.create_table(
        "fill_fees",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("broker_fill_id", sa.Text(), nullable=False),
        sa.Column("amount", AMOUNT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "broker_fill_id", name="pk_fill_fees"),
    )
    op.create_table(
        "fills",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("broker_fill_id", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=False),
        sa.Column("order_id", sa.Text(), nullable=True),
        sa.Column("trade_id", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("price", AMOUNT, nullable=False),
        sa.Column("filled_at", MOMENT, nullable=False),
        sa.Column("busted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_fills"),
        sa.UniqueConstraint("account_id", "broker_fill_id", name="uq_fills_account_id_broker_fill_id"),
    )
    op.create_index("ix_fills_account_id_contract_number", "fills", ["account_id", "contract", "number"])
    op.create_index("ix_fills_account_id_number", "fills", ["account_id", "number"])
    op.create_index("ix_fills_order_id", "fills", ["order_id"])
    op.create_index("ix_fills_trade_id", "fills", ["trade_id"])

    op.create_table(
        "journal",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("key", sa.Text(), nullable=True),
        sa.Column("event_json", sa.Text(), nullable=False),
        sa.Column("commands_json", sa.Text(), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_journal"),
        sa.UniqueConstraint("account_id", "contract", "key", name="uq_journal_account_id_contract_key"),
    )
    op.create_index("ix_journal_account_id_contract_number", "journal", ["account_id", "contract", "number"])
    op.create_index("ix_journal_signal_id", "journal", ["signal_id"], **only("signal_id IS NOT NULL"))

    op.create_table(
        "lanes",
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("state_json", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("broker_quantity", sa.Integer(), nullable=True),
        sa.Column("foreign_quantity", sa.Integer(), nullable=False),
        sa.Column("in_doubt", sa.Boolean(), nullable=False),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("halt_reason", sa.Text(), nullable=True),
        sa.Column("owner_recorder_id", sa.Text(), nullable=True),
        sa.Column("unprotected_since", MOMENT, nullable=True),
        sa.Column("unprotected_day", sa.Text(), nullable=True),
        sa.Column("unprotected_seconds_max", sa.Double(), nullable=False),
        sa.Column("checked_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "contract", name="pk_lanes"),
    )
    op.create_table(
        "orders",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("broker_order_id", sa.Text(), nullable=True),
        sa.Column("signal_id", sa.Text(), nullable=True),
        sa.Column("trade_id", sa.Text(), nullable=True),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("leg", sa.Integer(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("order_type", sa.Text(), nullable=False),
        sa.Column("price", AMOUNT, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("filled_quantity", sa.Integer(), nullable=False),
        sa.Column("average_price", AMOUNT, nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_orders"),
        sa.UniqueConstraint("id", name="uq_orders_id"),
    )
    op.create_index("ix_orders_account_id_contract_number", "orders", ["account_id", "contract", "number"])
    op.create_index("ix_orders_account_id_number", "orders", ["account_id", "number"])
    op.create_index("ix_orders_signal_id", "orders", ["signal_id"])
    op.create_index("ix_orders_status_number", "orders", ["status", "number"])

    op.create_table(
        "recorded_trades",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("entry_price", AMOUNT, nullable=True),
        sa.Column("exit_price", AMOUNT, nullable=True),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("tp_price", AMOUNT, nullable=True),
        sa.Column("sl_price", AMOUNT, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("pnl", AMOUNT, nullable=True),
        sa.Column("pnl_ticks", AMOUNT, nullable=True),
        sa.Column("fees", AMOUNT, nullable=True),
        sa.Column("exit_reason", sa.Text(), nullable=True),
        sa.Column("broker_order_id", sa.Text(), nullable=True),
        sa.Column("broker_strategy_id", sa.Text(), nullable=True),
        sa.Column("broker_fill_price", AMOUNT, nullable=True),
        sa.Column("broker_managed_tp_sl", sa.Boolean(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("number", name="pk_recorded_trades"),
        sa.UniqueConstraint("id", name="uq_recorded_trades_id"),
    )
    op.create_index(
        "ix_recorded_trades_account_id_contract_number", "recorded_trades", ["account_id", "contract", "number"]
    )
    op.create_index("ix_recorded_trades_recorder_id_number", "recorded_trades", ["recorder_id", "number"])
    op.create_index("ix_recorded_trades_signal_id", "recorded_trades", ["signal_id"])
    op.create_index("ix_recorded_trades_status_number", "recorded_trades", ["status", "number"])

    op.create_table(
        "recorder_positions",
        sa.Column("id", NUMBER, nullable=False),
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("ticker", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("total_quantity", sa.Integer(), nullable=False),
        sa.Column("avg_entry_price", AMOUNT, nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("trade_id", sa.Text(), nullable=False),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT, nullable=True),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recorder_positions"),
        sa.UniqueConstraint(
            "recorder_id", "account_id", "contract", name="uq_recorder_positions_recorder_id_account_id_contract"
        ),
    )
    op.create_index("ix_recorder_positions_status_id", "recorder_positions", ["status", "id"])

    op.create_table(
        "recorders",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("rules_json", sa.Text(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_recorders"),
    )
    op.create_table(
        "signal_notes",
        sa.Column("number", NUMBER, nullable=False),
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("alarm", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="pk_signal_notes"),
    )
    op.create_index("ix_signal_notes_signal_id", "signal_notes", ["signal_id"])

    op.create_table(
        "signals",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("recorder_id", sa.Text(), nullable=True),
        sa.Column("received_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("dialect", sa.Text(), nullable=True),
        sa.Column("verb", sa.Text(), nullable=True),
        sa.Column("ticker", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.Column("repeat_key", sa.Text(), nullable=True),
        sa.Column("content_hash", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("reading_json", sa.Text(), nullable=True),
        sa.Column("recorder_json", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_signals"),
        sa.UniqueConstraint("recorder_id", "repeat_key", name="uq_signals_recorder_id_repeat_key"),
    )
    op.create_index("ix_signals_recorder_id_id", "signals", ["recorder_id", "id"])
    op.create_index("ix_signals_refused", "signals", ["id"], **only("status = 'refused'"))
    op.create_index("ix_signals_refused_of_recorder", "signals", ["recorder_id", "id"], **only("status = 'refused'"))
    op.create_index(
        "ix_signals_same_bytes", "signals", ["recorder_id", "content_hash", "id"], **only("repeat_key IS NULL")
    )
    op.create_index("ix_signals_unfinished", "signals", ["id"], **only("status IN ('accepted', 'working')"))

    op.create_table(
        "switches",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("is_on", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_switches"),
    )
    op.create_table(
        "accounts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("broker_account_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("why", sa.Text(), nullable=True),
        sa.Column("halted", sa.Boolean(), nullable=False),
        sa.Column("halt_reason", sa.Text(), nullable=True),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name="fk_accounts_connection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_accounts"),
        sa.UniqueConstraint("connection_id", "broker_account_id", name="uq_accounts_connection_id_broker_account_id"),
    )
    op.create_table(
        "contracts",
        sa.Column("connection_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("broker_contract_id", sa.BigInteger(), nullable=False),
        sa.Column("tick_size", AMOUNT, nullable=False),
        sa.Column("point_value", AMOUNT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.Column("fetched_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name="fk_contracts_connection_id"),
        sa.PrimaryKeyConstraint("connection_id", "name", name="pk_contracts"),
    )
    op.create_table(
        "recorder_tokens",
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["recorder_id"], ["recorders.id"], name="fk_recorder_tokens_recorder_id"),
        sa.PrimaryKeyConstraint("hash", name="pk_recorder_tokens"),
    )
    op.create_index("ix_recorder_tokens_recorder_id", "recorder_tokens", ["recorder_id"])

    op.create_table(
        "signal_routes",
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("finished_at", MOMENT, nullable=True),
        sa.ForeignKeyConstraint(["signal_id"], ["signals.id"], name="fk_signal_routes_signal_id"),
        sa.PrimaryKeyConstraint("signal_id", "account_id", "contract", name="pk_signal_routes"),
    )


def downgrade() -> None:
    op.drop_table("signal_routes")
    op.drop_table("recorder_tokens")
    op.drop_table("contracts")
    op.drop_table("accounts")
    op.drop_table("switches")
    op.drop_table("signals")
    op.drop_table("signal_notes")
    op.drop_table("recorders")
    op.drop_table("recorder_positions")
    op.drop_table("recorded_trades")
    op.drop_table("orders")
    op.drop_table("lanes")
    op.drop_table("journal")
    op.drop_table("fills")
    op.drop_table("fill_fees")
    op.drop_table("connections")
    op.drop_table("audit")
    op.drop_table("admin_keys")
