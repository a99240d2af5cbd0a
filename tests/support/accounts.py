"""People, projects, keys and logins for tests, written straight into the tables: the rooms that make them have their own tests."""

from __future__ import annotations

import secrets
import time
from typing import Any

from sqlalchemy import delete, select

from openhearth.accounts.access import changed, digest
from openhearth.accounts.membership import read_membership
from openhearth.accounts.organization.founding import organization_id, owner_of
from openhearth.accounts.principal import Access, Principal
from openhearth.accounts.tables import ApiKeyRow, ProjectMemberRow, ProjectRow, ServiceAccountRow, UserRow
from openhearth.store.database import Database
from openhearth.wire.ids import new_id


async def a_user(database: Database, role: str = "reader") -> str:
    """Somebody new in the organization, proved and able to log in."""
    user_id, now = "user-" + new_id("", 24), int(time.time())
    async with database.session() as session:
        email = f"{user_id.lower()}@example.com"
        session.add(UserRow(id=user_id, email=email, name=user_id[-6:], role=role, added_at=now, verified_at=now, details={}))
        await changed(session)
    return user_id


async def the_owner(database: Database) -> str:
    async with database.session() as session:
        return await owner_of(session)


async def a_project(database: Database) -> str:
    project_id = new_id("proj_", 24)
    async with database.session() as session:
        session.add(ProjectRow(id=project_id, name=project_id, created_at=1, data_retention="organization_default", details={}))
        await changed(session)
    return project_id


async def join(database: Database, project_id: str, user_id: str, role: str = "member") -> None:
    async with database.session() as session:
        session.add(ProjectMemberRow(project_id=project_id, user_id=user_id, role=role, added_at=int(time.time())))
        await changed(session)


async def leave(database: Database, project_id: str, user_id: str) -> None:
    async with database.session() as session:
        same = (ProjectMemberRow.project_id == project_id) & (ProjectMemberRow.user_id == user_id)
        await session.execute(delete(ProjectMemberRow).where(same))
        await changed(session)


async def a_service_account(database: Database, project_id: str, role: str = "member") -> str:
    account_id = new_id("svc_acct_", 24)
    async with database.session() as session:
        session.add(ServiceAccountRow(id=account_id, project_id=project_id, name="robot", role=role, created_at=1))
        await changed(session)
    return account_id


async def a_key(database: Database, project_id: str | None, **options: Any) -> str:
    """A key's secret. `options`: user_id or service_account_id, scopes (an empty list gives nothing), expires_at."""
    secret = "sk-test-" + secrets.token_urlsafe(24)
    given = {"user_id": None, "service_account_id": None, "scopes": None, "expires_at": None, **options}
    shown = f"{secret[:12]}...{secret[-4:]}"
    row = ApiKeyRow(id=new_id("key_", 24), name="test", prefix=shown, hash=digest(secret), project_id=project_id, created_at=1, **given)
    async with database.session() as session:
        session.add(row)
        await changed(session)
    return secret


async def logged_in(database: Database, user_id: str, project_id: str = "") -> Principal:
    """Who asks through a browser: what the guard makes of a session's cookie now."""
    async with database.session() as session:
        membership = await read_membership(session)
        organization = await organization_id(session)
        email = await session.scalar(select(UserRow.email).where(UserRow.id == user_id))
    access = Access(
        "session",
        "sess_test",
        user_id,
        organization,
        None,
        membership.in_organization(user_id),
        membership.projects.get(user_id, {}),
        actor={"type": "session", "session": {"user": {"id": user_id, "email": email}}},
    )
    return Principal(access, project_id, "192.0.2.1", "a browser")
