"""Quarantine: which worker tries again, how often it did, and who discarded what, and why."""

from alembic import op

revision = "0012_quarantine_acts"
down_revision = "0011_feeds"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE quarantine
            ADD COLUMN worker      text    NOT NULL DEFAULT 'inventory',  -- who could not take it in
            ADD COLUMN tries       integer NOT NULL DEFAULT 0,            -- how often it was tried again
            ADD COLUMN tried_at    timestamptz,
            ADD COLUMN settled_who text,
            ADD COLUMN settled_why text,
            ADD CONSTRAINT discarding_is_an_act
                CHECK (settled_by <> 'discarded' OR (settled_who IS NOT NULL AND settled_why IS NOT NULL))
    """)
    op.execute("""
        UPDATE quarantine SET worker = CASE topic WHEN 'vmi.positions.v1' THEN 'forecast' ELSE 'replenishment' END
        WHERE topic IN ('vmi.positions.v1', 'vmi.forecasts.v1', 'vmi.proposal-answers.v1')
    """)
    op.execute("CREATE INDEX quarantine_record ON quarantine (record_id)")
    op.execute("CREATE INDEX quarantine_settled ON quarantine (settled_by, settled_at) WHERE settled_at IS NOT NULL")


def downgrade() -> None:
    op.execute("DROP INDEX quarantine_settled")
    op.execute("DROP INDEX quarantine_record")
    op.execute("""
        ALTER TABLE quarantine
            DROP COLUMN worker, DROP COLUMN tries, DROP COLUMN tried_at, DROP COLUMN settled_who,
            DROP COLUMN settled_why
    """)
