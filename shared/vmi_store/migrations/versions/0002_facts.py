"""Facts and what is derived from them: master data, inbox, quarantine, journal, positions, daily balances, supply."""

from alembic import op

revision = "0002_facts"
down_revision = "0001_messaging"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE location (
            customer_id  text        NOT NULL,
            location_id  text        NOT NULL,
            name         text        NOT NULL,
            time_zone    text        NOT NULL,
            day_ends_at  time        NOT NULL,
            recorded_at  timestamptz NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        )
    """)
    op.execute("""
        CREATE TABLE item (
            customer_id      text        NOT NULL,
            item_id          text        NOT NULL,
            name             text        NOT NULL,
            base_unit        text        NOT NULL,
            units            jsonb       NOT NULL,  -- base units in one of each other unit, as text
            shelf_life_days  integer,
            recorded_at      timestamptz NOT NULL,
            PRIMARY KEY (customer_id, item_id)
        )
    """)
    op.execute("""
        CREATE TABLE agreement (
            customer_id      text        NOT NULL,
            location_id      text        NOT NULL,
            item_id          text        NOT NULL,
            supplier_id      text        NOT NULL,
            effective_from   date        NOT NULL,
            effective_to     date,
            stock_authority  text        NOT NULL,
            terms            jsonb       NOT NULL,  -- the whole agreement, what differs from the defaults
            recorded_at      timestamptz NOT NULL,
            PRIMARY KEY (customer_id, location_id, item_id, supplier_id, effective_from)
        )
    """)
    op.execute("""
        -- Counts up when a customer's locations, items or agreements change: copies of them are then read again.
        CREATE TABLE master_data_version (
            customer_id  text   PRIMARY KEY,
            version      bigint NOT NULL
        )
    """)
    op.execute("""
        -- Each document counts once. Partitioned by customer, since this key cannot be unique over partitions by time.
        CREATE TABLE inbox (
            customer_id   text        NOT NULL,
            message_key   uuid        NOT NULL,  -- hash of customer, source, message id and revision
            payload_hash  bigint      NOT NULL,
            received_at   timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (customer_id, message_key)
        )
    """)
    op.execute("""
        CREATE TABLE quarantine (
            id                  uuid        PRIMARY KEY,
            topic               text        NOT NULL,
            partition           integer     NOT NULL,
            "offset"            bigint      NOT NULL,
            recorded_at         timestamptz NOT NULL,
            key                 bytea,
            value               bytea,
            header_names        text[]      NOT NULL,
            header_values       bytea[]     NOT NULL,
            line                integer,                -- null: the whole record
            reason              text        NOT NULL,
            detail              text        NOT NULL,
            customer_id         text,
            location_id         text,
            item_id             text,
            waits_for_location  boolean     NOT NULL,
            waits_for_item      boolean     NOT NULL,
            quarantined_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
            settled_at          timestamptz,
            settled_by          text
        )
    """)
    op.execute("""
        CREATE INDEX quarantine_waiting ON quarantine (customer_id, location_id, item_id)
        WHERE settled_at IS NULL AND (waits_for_location OR waits_for_item)
    """)
    op.execute("CREATE INDEX quarantine_held ON quarantine (quarantined_at) WHERE settled_at IS NULL")


def downgrade() -> None:
    for table in ("quarantine", "inbox", "master_data_version", "agreement", "item", "location"):
        op.execute(f"DROP TABLE {table}")
