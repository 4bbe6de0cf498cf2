"""Who decided which model a series goes by."""

from alembic import op

revision = "0024_agreed_models"
down_revision = "0023_agreement_requests"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE forecast_model ADD COLUMN chosen_by text NOT NULL DEFAULT 'service'")


def downgrade() -> None:
    op.execute("ALTER TABLE forecast_model DROP COLUMN chosen_by")
