"""What customers ask for beside answers: quantities for an opportunity, and numbers for their purchase orders."""

from alembic import op

revision = "0015_customer_wishes"
down_revision = "0014_reconciliations"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- What a customer wants sent at one order opportunity, whatever is computed.
        CREATE TABLE replenishment_wish (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            order_on     date           NOT NULL,  -- 'infinity' for the next opportunity after it was told
            quantity     numeric(20, 6),           -- null once it was taken back
            told_at      timestamptz    NOT NULL,
            reason       text           NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id, order_on)
        )
    """)
    op.execute("""
        -- Purchase order numbers that a customer gave out. A number is taken once, and never again.
        CREATE TABLE order_number (
            customer_id  text        NOT NULL,
            number       text        NOT NULL,
            location_id  text        NOT NULL,
            supplier_id  text        NOT NULL,  -- empty for any
            place        bigint      GENERATED ALWAYS AS IDENTITY,
            taken_by     uuid,                  -- the consolidation it is the number of
            taken_at     timestamptz,
            PRIMARY KEY (customer_id, number)
        )
    """)
    op.execute("CREATE UNIQUE INDEX order_number_taken ON order_number (customer_id, taken_by)")
    op.execute("""
        CREATE INDEX order_number_free ON order_number (customer_id, location_id, place) WHERE taken_by IS NULL
    """)
    # A compacted topic forgets a key by a record without a value.
    op.execute("ALTER TABLE outbox ALTER COLUMN payload DROP NOT NULL")


def downgrade() -> None:
    op.execute("DELETE FROM outbox WHERE payload IS NULL")
    op.execute("ALTER TABLE outbox ALTER COLUMN payload SET NOT NULL")
    op.execute("DROP TABLE order_number")
    op.execute("DROP TABLE replenishment_wish")
