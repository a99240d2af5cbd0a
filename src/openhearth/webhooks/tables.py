"""The tables of webhooks."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.columns import POSITION
from openhearth.store.database import Table


class WebhookEndpointRow(Table):
    """An address that wants to be told."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index("webhook_endpoints_by_project", "project_id", "position"),)

    position: Mapped[int] = mapped_column(POSITION, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(256))
    url: Mapped[str] = mapped_column(String(2048))
    event_types: Mapped[list[str]] = mapped_column(JSON)
    secret: Mapped[str] = mapped_column(String(128))
    """`whsec_...`; kept as it is, because every delivery is signed with it."""
    old_secret: Mapped[str | None] = mapped_column(String(128))
    """The one before; deliveries are signed with it, too, until `old_secret_until`."""
    old_secret_until: Mapped[int | None] = mapped_column(BigInteger)
    created_at: Mapped[int] = mapped_column(BigInteger)
    updated_at: Mapped[int] = mapped_column(BigInteger)
    disabled_at: Mapped[int | None] = mapped_column(BigInteger)
    """When it said 410 Gone. Nothing is sent to it until it is changed."""


class WebhookDeliveryRow(Table):
    """One event for one address, until it is delivered or given up. Kept a while afterwards, to be looked at."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        Index("webhook_deliveries_by_time", "ended_at", "next_at"),
        Index("webhook_deliveries_by_endpoint", "endpoint_id", "position"),
    )

    position: Mapped[int] = mapped_column(POSITION, primary_key=True, autoincrement=True)
    endpoint_id: Mapped[str] = mapped_column(ForeignKey("webhook_endpoints.id", ondelete="CASCADE"))
    event_id: Mapped[str] = mapped_column(String(64))
    event_type: Mapped[str] = mapped_column(String(64))
    body: Mapped[str] = mapped_column(Text)
    """The JSON as it is sent: a signature is over bytes."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer)
    """Counted when one begins, so that it is also the claim's number."""
    next_at: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[int | None] = mapped_column(Integer)
    """The HTTP status of the last answer; 0: none came."""
    failure: Mapped[str | None] = mapped_column(String(64))
    """Why none came (`webhooks.sending.Failure`)."""
