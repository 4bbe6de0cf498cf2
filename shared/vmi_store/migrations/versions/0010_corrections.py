"""Corrections: which documents are superseded and by what, and where the lines of a document stand in the journal."""

from alembic import op

revision = "0010_corrections"
down_revision = "0009_exceptions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE inbox
            ADD COLUMN location_id text,         -- where its lines stand in the journal
            ADD COLUMN occurred_at timestamptz,  -- and when
            ADD COLUMN occurred_on date,         -- or, where it names a day alone, about when
            ALTER COLUMN payload_hash DROP NOT NULL  -- null: something was said of the document before it came
    """)
    op.execute("""
        -- What takes the place of a document, or takes it back. Nothing in it is ever changed: what is superseded stays
        -- so, and therefore it does not matter what came first.
        CREATE TABLE supersession (
            customer_id       text        NOT NULL,
            name_key          bytea       NOT NULL,  -- the inbox key of revision 0 of the document that is superseded
            by_key            bytea       NOT NULL,  -- the inbox key of what supersedes it
            through_revision  integer     NOT NULL,  -- its revisions up to this one
            own_revision      integer,               -- where by_key is itself a revision of the document: which one
            recorded_at       timestamptz NOT NULL,  -- when the broker appended what supersedes it
            PRIMARY KEY (customer_id, name_key, by_key)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE supersession")
    op.execute("DELETE FROM inbox WHERE payload_hash IS NULL")
    op.execute("""
        ALTER TABLE inbox
            DROP COLUMN location_id, DROP COLUMN occurred_at, DROP COLUMN occurred_on,
            ALTER COLUMN payload_hash SET NOT NULL
    """)
