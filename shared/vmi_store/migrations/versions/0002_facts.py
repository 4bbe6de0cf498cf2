"""Facts and what is derived from them: master data, inbox, quarantine, journal, positions, daily balances, supply."""

from alembic import op

revision = "0002_facts"
down_revision = "0001_messaging"
branch_labels = None
depends_on = None

INBOX_PARTITIONS = 8


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
    op.execute("CREATE INDEX agreement_item ON agreement (customer_id, item_id)")
    op.execute("""
        -- Counts up when a customer's locations, items or agreements change: copies of them are then read again. Its
        -- row is locked by who changes them, and shared by who takes in facts.
        CREATE TABLE master_data_version (
            customer_id  text   PRIMARY KEY,
            version      bigint NOT NULL
        )
    """)
    op.execute("""
        -- Each document counts once. Partitioned by customer, since this key cannot be unique over partitions by time.
        CREATE TABLE inbox (
            customer_id   text        NOT NULL,
            message_key   bytea       NOT NULL,  -- hash of customer, source, message id and revision, 16 bytes
            payload_hash  bigint      NOT NULL,
            received_at   timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (customer_id, message_key)
        ) PARTITION BY HASH (customer_id)
    """)
    for part in range(INBOX_PARTITIONS):
        op.execute(
            f"CREATE TABLE inbox_{part} PARTITION OF inbox "
            f"FOR VALUES WITH (MODULUS {INBOX_PARTITIONS}, REMAINDER {part})"
        )
    op.execute("""
        -- What could not be taken in, with its bytes: one row a record, however many of its lines are held.
        CREATE TABLE quarantined_record (
            id       uuid  PRIMARY KEY,
            key      bytea,
            value    bytea,
            headers  jsonb NOT NULL  -- name and value in base64, in their order
        )
    """)
    op.execute("""
        CREATE TABLE quarantine (
            id                  uuid        PRIMARY KEY,
            record_id           uuid        NOT NULL,
            topic               text        NOT NULL,
            partition           integer     NOT NULL,
            "offset"            bigint      NOT NULL,
            recorded_at         timestamptz NOT NULL,
            line                integer,                -- null: the whole record
            reason              text        NOT NULL,
            detail              text        NOT NULL,
            customer_id         text,
            location_id         text,
            item_id             text,
            waits_for_location  boolean     NOT NULL,
            waits_for_item      boolean     NOT NULL,
            due_at              timestamptz,            -- to be tried again: what it waited for has come
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
    op.execute("CREATE INDEX quarantine_due ON quarantine (recorded_at) WHERE due_at IS NOT NULL")
    op.execute("""
        -- Every fact that was accepted, one row a document line; nothing in it is ever changed. Its one index serves
        -- uniqueness and the fold of a key.
        CREATE TABLE journal (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            occurred_at  timestamptz    NOT NULL,  -- when it happened there
            line_id      bytea          NOT NULL,  -- the document's inbox key, 12 bytes of it, and the line's number
            kind         smallint       NOT NULL,  -- vmi_domain.stock.position.Kind
            quantity     numeric(20, 6) NOT NULL,  -- base units: what it adds to the stock, or what it sets it to
            recorded_at  timestamptz    NOT NULL,  -- when the broker appended it
            details      jsonb,                    -- what the kind says beyond that; null for a plain sale
            PRIMARY KEY (customer_id, location_id, item_id, occurred_at, line_id)
        )
    """)
    op.execute("""
        -- What the facts say of each key's stock, kept up to date. Whoever writes anything about a key locks its row.
        CREATE TABLE position (
            customer_id        text           NOT NULL,
            location_id        text           NOT NULL,
            item_id            text           NOT NULL,
            version            bigint         NOT NULL DEFAULT 0,
            counted_at         timestamptz,                        -- as-of time of the last count or report, the anchor
            counted            numeric(20, 6) NOT NULL DEFAULT 0,
            unavailable        numeric(20, 6) NOT NULL DEFAULT 0,
            reserved           numeric(20, 6) NOT NULL DEFAULT 0,
            backlog            numeric(20, 6) NOT NULL DEFAULT 0,
            moved              numeric(20, 6) NOT NULL DEFAULT 0,  -- after the anchor, receipts aside
            received           numeric(20, 6) NOT NULL DEFAULT 0,  -- after the anchor
            on_order           numeric(20, 6) NOT NULL DEFAULT 0,
            in_transit         numeric(20, 6) NOT NULL DEFAULT 0,
            probably_received  numeric(20, 6) NOT NULL DEFAULT 0,  -- in transit, and expected before the anchor
            PRIMARY KEY (customer_id, location_id, item_id)
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)
    """)
    op.execute("""
        -- What moved and what was asked for on each of the site's own days: the base of refolds, and of forecasts.
        CREATE TABLE daily_balance (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            day          date           NOT NULL,
            moved        numeric(20, 6) NOT NULL DEFAULT 0,  -- receipts aside
            received     numeric(20, 6) NOT NULL DEFAULT 0,
            sold         numeric(20, 6) NOT NULL DEFAULT 0,  -- before returns
            returned     numeric(20, 6) NOT NULL DEFAULT 0,
            lost         numeric(20, 6) NOT NULL DEFAULT 0,  -- asked for and not there
            PRIMARY KEY (customer_id, location_id, item_id, day)
        ) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05)
    """)
    op.execute("""
        -- The latest time that a location's facts have reached, never later than when we were told.
        CREATE TABLE location_watermark (
            customer_id  text        NOT NULL,
            location_id  text        NOT NULL,
            reached_at   timestamptz NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        ) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.05)
    """)
    op.execute("""
        -- What documents said about supply: acceptances, orders, shipments, receipts.
        CREATE TABLE supply_fact (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            fact_id      uuid           NOT NULL,  -- the journal's line id; of an acceptance, the answer's
            stage        text           NOT NULL,  -- accepted, ordered, shipped, received
            document_id  text           NOT NULL,  -- of the order, shipment or receipt; of the proposal
            revision     integer        NOT NULL,
            quantity     numeric(20, 6) NOT NULL,
            occurred_at  timestamptz    NOT NULL,
            expected_at  timestamptz,
            proposal_id  uuid,                     -- what it names
            order_id     text,
            shipment_id  text,
            completed    boolean        NOT NULL DEFAULT false,
            PRIMARY KEY (customer_id, location_id, item_id, fact_id)
        )
    """)
    op.execute("""
        -- Where each unit of supply stands, by vmi_domain.stock.supply. Made anew from a key's facts when one comes.
        CREATE TABLE supply_line (
            customer_id  text           NOT NULL,
            location_id  text           NOT NULL,
            item_id      text           NOT NULL,
            place        integer        NOT NULL,
            stage        text           NOT NULL,
            quantity     numeric(20, 6) NOT NULL,
            proposal_id  uuid,
            order_id     text,
            shipment_id  text,
            expected_at  timestamptz,
            since        timestamptz,
            PRIMARY KEY (customer_id, location_id, item_id, place)
        )
    """)


def downgrade() -> None:
    for table in (
        "supply_line",
        "supply_fact",
        "location_watermark",
        "daily_balance",
        "position",
        "journal",
        "quarantine",
        "quarantined_record",
        "inbox",
        "master_data_version",
        "agreement",
        "item",
        "location",
    ):
        op.execute(f"DROP TABLE {table}")
