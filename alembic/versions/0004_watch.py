"""What a recorder's alerts were heard of, where one was missing, and the lanes of shadow recorders.

Revises: 0003
Written: 2026-11-25
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

MOMENT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.create_table(
        "heartbeats",
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("heard_at", MOMENT, nullable=False),
        sa.Column("period_seconds", sa.Integer(), nullable=True),
        sa.Column("told_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("recorder_id", name="pk_heartbeats"),
    )
    op.create_table(
        "signal_gaps",
        sa.Column("signal_id", sa.Text(), nullable=False),
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("signal_id", name="pk_signal_gaps"),
    )
    op.create_index("ix_signal_gaps_recorder_id", "signal_gaps", ["recorder_id"])
    op.create_table(
        "shadow_lanes",
        sa.Column("recorder_id", sa.Text(), nullable=False),
        sa.Column("account_id", sa.Text(), nullable=False),
        sa.Column("contract", sa.Text(), nullable=False),
        sa.Column("state_json", sa.Text(), nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("recorder_id", "account_id", "contract", name="pk_shadow_lanes"),
    )


def downgrade() -> None:
    op.drop_table("shadow_lanes")
    op.drop_table("signal_gaps")
    op.drop_table("heartbeats")
