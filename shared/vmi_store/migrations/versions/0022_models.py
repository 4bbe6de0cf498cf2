"""Which model each series goes by, why, and what outcomes say of the spread of forecasts."""

from alembic import op

revision = "0022_models"
down_revision = "0021_supply"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        -- The choice among the pool of models (vmi_domain.forecasting.selection), as of a closed day.
        CREATE TABLE forecast_model (
            customer_id   text             NOT NULL,
            location_id   text             NOT NULL,
            item_id       text             NOT NULL,
            model         text             NOT NULL,
            since         date             NOT NULL,  -- chosen first
            judged_on     date             NOT NULL,  -- held against the others last
            mean_share    double precision NOT NULL,  -- its mean over the live state's, then
            spread_share  double precision NOT NULL,
            horizon       integer          NOT NULL,  -- days whose sum was judged
            quantile      double precision NOT NULL,
            origins       integer          NOT NULL,
            why           text             NOT NULL,
            ratios        jsonb            NOT NULL,  -- loss of each model over the live state's
            PRIMARY KEY (customer_id, location_id, item_id)
        )
    """)
    op.execute("""
        -- Up to which closed day a location's series were held against the pool.
        CREATE TABLE model_pass (
            customer_id  text NOT NULL,
            location_id  text NOT NULL,
            judged_on    date NOT NULL,
            PRIMARY KEY (customer_id, location_id)
        )
    """)
    op.execute("""
        -- What the spread of forecasts is multiplied by, by location and demand pattern.
        CREATE TABLE forecast_calibration (
            customer_id   text             NOT NULL,
            location_id   text             NOT NULL,
            pattern       text             NOT NULL,
            scale         double precision NOT NULL,
            through_day   date             NOT NULL,  -- outcomes up to here are in it
            outcomes      bigint           NOT NULL,
            covered       bigint           NOT NULL,  -- of these, within the .95 quantile
            PRIMARY KEY (customer_id, location_id, pattern)
        )
    """)


def downgrade() -> None:
    for table in ("forecast_calibration", "model_pass", "forecast_model"):
        op.execute(f"DROP TABLE {table}")
