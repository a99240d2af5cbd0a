"""The tables of rate limits."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Float, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.database import Table


class RateLimitRow(Table):
    """What an owner set for a project and a model; what is None stays the installation's default."""

    __tablename__ = "rate_limits"

    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(String(256), primary_key=True)
    max_requests_per_1_minute: Mapped[int | None] = mapped_column(BigInteger)
    max_tokens_per_1_minute: Mapped[int | None] = mapped_column(BigInteger)
    max_requests_per_1_day: Mapped[int | None] = mapped_column(BigInteger)
    max_images_per_1_minute: Mapped[int | None] = mapped_column(BigInteger)
    max_audio_megabytes_per_1_minute: Mapped[int | None] = mapped_column(BigInteger)
    batch_1_day_max_input_tokens: Mapped[int | None] = mapped_column(BigInteger)


class RateBucketRow(Table):
    """What is left of a limit, shared by all processes. It fills up steadily; each process takes a part in advance."""

    __tablename__ = "rate_buckets"

    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(256), primary_key=True)
    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    """requests_per_minute, tokens_per_minute, requests_per_day"""
    available: Mapped[float] = mapped_column(Float(53))
    """What no process holds. Below zero: more was used than expected; it fills up first."""
    capacity: Mapped[float] = mapped_column(Float(53))
    """The limit that it was last reckoned with."""
    updated_at: Mapped[float] = mapped_column(Float(53))
    """Unix seconds, by the database's clock."""
    revision: Mapped[int] = mapped_column(BigInteger)
    """Counts exchanges, so that a process sees whether others came since its last."""
    leases: Mapped[dict[str, list[float]]] = mapped_column(JSON)
    """What each process holds: `{process: [amount, renewed at]}`."""
