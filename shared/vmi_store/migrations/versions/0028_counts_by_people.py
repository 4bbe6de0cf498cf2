"""The last count by people is found by itself: of a key that nobody counted all reports were read for it, every day."""

from alembic import op

revision = "0028_counts_by_people"
down_revision = "0027_claims_by_source"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE INDEX reconciliation_by_people ON reconciliation (customer_id, location_id, item_id, as_of)
        WHERE cause = 'count_reconcile' AND NOT due
    """)


def downgrade() -> None:
    op.execute("DROP INDEX reconciliation_by_people")
