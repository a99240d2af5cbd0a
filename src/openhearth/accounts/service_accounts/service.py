"""Service accounts and their keys: made, listed, changed, ended. Knows no HTTP."""

from __future__ import annotations

import time

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.api_keys.making import make_key
from openhearth.accounts.audit.record import record
from openhearth.accounts.permissions import OF_PROJECTS, PROJECT_ROLES, expand
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project
from openhearth.accounts.roles.giving import check_giving, check_taking
from openhearth.accounts.tables import ApiKeyRow, ServiceAccountRow
from openhearth.errors import InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.store.paging import page_after
from openhearth.wire.ids import new_id
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.service_accounts import (
    ServiceAccount,
    ServiceAccountCreate,
    ServiceAccountCreated,
    ServiceAccountKey,
    ServiceAccountKeyCreate,
    ServiceAccountUpdate,
)

Row = ServiceAccountRow
PREFIX = "svc_acct_"
KEY_NAME = "Secret Key"


class ServiceAccounts:
    """The service accounts of all projects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, actor: Principal | None, project_id: str, wanted: ServiceAccountCreate) -> ServiceAccountCreated:
        """A new account, with a key unless only the account is wanted. Raises NotFound, InvalidRequest, PermissionDenied."""
        alone = bool(wanted.create_service_account_only)
        if alone and wanted.expires_in_seconds is not None:
            raise InvalidRequest("Without a key there is nothing to expire.", param="expires_in_seconds")
        async with self._database.session() as session:
            row = await _new_account(session, actor, project_id, wanted.name, "none" if alone else "member")
            key = None if alone else await _key(session, actor, row, ServiceAccountKeyCreate(None, None, wanted.expires_in_seconds))
        return ServiceAccountCreated(row.id, row.name, row.role, row.created_at, key)

    async def ensure(self, project_id: str, id_or_name: str) -> None:
        """An account of that id or name is there afterwards, for the owner at the machine. Raises NotFound, InvalidRequest."""
        async with self._database.session() as session:
            await active_project(session, project_id)
            same = select(Row.id).where(Row.project_id == project_id, (Row.id == id_or_name) | (Row.name == id_or_name))
            if await session.scalar(same.limit(1)) is None:
                if id_or_name.startswith(PREFIX):
                    raise _not_there(id_or_name)
                await _new_account(session, None, project_id, id_or_name, "member")

    async def create_key(
        self, actor: Principal | None, project_id: str, account_id: str, wanted: ServiceAccountKeyCreate
    ) -> ServiceAccountKey:
        """One more key. Raises NotFound, InvalidRequest, PermissionDenied for one that may do more in the project than the actor."""
        async with self._database.session() as session:
            return await _key(session, actor, await _account(session, project_id, account_id), wanted)

    async def find(self, project_id: str, query: CursorQuery) -> list[ServiceAccount]:
        """Oldest first, at most `limit + 1`. Raises NotFound, InvalidRequest for an archived project."""
        async with self._database.session() as session:
            await active_project(session, project_id)
            place = None
            if query.after is not None:
                after = await _account(session, project_id, query.after, "after")
                place = after.created_at, after.id
            wanted = page_after(select(Row).where(Row.project_id == project_id), Row.created_at, Row.id, place, query.limit)
            return [_shown(row) for row in await session.scalars(wanted)]

    async def get(self, project_id: str, account_id: str) -> ServiceAccount:
        """Raises NotFound."""
        async with self._database.session() as session:
            return _shown(await _account(session, project_id, account_id))

    async def update(self, actor: Principal | None, project_id: str, account_id: str, wanted: ServiceAccountUpdate) -> ServiceAccount:
        """Another name, another role. Raises NotFound, PermissionDenied."""
        asked = {name: value for name, value in (("name", wanted.name), ("role", wanted.role)) if value is not None}
        async with self._database.session() as session:
            row = await _account(session, project_id, account_id)
            changes = {name: value for name, value in asked.items() if value != getattr(row, name)}
            before = {name: getattr(row, name) for name in changes}
            if "role" in changes:
                check_giving(actor, PROJECT_ROLES[changes["role"]], project_id, "role")
                check_taking(actor, PROJECT_ROLES[before["role"]], project_id, "role")
            for name, value in changes.items():
                setattr(row, name, value)
            if changes:
                record(session, actor, "service_account.updated", row.id, changes=changes, before=before, project_id=project_id)
                await changed(session)
        return _shown(row)

    async def delete(self, actor: Principal | None, project_id: str, account_id: str) -> None:
        """It and its keys end at once. Raises NotFound, PermissionDenied."""
        async with self._database.session() as session:
            row = await _account(session, project_id, account_id)
            check_taking(actor, PROJECT_ROLES[row.role], project_id)
            gone = delete(Row).where(Row.id == account_id, Row.project_id == project_id)
            if (await session.execute(gone.returning(Row.id))).first() is None:
                raise _not_there(account_id)
            keys = update(ApiKeyRow).where(ApiKeyRow.service_account_id == account_id, ApiKeyRow.revoked_at.is_(None))
            await session.execute(keys.values(revoked_at=int(time.time())))
            before = {"role": row.role, "name": row.name}
            record(session, actor, "service_account.deleted", account_id, before=before, project_id=project_id)
            await changed(session)


async def _new_account(session: AsyncSession, actor: Principal | None, project_id: str, name: str, role: str) -> ServiceAccountRow:
    await active_project(session, project_id)
    check_giving(actor, PROJECT_ROLES[role], project_id)
    row = Row(id=new_id(PREFIX, 24), project_id=project_id, name=name, role=role, created_at=int(time.time()))
    session.add(row)
    await session.flush()
    record(session, actor, "service_account.created", row.id, data={"role": role, "name": name}, project_id=project_id)
    await changed(session)
    return row


async def _account(session: AsyncSession, project_id: str, account_id: str, param: str = "service_account_id") -> ServiceAccountRow:
    await active_project(session, project_id)
    row = await session.scalar(select(Row).where(Row.id == account_id, Row.project_id == project_id))
    if row is None:
        raise _not_there(account_id, param)
    return row


def _not_there(account_id: str, param: str = "service_account_id") -> NotFound:
    return NotFound(f"No service account '{account_id[:100]}' in this project.", param=param)


async def _key(
    session: AsyncSession, actor: Principal | None, row: ServiceAccountRow, wanted: ServiceAccountKeyCreate
) -> ServiceAccountKey:
    given = PROJECT_ROLES[row.role] & OF_PROJECTS
    check_giving(actor, given & expand(wanted.scopes) if wanted.scopes else given, row.project_id, "scopes")
    secret, key = await make_key(
        session,
        actor,
        wanted.name or KEY_NAME,
        project_id=row.project_id,
        service_account_id=row.id,
        scopes=wanted.scopes,
        grantable=OF_PROJECTS,
        lifetime_s=wanted.expires_in_seconds,
    )
    return ServiceAccountKey(key.id, key.name, secret, key.created_at, key.expires_at)


def _shown(row: ServiceAccountRow) -> ServiceAccount:
    return ServiceAccount(row.id, row.name, row.role, row.created_at)
