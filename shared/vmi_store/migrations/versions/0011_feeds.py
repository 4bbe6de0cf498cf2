"""Feeds: up to when each location's documents of a kind have told, and when to look whether more have come."""

from alembic import op

revision = "0011_feeds"
down_revision = "0010_corrections"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE feed (
            customer_id    text        NOT NULL,
            location_id    text        NOT NULL,
            kind           text        NOT NULL,
            reached_at     timestamptz,           -- the latest time of which a document speaks
            watched_since  timestamptz,           -- when an agreement first named a cadence; null: not watched
            stale_since    timestamptz,
            due_at         timestamptz,           -- when to look again; null: not watched
            PRIMARY KEY (customer_id, location_id, kind)
        ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)
    """)
    op.execute("CREATE INDEX feed_due ON feed (due_at) WHERE due_at IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP TABLE feed")
