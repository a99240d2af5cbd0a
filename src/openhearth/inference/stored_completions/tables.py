"""The tables of this room."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.database import Table


class StoredCompletionRow(Table):
    """A reply, the messages that it answers, and what the client said about it."""

    __tablename__ = "stored_completions"
    __table_args__ = (Index("stored_completions_by_project", "project_id", "position"),)

    position: Mapped[int] = mapped_column(BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True)
    """The order of storing; pages follow it."""
    id: Mapped[str] = mapped_column(String(64), unique=True)
    project_id: Mapped[str] = mapped_column(String(64))
    model: Mapped[str] = mapped_column(String(256))
    created_at: Mapped[int] = mapped_column(BigInteger)
    labels: Mapped[dict[str, str]] = mapped_column("metadata", JSON)
    """The client's `metadata`; SQLAlchemy keeps that name for itself."""
    completion: Mapped[dict[str, Any]] = mapped_column(JSON)
    messages: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
