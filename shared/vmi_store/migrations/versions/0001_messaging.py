"""What carries messages safely: the outbox, the relays' leases, and how far each consumer has come."""

from alembic import op

revision = "0001_messaging"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- What is to be published, in Debezium's column shape (id, aggregatetype, aggregateid, type, payload), so that
        -- Debezium's outbox router can take the relay's place.
        CREATE TABLE outbox (
            sequence       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            shard          smallint    NOT NULL,
            id             uuid        NOT NULL,
            aggregatetype  text        NOT NULL,  -- the topic's name
            aggregateid    text        NOT NULL,  -- the record's key
            type           text        NOT NULL,  -- the CloudEvents type
            payload        bytea       NOT NULL,
            headers        jsonb       NOT NULL,  -- the record's headers, names to text
            customer_id    text        NOT NULL,
            created_at     timestamptz NOT NULL DEFAULT clock_timestamp(),
            published_at   timestamptz
        ) WITH (
            fillfactor = 85,
            -- A queue: what is dead must go at once, or every poll walks over it.
            autovacuum_vacuum_scale_factor = 0.0, autovacuum_vacuum_threshold = 5000,
            autovacuum_vacuum_insert_scale_factor = 0.0, autovacuum_vacuum_insert_threshold = 50000,
            autovacuum_vacuum_cost_delay = 0
        )
    """)
    # Head of line of each shard. Rows leave the index when they are published.
    op.execute("CREATE INDEX outbox_unpublished ON outbox (shard, sequence) WHERE published_at IS NULL")
    op.execute("""
        -- Which relay sends which shard, until when. A lease that has run out is anyone's.
        CREATE TABLE outbox_lease (
            shard       smallint    PRIMARY KEY,
            owner       text        NOT NULL,
            expires_at  timestamptz NOT NULL
        )
    """)
    op.execute("""
        -- The relays that are alive: each takes its fair share of the shards.
        CREATE TABLE outbox_relay (
            owner       text        PRIMARY KEY,
            expires_at  timestamptz NOT NULL
        )
    """)
    op.execute("CREATE SEQUENCE consumer_epoch AS bigint")
    op.execute("""
        -- How far a consumer group has come in a partition, written in the transaction of the batch itself. The epoch
        -- is drawn at each assignment; a worker that wakes after its partitions moved holds an old one, and may not
        -- write.
        CREATE TABLE consumer_progress (
            cluster_id   text        NOT NULL,
            group_name   text        NOT NULL,
            topic        text        NOT NULL,
            partition    integer     NOT NULL,
            epoch        bigint      NOT NULL,
            next_offset  bigint,                  -- null: nothing yet
            owner        text        NOT NULL,
            assigned_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
            advanced_at  timestamptz,
            PRIMARY KEY (cluster_id, group_name, topic, partition)
        ) WITH (fillfactor = 70)
    """)


def downgrade() -> None:
    op.execute("DROP TABLE consumer_progress")
    op.execute("DROP SEQUENCE consumer_epoch")
    op.execute("DROP TABLE outbox_relay")
    op.execute("DROP TABLE outbox_lease")
    op.execute("DROP TABLE outbox")
