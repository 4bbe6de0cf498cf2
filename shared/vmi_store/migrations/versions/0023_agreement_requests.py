"""Changes of agreements that one party asks for and the other one is to answer."""

from alembic import op

revision = "0023_agreement_requests"
down_revision = "0022_models"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE agreement_request (
            customer_id     text        NOT NULL,
            request_id      uuid        NOT NULL,
            location_id     text        NOT NULL,
            item_id         text        NOT NULL,
            supplier_id     text        NOT NULL,
            effective_from  date        NOT NULL,
            requested_by    text        NOT NULL,
            recorded_at     timestamptz NOT NULL,  -- when the broker appended it
            terms           jsonb       NOT NULL,  -- the agreement as it is asked for, what differs from the defaults
            status          text        NOT NULL DEFAULT 'open',
            answered_at     timestamptz,
            answered_by     text,
            reason          text        NOT NULL DEFAULT '',
            PRIMARY KEY (customer_id, request_id),
            CHECK (status IN ('open', 'accepted', 'rejected', 'superseded'))
        )
    """)
    op.execute("""
        CREATE INDEX agreement_request_open ON agreement_request
            (customer_id, location_id, item_id, supplier_id, effective_from) WHERE status = 'open'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE agreement_request")
