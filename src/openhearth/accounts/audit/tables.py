"""The audit log's table. The database itself refuses to change or delete its rows (triggers in the migration)."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from openhearth.store.columns import POSITION
from openhearth.store.database import Table


class AuditLogRow(Table):
    """One act, as `/v1/organization/audit_logs` tells it."""

    __tablename__ = "audit_logs"
    __table_args__ = (
        Index("audit_logs_by_time", "effective_at", "position"),
        Index("audit_logs_by_type", "type", "effective_at", "position"),
        Index("audit_logs_by_actor", "actor_id", "effective_at", "position"),
        Index("audit_logs_by_actor_key", "actor_key_id", "effective_at", "position"),
        Index("audit_logs_by_actor_email", "actor_email", "effective_at", "position"),
        Index("audit_logs_by_project", "project_id", "effective_at", "position"),
        Index("audit_logs_by_resource", "resource_id", "effective_at", "position"),
    )

    position: Mapped[int] = mapped_column(POSITION, primary_key=True, autoincrement=True)
    id: Mapped[str] = mapped_column(String(64), unique=True)
    effective_at: Mapped[int] = mapped_column(BigInteger)
    type: Mapped[str] = mapped_column(String(64))
    project_id: Mapped[str | None] = mapped_column(String(64))
    actor_id: Mapped[str | None] = mapped_column(String(64))
    actor_key_id: Mapped[str | None] = mapped_column(String(64))
    """The key that it was done with."""
    actor_email: Mapped[str | None] = mapped_column(String(320))
    resource_id: Mapped[str | None] = mapped_column(String(128))
    actor: Mapped[dict[str, Any]] = mapped_column(JSON)
    """`actor` of the wire: type, session or api_key."""
    details: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What stands under the type's own name on the wire, e.g. `project.created`: id, data, changes_requested; and `before`."""
