"""The journal by quarters of a year, so that what is old can leave, and what is hot stays small."""

from alembic import op

revision = "0006_journal_partitions"
down_revision = "0005_held_proposals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Nothing is copied: what is there becomes the default partition. `vmi journal prepare --since` sorts it.
    op.execute("ALTER TABLE journal RENAME TO journal_strays")
    op.execute("ALTER INDEX journal_pkey RENAME TO journal_strays_pkey")
    op.execute("""
        -- Every fact that was accepted, one row a document line; nothing in it is ever changed. Its one index serves
        -- uniqueness and the fold of a key. Partitioned by quarters of occurred_at, which are made ahead
        -- (vmi_store.partitions); what has no partition yet, or never will, is in journal_strays.
        CREATE TABLE journal (LIKE journal_strays INCLUDING ALL) PARTITION BY RANGE (occurred_at)
    """)
    op.execute("ALTER TABLE journal ATTACH PARTITION journal_strays DEFAULT")
    op.execute("""
        -- Rows come and stay: they are frozen while they are few.
        ALTER TABLE journal_strays SET (
            autovacuum_vacuum_insert_scale_factor = 0.0, autovacuum_vacuum_insert_threshold = 500000,
            autovacuum_analyze_scale_factor = 0.02
        )
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE journal RENAME TO journal_parted")
    op.execute("ALTER INDEX journal_pkey RENAME TO journal_parted_pkey")
    op.execute("CREATE TABLE journal (LIKE journal_parted INCLUDING ALL)")
    op.execute("INSERT INTO journal SELECT * FROM journal_parted")
    op.execute("DROP TABLE journal_parted")
    op.execute("ALTER INDEX IF EXISTS journal_parted_pkey1 RENAME TO journal_pkey")
