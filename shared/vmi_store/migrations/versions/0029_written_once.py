"""What is written once and read whole is kept as it was written: explanations are not taken apart, messages not packed.

An explanation is read by its proposal and version only; as ``json`` it costs half, and a sixth less of space. A message
is read once by the relay and deleted soon: packing it takes longer than all else that is done to its row.

This writes ``proposal_version`` anew, under a lock: let the workers stand where it is large.
"""

from alembic import op

revision = "0029_written_once"
down_revision = "0028_counts_by_people"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE proposal_version ALTER COLUMN explanation TYPE json USING explanation::json")
    op.execute("ALTER TABLE outbox ALTER COLUMN payload SET STORAGE EXTERNAL")


def downgrade() -> None:
    op.execute("ALTER TABLE outbox ALTER COLUMN payload SET STORAGE EXTENDED")
    op.execute("ALTER TABLE proposal_version ALTER COLUMN explanation TYPE jsonb USING explanation::jsonb")
