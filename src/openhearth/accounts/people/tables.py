"""The tables of logins. Users themselves stand in `accounts.tables`: the guard reads them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, ForeignKey, Index, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.database import Table


class SessionRow(Table):
    """A login in a browser. The cookie's value is kept as its SHA-256 only."""

    __tablename__ = "sessions"
    __table_args__ = (Index("sessions_by_user", "user_id"),)

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[int] = mapped_column(BigInteger)
    last_used_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    address: Mapped[str | None] = mapped_column(String(64))
    user_agent: Mapped[str | None] = mapped_column(String(512))


class LinkRow(Table):
    """A link that works once: it proves an address, resets a password, or accepts an invite. Its token is kept as SHA-256 only."""

    __tablename__ = "links"
    __table_args__ = (Index("links_by_subject", "subject_id"),)

    hash: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    purpose: Mapped[str] = mapped_column(String(32))
    """register, reset, invite or setup; nothing: one that was never given out"""
    email: Mapped[str] = mapped_column(String(320))
    subject_id: Mapped[str] = mapped_column(String(64))
    """The user's or the invite's id."""
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    used_at: Mapped[int | None] = mapped_column(BigInteger)


class InviteRow(Table):
    """An invitation into the organization."""

    __tablename__ = "invites"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    role: Mapped[str] = mapped_column(String(64))
    projects: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    """`[{"id", "role"}]`"""
    invited_by: Mapped[str | None] = mapped_column(String(64))
    created_at: Mapped[int] = mapped_column(BigInteger)
    expires_at: Mapped[int] = mapped_column(BigInteger)
    accepted_at: Mapped[int | None] = mapped_column(BigInteger)
    deleted_at: Mapped[int | None] = mapped_column(BigInteger)
