"""The guard's view of who may do what: every key in force with its permissions, worked out once and kept until something changes.

A request costs a hash and a look-up. Whoever changes keys, users, projects or roles calls `changed` in the same transaction: this process
knows at once, others within `REFRESH_S`, because each asks for the organization's version that often.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import event, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.membership import Membership, read_membership
from openhearth.accounts.permissions import EVERY, OF_MANAGEMENT, OF_ORGANIZATION, OF_PROJECTS, expand
from openhearth.accounts.principal import Access
from openhearth.accounts.tables import ApiKeyRow, OrganizationRow
from openhearth.errors import AuthenticationFailed, OpenHearthError, StorageUnavailable
from openhearth.store.database import Database

REFRESH_S = 1.0
KEPT_S = 60.0
"""How long the last view counts while the database is away. What is revoked elsewhere meanwhile isn't noticed."""
PATIENCE_S = 1.0
"""How long requests wait for a new view while the last one counts."""
DEFAULT_PROJECT = "proj_default"
MINIMUM_LENGTH = 16

log = logging.getLogger(__name__)


def digest(secret: str) -> bytes:
    """What is stored in a key's place."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


async def changed(session: AsyncSession) -> None:
    """Say that keys, users, projects or roles change with this transaction."""
    await session.execute(update(OrganizationRow).values(access_version=OrganizationRow.access_version + 1))
    database: Database = session.info["database"]

    def committed(_session: object) -> None:
        database.access_changes += 1

    event.listen(session.sync_session, "after_commit", committed, once=True)


class AccessTable:
    """All keys in force, of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, Access] = {}
        self._admitted: dict[bytes, str] = {}
        self._version = (0, -1)
        self._changes = -1
        self._read_at = float("-inf")
        self._tried_at = float("-inf")
        self._failure: str | None = None
        self._reading: asyncio.Task[None] | None = None
        self.membership = Membership()
        """Who has which role where, as of the last look."""
        self.last_used: dict[str, int] = {}
        """Key -> Unix seconds; `accounts.last_use` writes it down and takes it out."""

    @property
    def version(self) -> tuple[int, int]:
        """Which picture was read last: it changes whenever `changed` is called, or the database is another."""
        return self._version

    def admit(self, key: str, key_id: str) -> None:
        """Accept a key that is in no database and may do everything, as long as this process lives."""
        self._admitted[digest(key)] = key_id
        self._changes, self._version = -1, (0, -1)

    async def check(self, key: str) -> Access:
        """Whose key this is. Raises AuthenticationFailed; StorageUnavailable if that can't be known."""
        await self.refresh()
        access, now = self._known.get(digest(key)), time.time()
        if access is None and self._failure is not None:
            raise StorageUnavailable(self._failure)  # it may be newer than what is remembered
        if access is None or (access.expires_at is not None and access.expires_at <= now):
            raise AuthenticationFailed(f"Incorrect API key provided: {_shown(key)}. `openhearth keys create` makes one on the server.")
        if access.kind != "local":
            self.last_used[access.key_id] = int(now)
        return access

    async def refresh(self) -> None:
        """Bring the view up to date, if it is older than `REFRESH_S`.

        If the database can't be read, the last view counts for `KEPT_S`, unless this process has changed something since.
        Raises StorageUnavailable.
        """
        wanted = self._database.access_changes
        if time.monotonic() - self._read_at <= REFRESH_S and self._changes == wanted:
            return
        while await self._look(wanted) and self._failure is None:
            if self._changes >= wanted:
                return  # else the reading had begun before the change
        if not self._may_be_kept(wanted):
            raise StorageUnavailable(self._failure or "The database doesn't answer. Try again.")

    async def _look(self, wanted: int) -> bool:
        """Read, or wait for the reading that goes on: many requests find the view old at once, one reads it for all.

        False: it takes too long.
        """
        if self._reading is None or self._reading.done():
            if self._failure is not None and time.monotonic() - self._tried_at < REFRESH_S:
                return True
            self._tried_at = time.monotonic()
            self._reading = asyncio.create_task(self._read())
        reading, patience = self._reading, None
        if self._may_be_kept(wanted):
            waited = time.monotonic() - self._tried_at
            patience = max(0.0, PATIENCE_S - waited) if self._failure is None else 0.0
        await asyncio.wait({reading}, timeout=patience)
        self._database.silent = not reading.done() or self._failure is not None
        return reading.done()

    def _may_be_kept(self, wanted: int) -> bool:
        return self._changes >= wanted and time.monotonic() - self._read_at <= KEPT_S

    async def _read(self) -> None:
        started, changes = time.monotonic(), self._database.access_changes
        try:
            async with self._database.session() as session:
                await self._read_in(session)
        except OpenHearthError as error:
            self._failure = error.message
        except Exception as error:
            log.error("who may do what can't be read: %s", type(error).__name__)
            self._failure = "The database can't be read. The server's log tells more."
        else:
            self._read_at, self._changes, self._failure = started, changes, None
            self._database.silent = False

    async def _read_in(self, session: AsyncSession) -> None:
        organization = (await session.scalars(select(OrganizationRow))).one()
        version = (self._database.generation, organization.access_version)
        if version == self._version:
            return
        self.membership = membership = await read_membership(session)
        rows = await session.scalars(select(ApiKeyRow).where(ApiKeyRow.revoked_at.is_(None)))
        self._known = {**self._local(organization.id), **dict(_accesses(organization.id, rows, membership))}
        self._version = version

    def _local(self, organization_id: str) -> dict[bytes, Access]:
        actor = {"type": "api_key", "api_key": {"id": "local", "type": "service_account", "service_account": {"id": "local"}}}
        return {
            hashed: Access("local", key_id, "local", organization_id, DEFAULT_PROJECT, EVERY, {}, actor=actor)
            for hashed, key_id in self._admitted.items()
        }


