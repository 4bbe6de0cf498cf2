"""Turns: who forecasts or replenishes at a location does so alone, and waits for nobody who takes in facts."""

from alembic import op

revision = "0008_turns"
down_revision = "0007_demand_plans"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- A lock a location and kind of work (vmi_store.turns). Its rows say nothing else and never change.
        CREATE TABLE turn (
            customer_id  text NOT NULL,
            location_id  text NOT NULL,
            work         text NOT NULL,  -- forecasting, replenishing
            PRIMARY KEY (customer_id, location_id, work)
        )
    """)


def downgrade() -> None:
    op.execute("DROP TABLE turn")
