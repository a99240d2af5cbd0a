"""A new key, with the audit log's row; and one that ends. The key itself is in neither."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import MINIMUM_LENGTH, changed, digest
from openhearth.accounts.audit.record import record
from openhearth.accounts.permissions import ALL, OF_MANAGEMENT, OF_ORGANIZATION, check_names
from openhearth.accounts.principal import Principal
from openhearth.accounts.tables import ApiKeyRow
from openhearth.wire.ids import new_id

SECRET_BYTES = 36
GRANTABLE_TO_ADMIN_KEYS = OF_MANAGEMENT | OF_ORGANIZATION


async def make_key(
    session: AsyncSession,
    actor: Principal | None,
    name: str,
    *,
    project_id: str | None,
    user_id: str | None = None,
    service_account_id: str | None = None,
    scopes: Sequence[str] | None,
    grantable: frozenset[str],
    lifetime_s: int | None,
    secret: str | None = None,
) -> tuple[str, ApiKeyRow]:
    """The key (or the given one) and its row. It is not kept and can't be shown again. Without a project: an admin key.

    No scopes, or an empty list: no restrictions. Raises InvalidRequest for scopes that aren't `grantable`.
    """
    kept = check_names(scopes, "scopes", grantable) if scopes else None
    secret = secret or _new_secret("admin" if project_id is None else "svcacct" if service_account_id else "proj")
    now = int(time.time())
    row = ApiKeyRow(
        id=new_id("key_", 24),
        name=name,
        prefix=_shown_part(secret),
        hash=digest(secret),
        project_id=project_id,
        user_id=user_id,
        service_account_id=service_account_id,
        scopes=kept,
        created_at=now,
        expires_at=None if lifetime_s is None else now + lifetime_s,
        last_used_at=None,
        revoked_at=None,
    )
    session.add(row)
    await changed(session)
    owner = {"service_account_id": service_account_id} if service_account_id else {"user_id": user_id}
    data = {"name": name, "scopes": kept or [ALL], "expires_at": row.expires_at, **owner}
    record(session, actor, "api_key.created", row.id, data=data, project_id=project_id)
    return secret, row


async def end_key(session: AsyncSession, actor: Principal | None, *which: ColumnElement[bool]) -> ApiKeyRow | None:
    """Revoke the one key in force that it is; None if there is none (any more). Of two who end it at once, one gets it."""
    ended = update(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None), *which).values(revoked_at=int(time.time()))
    key_id = await session.scalar(ended.returning(ApiKeyRow.id))
    if key_id is None:
        return None
    row = (await session.scalars(select(ApiKeyRow).where(ApiKeyRow.id == key_id).execution_options(populate_existing=True))).one()
    before: dict[str, Any] = {"name": row.name, "scopes": row.scopes or [ALL], "expires_at": row.expires_at}
    record(session, actor, "api_key.deleted", row.id, before=before, project_id=row.project_id)
    await changed(session)
    return row


def _new_secret(kind: str) -> str:
    return f"sk-{kind}-" + secrets.token_urlsafe(SECRET_BYTES)


def _shown_part(secret: str) -> str:
    return f"{secret[:12]}...{secret[-4:]}" if len(secret) > 2 * MINIMUM_LENGTH else f"{secret[:6]}...{secret[-4:]}"
