"""What came of stock reports is found by its age: housekeeping read all of it, every hour, to find none."""

from alembic import op

revision = "0026_reconciliations_by_age"
down_revision = "0025_outbox_shards"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX reconciliation_as_of ON reconciliation USING brin (as_of) WITH (pages_per_range = 32)")


def downgrade() -> None:
    op.execute("DROP INDEX reconciliation_as_of")
