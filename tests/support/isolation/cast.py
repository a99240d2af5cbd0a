"""The people of the walk and what each may do, worked out from `accounts.permissions` alone and not from the code that is tested."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from openhearth.accounts.keys import Keys
from openhearth.accounts.permissions import EVERY, OF_MANAGEMENT, OF_ORGANIZATION, OF_PROJECTS, ORGANIZATION_ROLES, PROJECT_ROLES
from openhearth.store.database import Database
from openhearth.web.endpoint import Endpoint
from tests.support.accounts import a_key, a_project, a_service_account, a_user, join, the_owner

Permissions = frozenset[str]
MANAGEMENT = OF_MANAGEMENT | OF_ORGANIZATION
OWN_KEYS, MANAGES_KEYS = "/openhearth/projects/", "api.project_api_keys.write"
"""Keys of one's own are for who is in the project, or may make keys there."""
READS = frozenset(name for name in EVERY if name.endswith(".read"))


@dataclass(frozen=True)
class Actor:
    """Somebody with a key or a login. `known`: whether the guard lets them in at all."""

    name: str
    headers: Mapping[str, str]
    project: str = ""
    """The project that its requests are about."""
    everywhere: Permissions = frozenset()
    projects: Mapping[str, Permissions] = field(default_factory=dict)
    known: bool = True
    login: str = ""
    """The user who asks through a browser; empty: a key, or nobody."""
    member: tuple[str, str] | None = None
    """A login's user and role in `project`."""
    about: str = ""
    """A permission that it has alone, or lacks alone: it's worth asking at the routes that want it."""

    def concerns(self, endpoint: Endpoint) -> bool:
        return self.about in ("", endpoint.permission)

    def may(self, endpoint: Endpoint, project_id: str | None) -> bool:
        """`project_id`: the path's, if it has one."""
        if endpoint.login and not self.login:
            return False
        if endpoint.path.startswith(OWN_KEYS) and endpoint.method != "GET":
            manages = MANAGES_KEYS in self.everywhere | self.projects.get(project_id or "", frozenset())
            return self.has(endpoint, project_id) and (manages or (bool(self.login) and project_id in self.projects))
        return self.has(endpoint, project_id)

    def has(self, endpoint: Endpoint, project_id: str | None) -> bool:
        """Whether it has the route's permission, which some routes want more than."""
        wanted = endpoint.permission or ""
        if wanted in self.everywhere:
            return True
        if project_id is not None:
            return wanted in self.projects.get(project_id, frozenset())
        if endpoint.somewhere:
            return any(wanted in given for given in self.projects.values())
        # Management without a project in the path is the organization's, whatever project a header names.
        return wanted in OF_PROJECTS and wanted in self.projects.get(self.project, frozenset())


@dataclass(frozen=True)
class Cast:
    """Two projects that know nothing of each other, and who is in them. `b` is the stranger's."""

    a: str
    b: str
    users: Mapping[str, str]
    actors: tuple[Actor, ...]

    def __getitem__(self, name: str) -> Actor:
        return next(actor for actor in self.actors if actor.name == name)


async def assemble(database: Database) -> Cast:
    """Everybody, in an installation that was just founded."""
    a, b = await a_project(database), await a_project(database)
    users = {"owner": await the_owner(database), "reader": await a_user(database)}
    for place, project in (("a", a), ("b", b)):
        for role in ("owner", "member"):
            users[f"{role} of {place}"] = user = await a_user(database)
            await join(database, project, user, role)
    actors = [
        *await _unknown(database, a, users),
        *await _keys(database, a, b, users),
        *await _admins(database, users),
        *_sessions(a, b, users),
    ]
    return Cast(a, b, users, tuple(actors))