def _accesses(organization_id: str, rows: Iterable[ApiKeyRow], membership: Membership) -> Iterable[tuple[bytes, Access]]:
    """Keys whose owner or project is gone give no access at all."""
    for row in rows:
        if row.project_id is None:
            if row.user_id in membership.users:
                yield row.hash, _admin(organization_id, row, membership)
        elif row.project_id in membership.active_projects and membership.takes_part(row):
            yield row.hash, _of_project(organization_id, row, membership)


def _admin(organization_id: str, row: ApiKeyRow, membership: Membership) -> Access:
    """Admin keys manage; they don't infer, and see nothing that belongs to a project."""
    user_id = row.user_id or ""
    gives = membership.in_organization(user_id) & _scopes(row)
    allowed = gives & (OF_MANAGEMENT | OF_ORGANIZATION)
    return Access("admin", row.id, user_id, organization_id, None, allowed, {}, row.expires_at, _actor(row, membership), gives=gives)


def _of_project(organization_id: str, row: ApiKeyRow, membership: Membership) -> Access:
    project_id = row.project_id or ""
    allowed = membership.of_key(row) & OF_PROJECTS & _scopes(row)
    return Access(
        "project",
        row.id,
        row.user_id or row.service_account_id or "",
        organization_id,
        project_id,
        frozenset(),
        {project_id: allowed},
        row.expires_at,
        _actor(row, membership),
    )


def _scopes(row: ApiKeyRow) -> frozenset[str]:
    return EVERY if row.scopes is None else expand(row.scopes)


def _actor(row: ApiKeyRow, membership: Membership) -> dict[str, Any]:
    if row.user_id is None:
        return {"type": "api_key", "api_key": {"id": row.id, "type": "service_account", "service_account": {"id": row.service_account_id}}}
    user = {"id": row.user_id, "email": membership.users[row.user_id]}
    return {"type": "api_key", "api_key": {"id": row.id, "type": "user", "user": user}}


def _shown(key: str) -> str:
    return f"{key[:3]}***{key[-4:]}" if len(key) >= MINIMUM_LENGTH else "***"
