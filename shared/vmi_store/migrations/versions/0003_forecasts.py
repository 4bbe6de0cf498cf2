"""Forecasts: each key's state, some of its past ones, and up to which day a location is closed."""

from alembic import op

revision = "0003_forecasts"
down_revision = "0002_facts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- What was learned of a key's demand: figures of a fixed number (vmi_domain.forecasting.state). Can be made
        -- anew from daily_balance.
        CREATE TABLE forecast (
            customer_id  text     NOT NULL,
            location_id  text     NOT NULL,
            item_id      text     NOT NULL,
            version      bigint   NOT NULL,  -- counts up with every change
            through_day  date     NOT NULL,  -- the last closed day it has learned from
            began_on     date     NOT NULL,  -- the first
            layout       smallint NOT NULL,  -- which figures the state holds; of another layout it is learned anew
            state        bytea    NOT NULL,
            told_level   double precision NOT NULL,  -- the demand level subscribers were last told of
            PRIMARY KEY (customer_id, location_id, item_id)
        ) WITH (fillfactor = 60)             -- every row changes every day, in place
    """)
    op.execute("""
        -- The states of some past days: a late fact redoes its series from the last one before it.
        CREATE TABLE forecast_checkpoint (
            customer_id  text     NOT NULL,
            location_id  text     NOT NULL,
            item_id      text     NOT NULL,
            through_day  date     NOT NULL,
            layout       smallint NOT NULL,
            state        bytea    NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id, through_day)
        )
    """)
    op.execute("""
        -- Up to which of its own days a location is closed: all its forecasts have learned up to there.
        CREATE TABLE forecast_location (
            customer_id  text NOT NULL,
            location_id  text NOT NULL,
            through_day  date NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        ) WITH (fillfactor = 60)
    """)


def downgrade() -> None:
    op.execute("DROP TABLE forecast_location")
    op.execute("DROP TABLE forecast_checkpoint")
    op.execute("DROP TABLE forecast")
