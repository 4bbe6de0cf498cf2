"""Exceptions: what a person must act on, each as it stands."""

from alembic import op

revision = "0009_exceptions"
down_revision = "0008_turns"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE exception (
            customer_id       text        NOT NULL,
            exception_id      uuid        NOT NULL,  -- derived from kind, customer, location, item and name
            location_id       text        NOT NULL,
            item_id           text        NOT NULL,  -- empty: the location as a whole
            kind              text        NOT NULL,
            name              text        NOT NULL,  -- a shipment, a supplier, a kind of document; or empty
            version           integer     NOT NULL,
            occurrence        integer     NOT NULL,
            status            text        NOT NULL,
            seen_at           timestamptz NOT NULL,
            changed_at        timestamptz NOT NULL,
            due_at            timestamptz,
            opened_at         timestamptz,
            closed_at         timestamptz,
            sentence          text        NOT NULL,
            details           jsonb       NOT NULL,
            author            text        NOT NULL,
            note              text        NOT NULL,
            suppressed        boolean     NOT NULL,
            suppressed_until  timestamptz,
            PRIMARY KEY (customer_id, exception_id)
        ) WITH (fillfactor = 70)
    """)
    op.execute("""
        CREATE INDEX exception_active ON exception (customer_id, location_id, item_id) WHERE status <> 'closed'
    """)


def downgrade() -> None:
    op.execute("DROP TABLE exception")
