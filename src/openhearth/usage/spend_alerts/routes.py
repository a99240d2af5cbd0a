"""`/v1/organization/spend_alerts` and `/v1/organization/projects/{project_id}/spend_alerts`."""

from __future__ import annotations

import msgspec

from openhearth.usage.spend_alerts.service import READ, WRITE, SpendAlerts
from openhearth.usage.spend_limits.routes import project_of
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.spending import SpendAlert, SpendAlertDeleted, SpendAlertList, SpendAlertsQuery, SpendAlertWrite
from openhearth.wire.pagination import page

TAG = "Spend alerts"
PATHS = {"the organization": "/v1/organization/spend_alerts", "a project": "/v1/organization/projects/{project_id}/spend_alerts"}


def endpoints(alerts: SpendAlerts) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def list_all(call: Call) -> Reply:
        query = call.query(SpendAlertsQuery)
        found = await alerts.find(call.principal, project_of(call), query)
        return json_reply(page([msgspec.to_builtins(alert) for alert in found], query.limit))

    async def create(call: Call) -> Reply:
        return json_reply(await alerts.create(call.principal, project_of(call), call.json(SpendAlertWrite)))

    async def get(call: Call) -> Reply:
        return json_reply(await alerts.get(call.principal, project_of(call), call.path("alert_id")))

    async def update(call: Call) -> Reply:
        wanted = call.json(SpendAlertWrite)
        return json_reply(await alerts.update(call.principal, project_of(call), call.path("alert_id"), wanted))

    async def delete(call: Call) -> Reply:
        return json_reply(await alerts.delete(call.principal, project_of(call), call.path("alert_id")))

    rows: list[Endpoint] = []
    for of, path in PATHS.items():
        one = path + "/{alert_id}"
        rows += [
            Endpoint(
                "GET", path, list_all, f"List spend alerts of {of}.",
                query=SpendAlertsQuery, response=SpendAlertList, tag=TAG, permission=READ,
            ),
            Endpoint(
                "POST", path, create, f"Create a spend alert of {of}.",
                request=SpendAlertWrite, response=SpendAlert, tag=TAG, permission=WRITE,
            ),
            Endpoint("GET", one, get, f"One spend alert of {of}.", response=SpendAlert, tag=TAG, permission=READ),
            Endpoint(
                "POST", one, update, f"Change a spend alert of {of}.",
                request=SpendAlertWrite, response=SpendAlert, tag=TAG, permission=WRITE,
            ),
            Endpoint("DELETE", one, delete, f"Delete a spend alert of {of}.", response=SpendAlertDeleted, tag=TAG, permission=WRITE),
        ]  # fmt: skip
    return rows
