"""The tables of usage and spending. Usage is kept summed up, not request by request: it holds no text and stays small."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.columns import POSITION
from openhearth.store.database import Table


class UsageRow(Table):
    """The sum of requests that are alike, in one minute, hour or day (UTC)."""

    __tablename__ = "usage"
    # The key begins with the time, and in SQLite the table lies in its order: a range of time is read from one piece.
    __table_args__ = ({"sqlite_with_rowid": False, "postgresql_with": {"fillfactor": 80}},)

    width: Mapped[int] = mapped_column(Integer, primary_key=True)
    """60, 3600 or 86400 seconds."""
    start: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Unix seconds."""
    operation: Mapped[str] = mapped_column(String(32), primary_key=True)
    """completions, embeddings, decisions, moderations, images, audio_speeches, audio_transcriptions..."""
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The user or service account that the key acts for."""
    api_key_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    model: Mapped[str] = mapped_column(String(256), primary_key=True)
    batch: Mapped[bool] = mapped_column(Boolean, primary_key=True)
    service_tier: Mapped[str] = mapped_column(String(32), primary_key=True)
    detail: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The operation's own distinction: an image's size, a web search's context level, a vector store; mostly empty."""
    source: Mapped[str] = mapped_column(String(32), primary_key=True)
    """For images: image.generation, image.edit or image.variation; otherwise empty."""
    requests: Mapped[int] = mapped_column(BigInteger)
    input_tokens: Mapped[int] = mapped_column(BigInteger)
    cached_tokens: Mapped[int] = mapped_column(BigInteger)
    output_tokens: Mapped[int] = mapped_column(BigInteger)
    input_audio_tokens: Mapped[int] = mapped_column(BigInteger)
    output_audio_tokens: Mapped[int] = mapped_column(BigInteger)
    units: Mapped[int] = mapped_column(BigInteger)
    """What is counted instead of tokens: images, characters, seconds."""
    input_cost: Mapped[int] = mapped_column(BigInteger)
    """Billionths of a dollar, at the prices of the time."""
    cached_cost: Mapped[int] = mapped_column(BigInteger)
    output_cost: Mapped[int] = mapped_column(BigInteger)


class SpendingRow(Table):
    """What a project cost in a calendar month (UTC). Written with the usage, so that limits and alerts need not add it up."""

    __tablename__ = "spending"

    month: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    """Its start, Unix seconds."""
    project_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    cost: Mapped[int] = mapped_column(BigInteger)
    """Billionths of a dollar."""


class UsageWriterRow(Table):
    """How far a process has written its usage: after a commit whose outcome is unknown, it sees here whether it is to be repeated."""

    __tablename__ = "usage_writers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger)
    written_at: Mapped[int] = mapped_column(BigInteger)


class SpendLimitRow(Table):
    """How much may be spent in a calendar month (UTC): the organization's or a project's."""

    __tablename__ = "spend_limits"

    scope_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """The organization's or the project's id."""
    threshold_amount: Mapped[int] = mapped_column(BigInteger)
    """Cents."""
    created_at: Mapped[int] = mapped_column(BigInteger)


class SpendAlertRow(Table):
    """Whom to tell when this much was spent in a month."""

    __tablename__ = "spend_alerts"
    __table_args__ = (Index("spend_alerts_by_scope", "scope_id"),)

    position: Mapped[int] = mapped_column(POSITION, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    scope_id: Mapped[str] = mapped_column(String(64))
    threshold_amount: Mapped[int] = mapped_column(BigInteger)
    """Cents."""
    recipients: Mapped[list[str]] = mapped_column(JSON)
    subject_prefix: Mapped[str | None] = mapped_column(String(256))
    created_at: Mapped[int] = mapped_column(BigInteger)
    told_for: Mapped[int | None] = mapped_column(BigInteger)
    """The start of the month for which it was sent last."""
