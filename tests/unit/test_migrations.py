"""The migrations are one line, whoever landed when."""

from alembic.script import ScriptDirectory

from vmi_store import schema_version


def test_every_migration_but_the_first_follows_exactly_one_other() -> None:
    scripts = list(ScriptDirectory.from_config(schema_version._config()).walk_revisions())
    followed = [script.down_revision for script in scripts if script.down_revision is not None]
    assert len(followed) == len(set(followed)) == len(scripts) - 1
    assert schema_version.head() == scripts[0].revision
