"""`/v1/organization/audit_logs`."""

from __future__ import annotations

from openhearth.accounts.audit.reading import AuditLog
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.audit_logs import AuditLogList, AuditLogsQuery


def endpoints(log: AuditLog) -> list[Endpoint]:
    """This module's row of the route table."""

    async def list_all(call: Call) -> Reply:
        data, has_more = await log.find(call.query(AuditLogsQuery))
        first, last = (data[0]["id"], data[-1]["id"]) if data else (None, None)
        return json_reply({"object": "list", "data": data, "first_id": first, "last_id": last, "has_more": has_more})

    return [
        Endpoint(
            "GET", "/v1/organization/audit_logs", list_all, "Who did what to the organization, newest first.",
            query=AuditLogsQuery, response=AuditLogList, tag="Audit Logs", permission="api.audit_logs.read",
        )
    ]  # fmt: skip
