"""Groups, their users, and their projects."""

from __future__ import annotations

import pytest

from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.errors import Conflict, InvalidRequest, NotFound
from openhearth.store.database import Database
from openhearth.wire.organization.audit_logs import AuditLogsQuery
from openhearth.wire.organization.groups import GroupsQuery, GroupUsersQuery, ProjectGroupsQuery
from tests.support.accounts import a_project, a_user


async def test_a_group_lives_and_the_log_tells_it(database: Database) -> None:
    groups, members, user_id = Groups(database), GroupMembers(database), await a_user(database)
    made = await groups.create(None, "Night shift")
    renamed = await groups.rename(None, made.id, "Day shift")
    assert (renamed.id, renamed.name) == (made.id, "Day shift")
    await groups.rename(None, made.id, "Day shift")
    await members.add(None, made.id, user_id)
    await members.remove(None, made.id, user_id)
    await members.add(None, made.id, user_id)
    await groups.delete(None, made.id)
    with pytest.raises(NotFound):
        await groups.get(made.id)
    log, _ = await AuditLog(database).find(AuditLogsQuery(resource_ids=[made.id]))
    assert [row[row["type"]] for row in reversed(log)] == [
        {"id": made.id, "data": {"group_name": "Night shift"}},
        {"id": made.id, "changes_requested": {"group_name": "Day shift"}, "before": {"group_name": "Night shift"}},
        {"id": made.id, "changes_requested": {"users_added": [user_id]}},
        {"id": made.id, "changes_requested": {"users_removed": [user_id]}},
        {"id": made.id, "changes_requested": {"users_added": [user_id]}},
        {"id": made.id, "before": {"group_name": "Day shift", "users": [user_id]}},
    ]


async def test_groups_come_in_pages_that_insertions_do_not_shift(database: Database) -> None:
    groups = Groups(database)
    made = [(await groups.create(None, f"group {number}")).id for number in range(5)]
    first = [group.id for group in await groups.find(GroupsQuery(limit=2))][:2]
    made.append((await groups.create(None, "one more")).id)
    rest = [group.id for group in await groups.find(GroupsQuery(after=first[-1]))]
    assert len({*first, *rest}) == len(first) + len(rest)
    assert {*first, *rest} >= set(made[:5])
    assert [group.id for group in await groups.find(GroupsQuery(order="desc"))] == [group.id for group in await groups.find(GroupsQuery())][
        ::-1
    ]
    with pytest.raises(NotFound):
        await groups.find(GroupsQuery(after="group_nothing"))


async def test_users_of_a_group(database: Database) -> None:
    groups, members = Groups(database), GroupMembers(database)
    group, users = await groups.create(None, "all"), [await a_user(database) for _ in range(4)]
    for user_id in users:
        await members.add(None, group.id, user_id)
    assert {user.id for user in await members.find(group.id, GroupUsersQuery())} == set(users)
    seen: list[str] = []
    while page := await members.find(group.id, GroupUsersQuery(after=seen[-1] if seen else None, limit=3)):
        seen += [user.id for user in page[:3]]
    assert sorted(seen) == sorted(users)
    assert (await members.get(group.id, users[0])).id == users[0]
    with pytest.raises(Conflict):
        await members.add(None, group.id, users[0])
    outsider = await a_user(database)
    for act in (members.get(group.id, outsider), members.remove(None, group.id, outsider), members.add(None, group.id, "user-nobody")):
        with pytest.raises(NotFound):
            await act
    for act in (members.get("group_x", users[0]), members.add(None, "group_x", users[0])):
        with pytest.raises(NotFound, match="No group"):
            await act


async def test_groups_of_a_project(database: Database) -> None:
    groups, projects = Groups(database), ProjectGroups(database)
    project_id, other = await a_project(database), await a_project(database)
    made = [(await groups.create(None, f"group {number}")).id for number in range(3)]
    for group_id in made:
        await projects.add(None, project_id, group_id, "member")
    assert {group.group_id for group in await projects.find(project_id, ProjectGroupsQuery())} == set(made)
    assert await projects.find(other, ProjectGroupsQuery()) == []
    assert (await projects.get(project_id, made[0])).group_name == "group 0"
    with pytest.raises(Conflict):
        await projects.add(None, project_id, made[0], "owner")
    for act in (projects.get(other, made[0]), projects.remove(None, other, made[0]), projects.add(None, other, "group_x", "member")):
        with pytest.raises(NotFound, match="No group"):
            await act
    for role in ("captain", "role-api-organization-owner"):
        with pytest.raises(NotFound, match="No role"):
            await projects.add(None, other, made[0], role)
    with pytest.raises(NotFound, match="No project"):
        await projects.add(None, "proj_x", made[0], "member")


async def test_nothing_is_added_to_an_archived_project(database: Database) -> None:
    from sqlalchemy import update

    from openhearth.accounts.tables import ProjectRow

    group, project_id = await Groups(database).create(None, "late"), await a_project(database)
    async with database.session() as session:
        await session.execute(update(ProjectRow).where(ProjectRow.id == project_id).values(archived_at=1))
    with pytest.raises(InvalidRequest, match="archived"):
        await ProjectGroups(database).add(None, project_id, group.id, "member")
