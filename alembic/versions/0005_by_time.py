"""Orders and fills are found by their time: a start reads the last days and not all there is.

Revises: 0004
Written: 2026-11-26
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_orders_ended_at", "orders", ["ended_at"])
    op.create_index("ix_fills_filled_at", "fills", ["filled_at"])


def downgrade() -> None:
    op.drop_index("ix_fills_filled_at", "fills")
    op.drop_index("ix_orders_ended_at", "orders")
