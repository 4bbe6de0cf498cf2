"""Proposals that stand while another quantity is asked for, that a person must look at, that are countered."""

from alembic import op

revision = "0013_steady_proposals"
down_revision = "0012_quarantine_acts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        ALTER TABLE proposal
            ADD COLUMN needed              numeric(20, 6),  -- what was missing when the quantity was decided
            ADD COLUMN requested           numeric(20, 6),  -- what we ask to change the quantity to
            ADD COLUMN review_because      text NOT NULL DEFAULT '',
            ADD COLUMN answer_reason_code  text
    """)
    op.execute("""
        ALTER TABLE proposal_version
            ADD COLUMN requested     numeric(20, 6),
            ADD COLUMN countered_by  text  -- the party whose counter-proposal the version is
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE proposal_version DROP COLUMN requested, DROP COLUMN countered_by")
    op.execute("""
        ALTER TABLE proposal
            DROP COLUMN needed, DROP COLUMN requested, DROP COLUMN review_because, DROP COLUMN answer_reason_code
    """)
