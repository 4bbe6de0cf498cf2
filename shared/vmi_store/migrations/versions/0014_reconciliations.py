"""Counts against what the facts said before them, and the counts that are asked for."""

from alembic import op

revision = "0014_reconciliations"
down_revision = "0013_steady_proposals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- Each count and report with what was expected of it: the difference is the adjustment that is booked for it.
        -- Derived from the journal, and derived again when a late fact falls before it.
        CREATE TABLE reconciliation (
            customer_id   text           NOT NULL,
            location_id   text           NOT NULL,
            item_id       text           NOT NULL,
            as_of         timestamptz    NOT NULL,
            due           boolean        NOT NULL,            -- to be derived (again)
            cause         text           NOT NULL DEFAULT '', -- snapshot_reconcile, count_reconcile
            counted       numeric(20, 6) NOT NULL DEFAULT 0,
            set_apart     numeric(20, 6) NOT NULL DEFAULT 0,  -- unavailable and reserved, as counted
            since         timestamptz,                        -- the count before; null: there is none
            expected      numeric(20, 6),
            drift         numeric(20, 6) NOT NULL DEFAULT 0,
            newly_apart   numeric(20, 6) NOT NULL DEFAULT 0,  -- set apart since the count before
            facts         integer        NOT NULL DEFAULT 0,  -- that moved stock since then
            sold          numeric(20, 6) NOT NULL DEFAULT 0,  -- less what came back
            received      numeric(20, 6) NOT NULL DEFAULT 0,
            adjusted      numeric(20, 6) NOT NULL DEFAULT 0,
            transferred   numeric(20, 6) NOT NULL DEFAULT 0,
            PRIMARY KEY (customer_id, location_id, item_id, as_of)
        ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05)
    """)
    op.execute("CREATE INDEX reconciliation_due ON reconciliation (customer_id, location_id, item_id) WHERE due")
    op.execute("ALTER TABLE location ADD COLUMN counts_a_day integer NOT NULL DEFAULT 5")
    op.execute("""
        CREATE TABLE count_request (
            customer_id   text             NOT NULL,
            location_id   text             NOT NULL,
            item_id       text             NOT NULL,
            requested_on  date             NOT NULL,  -- the site's day
            request_id    uuid             NOT NULL,
            requested_at  timestamptz      NOT NULL,
            reason        text             NOT NULL,
            expected      numeric(20, 6)   NOT NULL,  -- on the shelf, when it was asked for
            confidence    double precision NOT NULL,
            answered_at   timestamptz,                -- as-of time of the count that answered it
            counted       numeric(20, 6),
            PRIMARY KEY (customer_id, location_id, item_id, requested_on)
        )
    """)
    op.execute("""
        CREATE INDEX count_request_open ON count_request (customer_id, location_id, item_id) WHERE answered_at IS NULL
    """)
    op.execute("""
        -- Up to which of its own days a location's records have been judged.
        CREATE TABLE record_survey (
            customer_id  text NOT NULL,
            location_id  text NOT NULL,
            through_day  date NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        )
    """)


def downgrade() -> None:
    op.execute("ALTER TABLE location DROP COLUMN counts_a_day")
    op.execute("DROP TABLE record_survey")
    op.execute("DROP TABLE count_request")
    op.execute("DROP TABLE reconciliation")
