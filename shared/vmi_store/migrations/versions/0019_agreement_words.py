"""What was said of each agreement over time: words are added, never changed."""

from alembic import op

revision = "0019_agreement_words"
down_revision = "0018_archives"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE agreement_word (
            customer_id      text        NOT NULL,
            location_id      text        NOT NULL,
            item_id          text        NOT NULL,
            supplier_id      text        NOT NULL,
            effective_from   date        NOT NULL,
            recorded_at      timestamptz NOT NULL,  -- when the broker appended it
            terms            jsonb       NOT NULL,  -- what differs from the defaults
            PRIMARY KEY (customer_id, location_id, item_id, supplier_id, effective_from, recorded_at)
        )
    """)
    op.execute("""
        INSERT INTO agreement_word (
            customer_id, location_id, item_id, supplier_id, effective_from, recorded_at, terms)
        SELECT customer_id, location_id, item_id, supplier_id, effective_from, recorded_at, terms FROM agreement
    """)


def downgrade() -> None:
    op.execute("DROP TABLE agreement_word")
