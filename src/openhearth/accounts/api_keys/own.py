"""Users' own keys in a project. OpenAI's API has none of this (its website has); the console and programs need it. Knows no HTTP."""

from __future__ import annotations

from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys.making import make_key
from openhearth.accounts.api_keys.service import ProjectKeys
from openhearth.accounts.permissions import OF_PROJECTS, expand
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project
from openhearth.accounts.roles.giving import check_giving
from openhearth.errors import PermissionDenied
from openhearth.store.database import Database
from openhearth.wire.organization.lists import CursorQuery
from openhearth.wire.organization.project_api_keys import OwnKeyCreate, OwnKeyCreated, ProjectKey

MANAGES = "api.project_api_keys.write"


class OwnKeys:
    """What somebody may do with keys of their own account, being in the project and nothing more."""

    def __init__(self, database: Database, access: AccessTable) -> None:
        self._database = database
        self._access = access
        self._keys = ProjectKeys(database, access)

    async def create(self, actor: Principal, project_id: str, wanted: OwnKeyCreate) -> OwnKeyCreated:
        """A key with the actor's own rights in the project, or fewer. Raises NotFound, PermissionDenied, InvalidRequest."""
        user_id = await self._user(actor, project_id)
        given = self._access.membership.in_project(user_id, project_id) & OF_PROJECTS
        # An admin key that is restricted must not get itself a project's key that isn't.
        check_giving(actor, given & expand(wanted.scopes) if wanted.scopes else given, project_id, "scopes")
        async with self._database.session() as session:
            await active_project(session, project_id)
            secret, row = await make_key(
                session,
                actor,
                wanted.name,
                project_id=project_id,
                user_id=user_id,
                scopes=wanted.scopes,
                grantable=OF_PROJECTS,
                lifetime_s=wanted.expires_in_seconds,
            )
        return OwnKeyCreated(row.id, row.name, secret, row.prefix, row.created_at, row.expires_at, row.scopes)

    async def find(self, actor: Principal, project_id: str, query: CursorQuery) -> list[ProjectKey]:
        """Oldest first, at most `limit + 1`. Raises NotFound."""
        return await self._keys.find_of_user(project_id, actor.owner_id, query)

    async def delete(self, actor: Principal, project_id: str, key_id: str) -> None:
        """Raises NotFound, also for others' keys; PermissionDenied for who may only look."""
        await self._keys.delete(actor, project_id, key_id, of_user=await self._user(actor, project_id))

    async def _user(self, actor: Principal, project_id: str) -> str:
        """Logged in and in the project, or allowed to manage its keys."""
        await self._access.refresh()
        membership, user_id = self._access.membership, actor.owner_id
        member = actor.access.kind == "session" and project_id in membership.projects.get(user_id, {})
        if user_id not in membership.users or not (member or actor.may(MANAGES, project_id)):
            raise PermissionDenied("Keys of one's own are for users who are in the project. Log in, or ask its owner to add you.")
        return user_id
