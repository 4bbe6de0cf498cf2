"""Proposals as they stand, every version of them, and when each key is to be looked at again."""

from alembic import op

revision = "0004_proposals"
down_revision = "0003_forecasts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- A proposal as it stands: for one item at one location, one order opportunity and supplier. A further part
        -- is what was missing again after the part before it was bound.
        CREATE TABLE proposal (
            customer_id        text           NOT NULL,
            location_id        text           NOT NULL,
            item_id            text           NOT NULL,
            order_at           timestamptz    NOT NULL,
            supplier_id        text           NOT NULL,
            part               smallint       NOT NULL,
            proposal_id        uuid           NOT NULL,  -- derived from the columns above
            version            integer        NOT NULL,
            status             text           NOT NULL,
            quantity           numeric(20, 6) NOT NULL CHECK (quantity >= 0),
            deliver_at         timestamptz    NOT NULL,
            expires_at         timestamptz    NOT NULL,
            issued_at          timestamptz    NOT NULL,  -- of this version
            finished           boolean        NOT NULL,  -- it matters to its own opportunity only
            answer_id          uuid,                     -- the answer that counts
            answer_kind        text,
            answer_version     integer,
            answer_at          timestamptz,
            answer_offered     numeric(20, 6),
            answer_quantity    numeric(20, 6),
            answer_deliver_at  timestamptz,
            answer_party       text,
            answer_reason      text,
            PRIMARY KEY (customer_id, location_id, item_id, order_at, supplier_id, part),
            UNIQUE (customer_id, proposal_id)
        ) WITH (fillfactor = 70)
    """)
    op.execute("CREATE INDEX proposal_live ON proposal (customer_id, location_id, item_id) WHERE NOT finished")
    op.execute("""
        -- Every version that was issued, with its why. Never changed.
        CREATE TABLE proposal_version (
            customer_id  text           NOT NULL,
            proposal_id  uuid           NOT NULL,
            version      integer        NOT NULL,
            status       text           NOT NULL,
            quantity     numeric(20, 6) NOT NULL,
            deliver_at   timestamptz    NOT NULL,
            expires_at   timestamptz    NOT NULL,
            issued_at    timestamptz    NOT NULL,
            reason       text           NOT NULL,
            explanation  jsonb          NOT NULL,
            PRIMARY KEY (customer_id, proposal_id, version)
        )
    """)
    op.execute("""
        -- When a key is to be looked at again though nothing happens: its cut-off passes, a proposal expires.
        CREATE TABLE replenishment_due (
            customer_id  text        NOT NULL,
            location_id  text        NOT NULL,
            item_id      text        NOT NULL,
            due_at       timestamptz NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id)
        ) WITH (fillfactor = 70)
    """)
    op.execute("CREATE INDEX replenishment_due_at ON replenishment_due (due_at)")


def downgrade() -> None:
    op.execute("DROP TABLE replenishment_due")
    op.execute("DROP TABLE proposal_version")
    op.execute("DROP TABLE proposal")
