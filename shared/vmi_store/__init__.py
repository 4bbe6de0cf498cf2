"""All SQL: tables, one module a table family, inbox, outbox, migrations."""
