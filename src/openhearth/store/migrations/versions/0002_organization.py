"""Users, projects, service accounts, groups, roles, and the audit log; keys have owners."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

POSITION = sa.BigInteger().with_variant(sa.Integer, "sqlite")

AUDIT_INDEXES = {
    "type": "type",
    "actor": "actor_id",
    "actor_key": "actor_key_id",
    "actor_email": "actor_email",
    "project": "project_id",
    "resource": "resource_id",
}

_NO_REPLACE = (
    "CREATE TRIGGER audit_logs_no_replace BEFORE INSERT ON audit_logs "
    "WHEN EXISTS (SELECT 1 FROM audit_logs WHERE position = NEW.position OR id = NEW.id)"
)
_REFUSE = "BEGIN SELECT RAISE(ABORT, 'audit logs are append-only'); END"
APPEND_ONLY = {
    "sqlite": [
        *(f"CREATE TRIGGER audit_logs_no_{act} BEFORE {act} ON audit_logs {_REFUSE}" for act in ("update", "delete")),
        # INSERT OR REPLACE deletes without a delete's trigger.
        " ".join([_NO_REPLACE, _REFUSE]),
    ],
    "postgresql": [
        "CREATE FUNCTION audit_logs_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'audit logs are append-only'; END $$",
        "CREATE TRIGGER audit_logs_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_logs "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_logs_refuse()",
    ],
}


def upgrade() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("data_retention", sa.String(64), nullable=False),
        sa.Column("access_version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.Column("password_hash", sa.String(256)),
        sa.Column("verified_at", sa.BigInteger),
        sa.Column("banned_at", sa.BigInteger),
        sa.Column("subject", sa.String(512)),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email"),
        sa.UniqueConstraint("subject"),
    )
    op.create_table(
        "projects",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("archived_at", sa.BigInteger),
        sa.Column("data_retention", sa.String(64), nullable=False),
        sa.Column("model_permissions", sa.JSON(none_as_null=True)),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "project_members",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "user_id"),
    )
    op.create_index("project_members_by_user", "project_members", ["user_id"])
    op.create_table(
        "service_accounts",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("role", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("service_accounts_by_project", "service_accounts", ["project_id"])
    op.create_table(
        "groups",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "group_members",
        sa.Column("group_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("added_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("group_id", "user_id"),
    )
    op.create_index("group_members_by_user", "group_members", ["user_id"])
    op.create_table(
        "project_groups",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("group_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.ForeignKeyConstraint(["group_id"], ["groups.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "group_id"),
    )
    op.create_table(
        "roles",
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("project_id", sa.String(64)),
        sa.Column("name", sa.String(256), nullable=False),
        sa.Column("description", sa.String(1024)),
        sa.Column("permissions", sa.JSON, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(64)),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "role_assignments",
        sa.Column("position", POSITION, autoincrement=True, nullable=False),
        sa.Column("role_id", sa.String(128), nullable=False),
        sa.Column("principal_type", sa.String(16), nullable=False),
        sa.Column("principal_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("role_id", "principal_id", "project_id", name="role_assignments_once"),
    )
    op.create_table(
        "audit_logs",
        sa.Column("position", POSITION, autoincrement=True, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("effective_at", sa.BigInteger, nullable=False),
        sa.Column("type", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64)),
        sa.Column("actor_id", sa.String(64)),
        sa.Column("actor_key_id", sa.String(64)),
        sa.Column("actor_email", sa.String(320)),
        sa.Column("resource_id", sa.String(128)),
        sa.Column("actor", sa.JSON, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("audit_logs_by_time", "audit_logs", ["effective_at", "position"])
    for name, column in AUDIT_INDEXES.items():
        op.create_index(f"audit_logs_by_{name}", "audit_logs", [column, "effective_at", "position"])
    with op.batch_alter_table("api_keys") as table:
        table.alter_column("project_id", existing_type=sa.String(64), nullable=True)
        table.add_column(sa.Column("user_id", sa.String(64)))
        table.add_column(sa.Column("service_account_id", sa.String(64)))
        table.add_column(sa.Column("scopes", sa.JSON(none_as_null=True)))
        table.add_column(sa.Column("expires_at", sa.BigInteger))
        table.add_column(sa.Column("last_used_at", sa.BigInteger))
    op.create_index("api_keys_by_project", "api_keys", ["project_id"])
    for statement in APPEND_ONLY[op.get_bind().dialect.name]:
        op.execute(statement)


def downgrade() -> None:
    op.execute("DELETE FROM api_keys WHERE project_id IS NULL")
    op.drop_index("api_keys_by_project", "api_keys")
    with op.batch_alter_table("api_keys") as table:
        for column in ("user_id", "service_account_id", "scopes", "expires_at", "last_used_at"):
            table.drop_column(column)
        table.alter_column("project_id", existing_type=sa.String(64), nullable=False)
    op.drop_table("audit_logs")
    op.drop_table("role_assignments")
    op.drop_table("roles")
    op.drop_table("project_groups")
    op.drop_table("group_members")
    op.drop_table("groups")
    op.drop_table("service_accounts")
    op.drop_table("project_members")
    op.drop_table("projects")
    op.drop_table("users")
    op.drop_table("organizations")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION audit_logs_refuse")
