"""Every route of the table, asked by everybody: who may not is refused, and what belongs to a project is not there for others.

A new route is walked by being in the table. If its path names a kind of thing that is new, `tests/support/isolation/belongings.py` must
learn to make one: the walk fails until it does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openhearth.accounts.permissions import OF_MANAGEMENT, OF_PROJECTS
from openhearth.accounts.principal import Principal
from openhearth.web.endpoint import Endpoint
from tests.support.accounts import a_project, join
from tests.support.isolation.belongings import SHARED
from tests.support.isolation.cast import Actor
from tests.support.isolation.walk import NOTHING, Answer, Walk, filled, parameters, shown, walking

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
async def walk(tmp_path: Path, database_url: str) -> AsyncIterator[Walk]:
    async with walking(tmp_path / "house", database_url) as walk:
        yield walk


async def test_everybody_gets_through_where_they_may_and_nowhere_else(walk: Walk) -> None:
    asked = [(endpoint, actor) for endpoint in walk.table for actor in walk.cast.actors if actor.concerns(endpoint)]
    faults = [(f"{shown(endpoint)} {actor.name}", await _fault(walk, endpoint, actor)) for endpoint, actor in asked]
    wrong = [f"{who}: {fault}" for who, fault in faults if fault]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(asked)}:", *wrong[:30]])


async def _fault(walk: Walk, endpoint: Endpoint, actor: Actor) -> str | None:
    """What is wrong with the answer. Nothing of the names in the path is there but the project, so that what may be done does no harm."""
    project_id = walk.cast.a if "project_id" in parameters(endpoint) else None
    allowed = endpoint.public or (actor.known and actor.may(endpoint, project_id))
    asked = await _spare(walk, actor) if allowed and project_id and endpoint.method != "GET" else walk.cast.a
    answer = await walk.ask(actor, endpoint, filled(endpoint.path, {"project_id": asked}))
    if answer.status >= 500:
        return f"broke ({answer.status})"
    if allowed:
        refused = answer.status == 401 and answer.code != "invalid_credentials"
        return f"refused ({answer.text})" if refused or answer.code == "permission_denied" else None
    if not actor.known:
        return None if answer.status == 401 else f"not stopped at the door ({answer.status})"
    told = f"Missing scopes: {endpoint.permission}." in answer.text or actor.has(endpoint, project_id)
    return None if answer.status == 403 and told else f"not refused as it should ({answer.status} {answer.text[:200]})"


async def _spare(walk: Walk, actor: Actor) -> str:
    """A project to do harm to, in which the actor is what it is in its own."""
    project_id = await a_project(walk.house.database)
    if actor.member is not None and actor.projects:
        await join(walk.house.database, project_id, *actor.member)
    return project_id


async def test_what_belongs_to_a_project_is_not_there_for_others(walk: Walk) -> None:
    """404 in the same words as for what doesn't exist, from every route; and it's still there afterwards, for its own project."""
    a, own, stranger = walk.cast.a, walk.cast["key of a's owner"], walk.cast["stranger's key"]
    walked = 0
    for endpoint in walk.table:
        names = [name for name in parameters(endpoint) if name not in SHARED]
        if endpoint.permission not in OF_PROJECTS or not names or "project_id" in names:
            continue
        things = await walk.things(endpoint, a)
        path = filled(endpoint.path, things)
        for asker in (stranger, walk.cast["login of b's owner"]):
            seen = await walk.ask(asker, endpoint, path)
            unseen = await walk.ask(asker, endpoint, filled(endpoint.path, {}))
            assert seen.status == 404, (shown(endpoint), seen)
            assert seen.without(*things.values()) == unseen.without(NOTHING), shown(endpoint)
        assert (await walk.ask(own, endpoint, path)).status not in (404, 403), f"{shown(endpoint)} doesn't find its own project's {names}"
        walked += 1
    assert walked >= 4


async def test_what_belongs_to_a_person_is_not_there_for_others(walk: Walk) -> None:
    walked = 0
    for endpoint in walk.table:
        if endpoint.login and parameters(endpoint):
            things = await walk.things(endpoint, walk.cast.a)
            seen = await walk.ask(walk.cast["login of b's owner"], endpoint, filled(endpoint.path, things))
            unseen = await walk.ask(walk.cast["login of b's owner"], endpoint, filled(endpoint.path, {}))
            assert seen.status == 404, (shown(endpoint), seen)
            assert seen.without(*things.values()) == unseen.without(NOTHING), shown(endpoint)
            found = await walk.ask(walk.cast["login of the organization's owner"], endpoint, filled(endpoint.path, things))
            assert found.status == 200, (shown(endpoint), found)
            walked += 1
    assert walked


async def test_the_walk_notices_when_a_header_makes_a_projects_manager_the_organizations(
    walk: Walk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def everywhere_alike(self: Principal, permission: str, project_id: str | None = None) -> bool:
        return self.access.may(permission, project_id or self.project_id)

    monkeypatch.setattr(Principal, "may", everywhere_alike)
    manager = walk.cast["login of a's owner"]
    managing = [row for row in walk.table if row.permission in OF_MANAGEMENT and not parameters(row) and not row.somewhere]
    assert any([await _fault(walk, endpoint, manager) for endpoint in managing])


async def test_things_of_a_project_are_not_there_under_another_ones_path(walk: Walk) -> None:
    """Not even for who may manage both."""
    a, b, admin = walk.cast.a, walk.cast.b, walk.cast["admin key"]
    walked = 0
    for endpoint in walk.table:
        names = [name for name in parameters(endpoint) if name not in SHARED]
        if names[:1] != ["project_id"] or len(names) == 1:
            continue
        things = await walk.things(endpoint, a)
        seen = await walk.ask(admin, endpoint, filled(endpoint.path, {**things, "project_id": b}))
        unseen = await walk.ask(admin, endpoint, filled(endpoint.path, {"project_id": b}))
        assert seen.status == 404, (shown(endpoint), seen)
        assert seen.without(*things.values()) == unseen.without(NOTHING), shown(endpoint)
        found = await walk.ask(admin, endpoint, filled(endpoint.path, things))
        missing = await walk.ask(admin, endpoint, filled(endpoint.path, {"project_id": a}))
        assert found.without(*things.values()) != missing.without(NOTHING), f"{shown(endpoint)} doesn't find its own project's {names}"
        walked += 1
    assert walked >= 10


async def test_a_project_itself_is_refused_in_the_same_words_whether_it_is_there_or_not(walk: Walk) -> None:
    for endpoint in walk.table:
        if "project_id" not in parameters(endpoint):
            continue
        for name in ("login of b's owner", "stranger's key", "login of a reader"):
            if walk.cast[name].may(endpoint, walk.cast.a):
                continue
            seen = await walk.ask(walk.cast[name], endpoint, filled(endpoint.path, {"project_id": walk.cast.a}))
            unseen = await walk.ask(walk.cast[name], endpoint, filled(endpoint.path, {}))
            assert seen.without(walk.cast.a) == unseen.without(NOTHING), (shown(endpoint), name)


async def test_lists_hold_nothing_of_other_projects(walk: Walk) -> None:
    made: set[str] = set()
    for endpoint in walk.table:
        if endpoint.permission in OF_PROJECTS or "project_id" in parameters(endpoint):
            things = await walk.things(endpoint, walk.cast.a)
            made |= {things[name] for name in things if name not in SHARED and name != "user_id"}
    assert len(made) > 10
    looked = 0
    for endpoint in walk.table:
        if endpoint.method != "GET" or endpoint.public or any(name != "project_id" for name in parameters(endpoint)):
            continue
        for name in ("stranger's key", "login of b's owner"):
            if walk.cast[name].may(endpoint, walk.cast.b if parameters(endpoint) else None):
                answer = await walk.ask(walk.cast[name], endpoint, filled(endpoint.path, {"project_id": walk.cast.b}))
                leaked = {thing for thing in made if thing in answer.text} - _of_the_organization(endpoint, made)
                assert not leaked, (shown(endpoint), name, leaked)
                looked += 1
    assert looked > 3


def _of_the_organization(endpoint: Endpoint, made: set[str]) -> set[str]:
    """Groups are the organization's, and so is the list of its projects for who may read that."""
    return {thing for thing in made if thing.startswith(("group_", "proj_"))} if endpoint.permission not in OF_PROJECTS else set()


def test_a_kind_of_thing_that_nobody_makes_fails_the_walk() -> None:
    from tests.support.isolation.belongings import maker_of

    with pytest.raises(AssertionError, match=r"spaceship_id.*GET /v1/spaceships.*MAKERS"):
        maker_of("spaceship_id", "GET /v1/spaceships/{spaceship_id}")


def test_answers_are_compared_without_the_names_in_them() -> None:
    assert Answer(404, "No role 'role_1'.").without("role_1") == Answer(404, "No role 'role_2'.").without("role_2")
    assert Answer(404, "No role 'role_1'.").without("role_1") != Answer(404, "Not your role 'role_2'.").without("role_2")