def bearing(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


async def _unknown(database: Database, a: str, users: Mapping[str, str]) -> Iterable[Actor]:
    owner = users["owner of a"]
    revoked, expired = await a_key(database, a, user_id=owner), await a_key(database, a, user_id=owner, expires_at=int(time.time()) - 1)
    await Keys(database).revoke(next(row.id for row in await Keys(database).list() if revoked.endswith(row.prefix[-4:])))
    left = await a_key(database, a, user_id=users["member of b"])
    headers = {
        "without a key": {},
        "with a wrong key": bearing("sk-proj-" + "x" * 40),
        "with a revoked key": bearing(revoked),
        "with an expired key": bearing(expired),
        "with a key of somebody who isn't in the project": bearing(left),
        "with another project's header": {**bearing(await a_key(database, a, user_id=owner)), "openai-project": "proj_default"},
    }
    return [Actor(name, sent, known=False) for name, sent in headers.items()]


async def _keys(database: Database, a: str, b: str, users: Mapping[str, str]) -> Iterable[Actor]:
    async def of(name: str, project: str, given: Permissions, **options: object) -> Actor:
        return Actor(name, bearing(await a_key(database, project, **options)), project, projects={project: given & OF_PROJECTS})

    nobody = await a_service_account(database, a, "none")
    return [
        await of("key of a's owner", a, PROJECT_ROLES["owner"], user_id=users["owner of a"]),
        await of("key of a's member", a, PROJECT_ROLES["member"], user_id=users["member of a"]),
        await of("key of the organization's owner", a, EVERY, user_id=users["owner"]),
        await of("key of a service account", a, PROJECT_ROLES["member"], service_account_id=await a_service_account(database, a)),
        await of("key of a service account without a role", a, frozenset(), service_account_id=nobody),
        await of("restricted key", a, frozenset(), user_id=users["owner of a"], scopes=[]),
        await of("key that may only look", a, READS, user_id=users["owner of a"], scopes=["api.all.read"]),
        await of(
            "key of a member with scopes that it hasn't", a, PROJECT_ROLES["member"], user_id=users["member of a"], scopes=["api.all"]
        ),
        await of("stranger's key", b, PROJECT_ROLES["owner"], user_id=users["owner of b"]),
    ]


async def _admins(database: Database, users: Mapping[str, str]) -> Iterable[Actor]:
    async def of(name: str, user: str, given: Permissions, scopes: list[str] | None = None, about: str = "") -> Actor:
        key = await a_key(database, None, user_id=users[user], scopes=scopes)
        return Actor(name, bearing(key), everywhere=given & MANAGEMENT, about=about)

    actors = [
        await of("admin key", "owner", EVERY),
        await of("admin key that may only look", "owner", READS, ["api.all.read"]),
        await of("admin key of a reader", "reader", ORGANIZATION_ROLES["reader"]),
        await of("admin key without scopes", "owner", frozenset(), []),
        await of("admin key for the audit log", "owner", frozenset({"api.audit_logs.read"}), ["api.audit_logs.read"]),
    ]
    for permission in sorted(MANAGEMENT):
        actors.append(await of(f"admin key with {permission}", "owner", frozenset({permission}), [permission], permission))
        actors.append(await of(f"admin key without {permission}", "owner", EVERY - {permission}, sorted(EVERY - {permission}), permission))
    return actors


def _sessions(a: str, b: str, users: Mapping[str, str]) -> Iterable[Actor]:
    reader = ORGANIZATION_ROLES["reader"]

    def of(name: str, user: str, asked: str, everywhere: Permissions, projects: Mapping[str, Permissions]) -> Actor:
        member = (users[user], user.split()[0])
        return Actor(name, {"openai-project": asked}, asked, everywhere, projects, login=users[user], member=member)

    return [
        of("login of the organization's owner", "owner", a, EVERY, {}),
        of("login of a reader", "reader", a, reader, {}),
        of("login of a's owner", "owner of a", a, reader, {a: PROJECT_ROLES["owner"]}),
        of("login of a's member", "member of a", a, reader, {a: PROJECT_ROLES["member"]}),
        of("login of b's owner", "owner of b", b, reader, {b: PROJECT_ROLES["owner"]}),
        of("login of b's owner who asks for a", "owner of b", a, reader, {b: PROJECT_ROLES["owner"]}),
    ]
