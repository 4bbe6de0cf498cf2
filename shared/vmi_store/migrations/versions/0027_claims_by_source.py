"""What a key needs of each of several suppliers: a need that one of them is short of is shared between them."""

from alembic import op

revision = "0027_claims_by_source"
down_revision = "0026_reconciliations_by_age"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE supply_claim DROP CONSTRAINT supply_claim_pkey")
    op.execute("ALTER TABLE supply_claim ADD PRIMARY KEY (customer_id, location_id, item_id, supplier_id)")


def downgrade() -> None:
    # One claim a key is left; the next look at the key makes it right.
    op.execute("""
        DELETE FROM supply_claim AS one USING supply_claim AS other
        WHERE one.customer_id = other.customer_id AND one.location_id = other.location_id
          AND one.item_id = other.item_id AND one.supplier_id > other.supplier_id
    """)
    op.execute("ALTER TABLE supply_claim DROP CONSTRAINT supply_claim_pkey")
    op.execute("ALTER TABLE supply_claim ADD PRIMARY KEY (customer_id, location_id, item_id)")
