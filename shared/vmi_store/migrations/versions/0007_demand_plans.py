"""Demand plans: what people say of demand to come, and of what forecasts should learn from."""

from alembic import op

revision = "0007_demand_plans"
down_revision = "0006_journal_partitions"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- Every revision of every plan, as it was stated. The highest one stands, of equal ones the last stated.
        CREATE TABLE demand_plan (
            customer_id  text        NOT NULL,
            location_id  text        NOT NULL,
            document     text        NOT NULL,  -- its CloudEvents type
            plan_id      text        NOT NULL,
            revision     integer     NOT NULL,
            stated_at    timestamptz NOT NULL,
            withdrawn    boolean     NOT NULL,
            author       text        NOT NULL,
            reason       text        NOT NULL,
            recorded_at  timestamptz NOT NULL,
            PRIMARY KEY (customer_id, location_id, document, plan_id, revision, stated_at)
        )
    """)
    op.execute("""
        CREATE TABLE demand_plan_line (
            customer_id      text             NOT NULL,
            location_id      text             NOT NULL,
            item_id          text             NOT NULL,
            document         text             NOT NULL,
            plan_id          text             NOT NULL,
            revision         integer          NOT NULL,
            line             integer          NOT NULL,
            stands           boolean          NOT NULL,  -- false once a higher revision took its place
            kind             text             NOT NULL,  -- vmi_domain.forecasting.plans.PlanKind
            first_day        date             NOT NULL,
            last_day         date             NOT NULL,
            quantity         numeric(20, 6),             -- base units
            factor           double precision,
            commitment       text             NOT NULL,
            net              boolean          NOT NULL,
            other_item       text,
            interchangeable  boolean          NOT NULL,
            stated_at        timestamptz      NOT NULL,
            author           text             NOT NULL,
            reason           text             NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id, document, plan_id, revision, stated_at, line, kind)
        )
    """)
    op.execute("""
        CREATE INDEX demand_plan_line_plan ON demand_plan_line (customer_id, location_id, document, plan_id)
        WHERE stands
    """)
    op.execute("""
        -- What promotions did to each item, learned from those that are over.
        CREATE TABLE promotion_uplift (
            customer_id  text             NOT NULL,
            location_id  text             NOT NULL,
            item_id      text             NOT NULL,
            expected     double precision NOT NULL,  -- what would have been usual on the promoted days, base units
            observed     double precision NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id)
        )
    """)
    op.execute("""
        -- Days whose demand, as forecasts see it, is not what was sold: never to be read as sales.
        CREATE TABLE corrected_demand (
            customer_id  text             NOT NULL,
            location_id  text             NOT NULL,
            item_id      text             NOT NULL,
            day          date             NOT NULL,
            observed     double precision NOT NULL,  -- sold and known to be lost, less what came back
            demand       double precision NOT NULL,  -- what was wanted, as far as can be told
            cause        text             NOT NULL,  -- sold_out, nothing_to_sell, adjusted, set_aside
            PRIMARY KEY (customer_id, location_id, item_id, day)
        )
    """)


def downgrade() -> None:
    for table in ("corrected_demand", "promotion_uplift", "demand_plan_line", "demand_plan"):
        op.execute(f"DROP TABLE {table}")
