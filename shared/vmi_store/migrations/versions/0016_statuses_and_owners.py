"""Stock by status and by owner: what became unavailable, and what became the customer's, after the last count."""

from alembic import op

revision = "0016_statuses_and_owners"
down_revision = "0015_customer_wishes"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE position
            ADD COLUMN held_back      numeric(20, 6) NOT NULL DEFAULT 0,  -- became unavailable after the anchor
            ADD COLUMN supplier_owned numeric(20, 6),                     -- at the anchor; null where it said nothing
            ADD COLUMN titled         numeric(20, 6) NOT NULL DEFAULT 0   -- became the customer's after the anchor
    """)
    op.execute("""
        ALTER TABLE daily_balance
            ADD COLUMN held_back numeric(20, 6) NOT NULL DEFAULT 0,  -- became unavailable
            ADD COLUMN titled    numeric(20, 6) NOT NULL DEFAULT 0   -- became the customer's
    """)
    op.execute("""
        -- The few agreements by which facts are read otherwise than by default.
        CREATE INDEX agreement_reading ON agreement (customer_id, location_id, item_id)
        WHERE terms ?| ARRAY['demand_stream', 'snapshot_cut_off']
    """)


def downgrade() -> None:
    op.execute("DROP INDEX agreement_reading")
    op.execute("ALTER TABLE position DROP COLUMN held_back, DROP COLUMN supplier_owned, DROP COLUMN titled")
    op.execute("ALTER TABLE daily_balance DROP COLUMN held_back, DROP COLUMN titled")
