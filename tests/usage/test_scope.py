"""Whose spending one may see and set: a project's owner that of the project, not the organization's."""

from __future__ import annotations

import pytest

from openhearth.accounts.access import DEFAULT_PROJECT
from openhearth.accounts.permissions import PROJECT_ROLES
from openhearth.accounts.principal import Access, Principal
from openhearth.errors import NotFound, PermissionDenied
from openhearth.store.database import Database
from openhearth.usage.spend_alerts.service import SpendAlerts
from openhearth.usage.spend_limits.service import SpendLimits
from openhearth.wire.organization.spending import NotificationChannel, SpendAlertsQuery, SpendAlertWrite, SpendLimitUpdate

UPDATE = SpendLimitUpdate(100, "USD", "month")
ALERT = SpendAlertWrite(100, "USD", "month", NotificationChannel("email", ["a@example.com"]))


def member(role: str) -> Principal:
    """A person who is logged in, with the default project chosen."""
    access = Access("session", "session_1", "user-1", "org-1", None, frozenset(), {DEFAULT_PROJECT: PROJECT_ROLES[role]})
    return Principal(access, DEFAULT_PROJECT)


async def test_a_projects_owner_does_not_set_the_organizations_limit(database: Database) -> None:
    limits, owner = SpendLimits(database, lambda: None), member("owner")
    await limits.set(owner, DEFAULT_PROJECT, UPDATE)
    assert (await limits.get(owner, DEFAULT_PROJECT)).threshold_amount == 100
    for act in (limits.set(owner, None, UPDATE), limits.get(owner, None), limits.remove(owner, None)):
        with pytest.raises(PermissionDenied, match="Missing scopes"):
            await act
    with pytest.raises(PermissionDenied):
        await limits.set(owner, "proj_other", UPDATE)
    with pytest.raises(NotFound):
        await limits.get(None, None)


async def test_nor_its_alerts(database: Database) -> None:
    alerts, owner = SpendAlerts(database), member("owner")
    made = await alerts.create(owner, DEFAULT_PROJECT, ALERT)
    whole = await alerts.create(None, None, ALERT)
    for act in (
        alerts.create(owner, None, ALERT),
        alerts.find(owner, None, SpendAlertsQuery()),
        alerts.get(owner, None, whole.id),
        alerts.update(owner, None, whole.id, ALERT),
        alerts.delete(owner, None, whole.id),
    ):
        with pytest.raises(PermissionDenied):
            await act
    with pytest.raises(NotFound):
        await alerts.get(owner, DEFAULT_PROJECT, whole.id)
    assert (await alerts.get(owner, DEFAULT_PROJECT, made.id)).id == made.id


async def test_members_look_at_no_bills(database: Database) -> None:
    with pytest.raises(PermissionDenied):
        await SpendLimits(database, lambda: None).get(member("member"), DEFAULT_PROJECT)
