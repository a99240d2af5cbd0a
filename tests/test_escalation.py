"""Nobody gives what they don't have, at any route: for each that writes, somebody with just its permission tries to make more of it.

The walk knows no route by name. It fills paths and bodies with what the climber has and wants, and compares what everybody can do before
and after.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from openhearth.accounts.permissions import OF_MANAGEMENT, OF_ORGANIZATION
from openhearth.web.endpoint import Endpoint
from tests.support.isolation.climbing import GIVING, Climb, climb, fields_of
from tests.support.isolation.walk import Walk, shown, walking

pytestmark = pytest.mark.timeout(600)
CHECKS = [
    f"openhearth.accounts.{room}.check_giving"
    for room in (
        "roles.service",
        "roles.assignments",
        "groups.members",
        "groups.projects",
        "project_users.service",
        "service_accounts.service",
        "people.users.roles",
        "people.invites.service",
        "api_keys.service",
    )
]


@pytest.fixture
async def walk(tmp_path: Path, database_url: str) -> AsyncIterator[Walk]:
    async with walking(tmp_path / "house", database_url) as walk:
        yield walk


def climbs(walk: Walk) -> list[tuple[Endpoint, bool]]:
    """Routes that write, by somebody in the organization, and by somebody in one project where that can be."""
    writing = [row for row in walk.table if row.method != "GET" and row.permission in OF_MANAGEMENT | OF_ORGANIZATION]
    return [(row, in_project) for row in writing for in_project in (False, True) if not in_project or row.permission in OF_MANAGEMENT]


async def test_nobody_gains_by_anything_that_somebody_lesser_does(walk: Walk) -> None:
    found: dict[str, list[Climb]] = {}
    for endpoint, in_project in climbs(walk):
        found.setdefault(shown(endpoint), []).append(await climb(walk, endpoint, in_project=in_project))
    gained = [f"{route} {what}" for route, of in found.items() for one in of for what in one.gained]
    assert not gained, "\n".join(gained[:30])
    giving = {shown(row) for row, _ in climbs(walk) if GIVING & fields_of(row)}
    assert len(giving) >= 7
    never = {route for route in giving if not any(one.refused for one in found[route])}
    assert not never, (
        f"Nobody was refused at {never}, though their bodies say who may do what: is what they give compared with what one has?"
    )
    assert sum(one.done for of in found.values() for one in of) > 20, "hardly anything was possible, so hardly anything was tried"


@pytest.mark.parametrize("check", CHECKS)
async def test_the_walk_notices_a_check_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str) -> None:
    monkeypatch.setattr(check, lambda *_: None)
    async with walking(tmp_path / "house", f"sqlite+aiosqlite:///{tmp_path / 'house.db'}") as walk:
        for endpoint, place in climbs(walk):
            if (await climb(walk, endpoint, in_project=place)).gained:
                return
    pytest.fail("nobody gained anything")
