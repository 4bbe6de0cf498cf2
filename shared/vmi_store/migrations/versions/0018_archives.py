"""Archives: what left the journal, and what its lines add up to, so that what is left still folds right."""

from alembic import op

revision = "0018_archives"
down_revision = "0017_understanding"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- Files that hold what the journal held once.
        CREATE TABLE journal_archive (
            file         text        PRIMARY KEY,  -- its name; where it is kept is the operator's affair
            first_at     timestamptz NOT NULL,     -- of its lines
            last_at      timestamptz NOT NULL,
            lines        bigint      NOT NULL,
            sha256       text        NOT NULL,
            archived_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            archived_by  text        NOT NULL
        )
    """)
    op.execute("""
        -- What the archived lines add to the site's days. Each key's last count is not archived.
        CREATE TABLE archived_day (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            day          date           NOT NULL,
            moved        numeric(20, 6) NOT NULL DEFAULT 0,
            received     numeric(20, 6) NOT NULL DEFAULT 0,
            sold         numeric(20, 6) NOT NULL DEFAULT 0,
            returned     numeric(20, 6) NOT NULL DEFAULT 0,
            lost         numeric(20, 6) NOT NULL DEFAULT 0,
            PRIMARY KEY (customer_id, location_id, item_id, day)
        )
    """)
    op.execute("""
        -- Up to when a location's archived facts have reached.
        CREATE TABLE archived_location (
            customer_id  text        NOT NULL,
            location_id  text        NOT NULL,
            reached_at   timestamptz NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        )
    """)
    op.execute("""
        -- Facts about supply whose journal lines are archived: they stay facts.
        ALTER TABLE supply_fact ADD COLUMN archived boolean NOT NULL DEFAULT false
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE supply_fact DROP COLUMN archived")
    op.execute("DROP TABLE archived_location")
    op.execute("DROP TABLE archived_day")
    op.execute("DROP TABLE journal_archive")
