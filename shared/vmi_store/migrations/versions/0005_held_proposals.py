"""Proposals that are kept back, and why."""

from alembic import op

revision = "0005_held_proposals"
down_revision = "0004_proposals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE proposal ADD COLUMN held_because text")


def downgrade() -> None:
    op.execute("ALTER TABLE proposal DROP COLUMN held_because")
