"""Usage, spend limits and alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "usage",
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("api_key_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("batch", sa.Boolean, nullable=False),
        sa.Column("service_tier", sa.String(32), nullable=False),
        sa.Column("detail", sa.String(64), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("input_tokens", sa.BigInteger, nullable=False),
        sa.Column("cached_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_tokens", sa.BigInteger, nullable=False),
        sa.Column("input_audio_tokens", sa.BigInteger, nullable=False),
        sa.Column("output_audio_tokens", sa.BigInteger, nullable=False),
        sa.Column("units", sa.BigInteger, nullable=False),
        sa.Column("input_cost", sa.BigInteger, nullable=False),
        sa.Column("cached_cost", sa.BigInteger, nullable=False),
        sa.Column("output_cost", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(
            "width", "start", "operation", "project_id", "user_id", "api_key_id", "model", "batch", "service_tier", "detail", "source"
        ),
        sqlite_with_rowid=False,
        postgresql_with={"fillfactor": 80},
    )
    op.create_table(
        "spending",
        sa.Column("month", sa.BigInteger, nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("cost", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("month", "project_id"),
    )
    op.create_table(
        "usage_writers",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("written_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "spend_limits",
        sa.Column("scope_id", sa.String(64), nullable=False),
        sa.Column("threshold_amount", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("scope_id"),
    )
    op.create_table(
        "spend_alerts",
        sa.Column("position", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("scope_id", sa.String(64), nullable=False),
        sa.Column("threshold_amount", sa.BigInteger, nullable=False),
        sa.Column("recipients", sa.JSON, nullable=False),
        sa.Column("subject_prefix", sa.String(256)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("told_for", sa.BigInteger),
        sa.PrimaryKeyConstraint("position"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("spend_alerts_by_scope", "spend_alerts", ["scope_id"])


def downgrade() -> None:
    op.drop_table("spend_alerts")
    op.drop_table("spend_limits")
    op.drop_table("usage_writers")
    op.drop_table("spending")
    op.drop_table("usage")
