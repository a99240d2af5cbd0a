"""Rate limits."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("max_requests_per_1_minute", sa.BigInteger),
        sa.Column("max_tokens_per_1_minute", sa.BigInteger),
        sa.Column("max_requests_per_1_day", sa.BigInteger),
        sa.Column("max_images_per_1_minute", sa.BigInteger),
        sa.Column("max_audio_megabytes_per_1_minute", sa.BigInteger),
        sa.Column("batch_1_day_max_input_tokens", sa.BigInteger),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project_id", "model"),
    )
    op.create_table(
        "rate_buckets",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("model", sa.String(256), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("available", sa.Float(53), nullable=False),
        sa.Column("capacity", sa.Float(53), nullable=False),
        sa.Column("updated_at", sa.Float(53), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("leases", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "model", "kind"),
    )


def downgrade() -> None:
    op.drop_table("rate_buckets")
    op.drop_table("rate_limits")
