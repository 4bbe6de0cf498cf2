"""Alembic's entry: runs the migrations on the connection that ``vmi_store.schema_version`` hands over.

A migration is written in SQL (``op.execute``), named ``NNNN_family.py``, with ``revision = "NNNN_family"`` and
``down_revision`` the one before it (0001_messaging, 0002_facts ...), one straight line.
All of them run in one transaction; nothing is migrated by halves.
"""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=None, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
