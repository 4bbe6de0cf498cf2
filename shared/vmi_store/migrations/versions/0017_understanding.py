"""What demand is like, which classes follow, and what forecasts said at their time."""

from alembic import op

revision = "0017_understanding"
down_revision = "0016_statuses_and_owners"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- What a key's demand is like, as of a closed day (vmi_domain.understanding). Can be made anew.
        CREATE TABLE demand_profile (
            customer_id        text             NOT NULL,
            location_id        text             NOT NULL,
            item_id            text             NOT NULL,
            as_of              date             NOT NULL,  -- the last day that was looked at
            value              double precision NOT NULL,  -- of a year's demand, by the agreed price or in units
            value_class        text             NOT NULL,  -- A, B, C among the customer's items and locations
            value_held         integer          NOT NULL,  -- refreshes since it changed
            variation_class    text             NOT NULL,  -- X, Y, Z
            variation_held     integer          NOT NULL,
            pattern            text             NOT NULL,  -- smooth, erratic, intermittent, lumpy, none
            pattern_held       integer          NOT NULL,
            figures            jsonb            NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id)
        )
    """)
    op.execute("""
        CREATE TABLE customer_profile (
            customer_id     text             PRIMARY KEY,
            as_of           date             NOT NULL,
            value           double precision NOT NULL,
            customer_class  text             NOT NULL,  -- key, regular, occasional
            class_held      integer          NOT NULL,
            figures         jsonb            NOT NULL
        )
    """)
    op.execute("""
        -- Up to which closed day a location's profiles were refreshed.
        CREATE TABLE profile_refresh (
            customer_id  text NOT NULL,
            location_id  text NOT NULL,
            as_of        date NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        )
    """)
    op.execute("""
        -- What a forecast said when it was made, once a week; never changed, and forgotten after half a year.
        CREATE TABLE forecast_archive (
            customer_id  text  NOT NULL,
            location_id  text  NOT NULL,
            item_id      text  NOT NULL,
            made_on      date  NOT NULL,  -- the last closed day it knew
            said         bytea NOT NULL,  -- means of the days that follow, then quantiles of the first week's sum
            PRIMARY KEY (customer_id, location_id, item_id, made_on)
        )
    """)


def downgrade() -> None:
    for table in ("forecast_archive", "profile_refresh", "customer_profile", "demand_profile"):
        op.execute(f"DROP TABLE {table}")
