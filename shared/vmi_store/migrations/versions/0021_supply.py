"""What suppliers can promise, and who needs of it."""

from alembic import op

revision = "0021_supply"
down_revision = "0020_archived_statuses"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- What a supplier said last of an item. Its row is also the lock of all who share in it.
        CREATE TABLE supply_statement (
            customer_id  text           NOT NULL,  -- empty where it is for whoever has an agreement
            supplier_id  text           NOT NULL,
            item_id      text           NOT NULL,
            stated_at    timestamptz    NOT NULL,
            revision     integer        NOT NULL,
            available    numeric(20, 6),
            on_hand      numeric(20, 6),
            production   jsonb          NOT NULL,  -- pairs of a day and a quantity
            valid_until  timestamptz,
            allocation   text           NOT NULL,
            recorded_at  timestamptz    NOT NULL,
            PRIMARY KEY (customer_id, supplier_id, item_id)
        )
    """)
    op.execute("""
        -- What a key needs of a supply that limits it, as it was reviewed last, and what of it it was given.
        CREATE TABLE supply_claim (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            supplier_id  text           NOT NULL,
            pool         text           NOT NULL,  -- the statement's customer_id
            order_day    date           NOT NULL,
            need         numeric(20, 6) NOT NULL,
            reserved     numeric(20, 6) NOT NULL,  -- offered for earlier opportunities, not answered yet
            target       numeric(20, 6) NOT NULL,
            position     numeric(20, 6) NOT NULL,
            quota        numeric(20, 6) NOT NULL,
            priority     smallint       NOT NULL,
            pack         numeric(20, 6) NOT NULL,
            share        numeric(20, 6) NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id)
        )
    """)
    op.execute("CREATE INDEX supply_claim_of_pool ON supply_claim (pool, supplier_id, item_id)")
    op.execute("""
        CREATE INDEX agreement_limited_by_supply ON agreement (supplier_id, item_id) WHERE terms ? 'supply_limit'
    """)


def downgrade() -> None:
    op.execute("DROP INDEX agreement_limited_by_supply")
    op.execute("DROP TABLE supply_claim")
    op.execute("DROP TABLE supply_statement")
