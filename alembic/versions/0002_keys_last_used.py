"""When an admin key was last used.

Revises: 0001
Written: 2026-11-25
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

MOMENT = sa.Text().with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")


def upgrade() -> None:
    op.add_column("admin_keys", sa.Column("last_used_at", MOMENT, nullable=True))


def downgrade() -> None:
    op.drop_column("admin_keys", "last_used_at")
