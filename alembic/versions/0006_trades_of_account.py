"""The trades of an account are listed along an index, however many there are.

Revises: 0005
Written: 2026-11-26
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_recorded_trades_account_id_number", "recorded_trades", ["account_id", "number"])


def downgrade() -> None:
    op.drop_index("ix_recorded_trades_account_id_number", "recorded_trades")
