"""What archived lines add to days by status and owner; and the age of documents, found without reading the inbox."""

from alembic import op

revision = "0020_archived_statuses"
down_revision = "0019_agreement_words"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE archived_day
            ADD COLUMN held_back numeric(20, 6) NOT NULL DEFAULT 0,
            ADD COLUMN titled    numeric(20, 6) NOT NULL DEFAULT 0
    """)
    op.execute("CREATE INDEX inbox_received ON inbox USING brin (received_at) WITH (pages_per_range = 32)")


def downgrade() -> None:
    op.execute("DROP INDEX inbox_received")
    op.execute("ALTER TABLE archived_day DROP COLUMN held_back, DROP COLUMN titled")
