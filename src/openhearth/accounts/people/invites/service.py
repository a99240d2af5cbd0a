"""Inviting people: by mail, with a role and projects. Who invites can't give more than they have."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.people import letters
from openhearth.accounts.people.addresses import checked_email
from openhearth.accounts.people.joining import DEFAULT_PROJECTS, user_of
from openhearth.accounts.people.links import new_link, revoke_links
from openhearth.accounts.people.tables import InviteRow
from openhearth.accounts.people.users.roles import check_may_grant, check_role
from openhearth.accounts.permissions import PROJECT_ROLES
from openhearth.accounts.principal import Principal
from openhearth.accounts.roles.giving import check_giving
from openhearth.accounts.tables import ProjectRow
from openhearth.errors import Conflict, NotFound
from openhearth.mail.outbox import post
from openhearth.store.database import Database
from openhearth.wire.ids import new_id
from openhearth.wire.organization.invites import InviteProject, InvitesQuery


class Invites:
    """The organization's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, actor: Principal | None, email: str, role: str, projects: Sequence[InviteProject] | None = None
    ) -> tuple[InviteRow, str]:
        """The invite, and its link as a path; the mail is in the outbox. Raises InvalidRequest, Conflict, NotFound, PermissionDenied."""
        address, now = checked_email(email), int(time.time())
        check_may_grant(actor, check_role(role))
        async with self._database.session() as session:
            # Who writes this row waits for others who do: no two invites to one address at once.
            await changed(session)
            await _check_new(session, address)
            invite = InviteRow(
                id="invite-" + new_id("", 24),
                email=address,
                role=role,
                projects=_default(actor) if projects is None else await _checked(session, actor, projects),
                invited_by=actor.owner_id if actor else None,
                created_at=now,
                accepted_at=None,
                deleted_at=None,
            )
            link, invite.expires_at = new_link(session, "invite", address, invite.id)
            session.add(invite)
            post(session, address, letters.INVITE.subject, letters.INVITE.text, link=link, expires_at=invite.expires_at)
            record(session, actor, "invite.sent", invite.id, data={"email": address, "role": role})
        return invite, link

    async def find(self, query: InvitesQuery) -> list[InviteRow]:
        """In order of making, at most `limit + 1`. Raises NotFound for an `after` that isn't there."""
        wanted = select(InviteRow).where(InviteRow.deleted_at.is_(None)).order_by(InviteRow.created_at, InviteRow.id).limit(query.limit + 1)
        async with self._database.session() as session:
            if query.after is not None:
                after = await _invite(session, query.after, "after")
                wanted = wanted.where(tuple_(InviteRow.created_at, InviteRow.id) > tuple_(after.created_at, after.id))
            return list(await session.scalars(wanted))

    async def get(self, invite_id: str) -> InviteRow:
        """Raises NotFound."""
        async with self._database.session() as session:
            return await _invite(session, invite_id)

    async def delete(self, actor: Principal | None, invite_id: str) -> None:
        """Its link is dead. Raises NotFound, and Conflict for an accepted one."""
        async with self._database.session() as session:
            invite = await _invite(session, invite_id)
            if invite.accepted_at is not None:
                raise Conflict("This invite was accepted. Remove the user instead.", code="invite_accepted")
            invite.deleted_at = int(time.time())
            await revoke_links(session, invite.id)
            record(session, actor, "invite.deleted", invite.id, before={"email": invite.email, "role": invite.role})


async def pending_invite(session: AsyncSession, email: str) -> InviteRow | None:
    """The one that this address can accept."""
    now = int(time.time())
    open_ones = (InviteRow.accepted_at.is_(None), InviteRow.deleted_at.is_(None), InviteRow.expires_at > now)
    return (await session.scalars(select(InviteRow).where(InviteRow.email == email, *open_ones).limit(1))).one_or_none()


async def _check_new(session: AsyncSession, email: str) -> None:
    if await user_of(session, email) is not None:
        raise Conflict("There is a user with this address already.", param="email", code="already_registered")
    if await pending_invite(session, email) is not None:
        raise Conflict("This address is invited already. Delete that invite to send another.", param="email", code="already_invited")


def _default(actor: Principal | None) -> list[dict[str, str]]:
    for project in DEFAULT_PROJECTS:
        check_giving(actor, PROJECT_ROLES[project["role"]], project["id"], "projects")
    return list(DEFAULT_PROJECTS)


async def _checked(session: AsyncSession, actor: Principal | None, projects: Sequence[InviteProject]) -> list[dict[str, str]]:
    wanted = {project.id: project.role for project in projects}
    for project_id, role in wanted.items():
        project = await session.get(ProjectRow, project_id)
        if project is None or project.archived_at is not None:
            raise NotFound(f"No project '{project_id}'.", param="projects")
        if actor is not None:
            actor.require("api.project_users.write", project_id)
        check_giving(actor, PROJECT_ROLES[role], project_id, "projects")
    return [{"id": project_id, "role": role} for project_id, role in wanted.items()]


async def _invite(session: AsyncSession, invite_id: str, param: str = "invite_id") -> InviteRow:
    invite = await session.get(InviteRow, invite_id)
    if invite is None or invite.deleted_at is not None:
        raise NotFound(f"No invite '{invite_id[:100]}'.", param=param)
    return invite
