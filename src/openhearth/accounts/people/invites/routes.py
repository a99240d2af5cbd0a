"""`/v1/organization/invites`."""

from __future__ import annotations

import time

from openhearth.accounts.people.invites.service import Invites
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.invites import Invite, InviteDeleted, InviteList, InviteRequest, InvitesQuery, shown_invite

TAG = "Invites"
READ, WRITE = "api.invites.read", "api.invites.write"
ALL, ONE = "/v1/organization/invites", "/v1/organization/invites/{invite_id}"


def endpoints(invites: Invites) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def create(call: Call) -> Reply:
        asked = call.json(InviteRequest)
        invite, _link = await invites.create(call.principal, asked.email, asked.role, asked.projects)
        return json_reply(shown_invite(invite, int(time.time())))

    async def list_all(call: Call) -> Reply:
        query = call.query(InvitesQuery)
        found = await invites.find(query)
        data = [shown_invite(row, int(time.time())) for row in found[: query.limit]]
        first, last = (data[0].id, data[-1].id) if data else (None, None)
        return json_reply(InviteList(data, first, last, len(found) > query.limit))

    async def get(call: Call) -> Reply:
        return json_reply(shown_invite(await invites.get(call.path("invite_id")), int(time.time())))

    async def delete(call: Call) -> Reply:
        await invites.delete(call.principal, call.path("invite_id"))
        return json_reply(InviteDeleted(call.path("invite_id")))

    return [
        Endpoint("GET", ALL, list_all, "List invites.", query=InvitesQuery, response=InviteList, tag=TAG, permission=READ),
        Endpoint("POST", ALL, create, "Invite somebody by mail.", request=InviteRequest, response=Invite, tag=TAG, permission=WRITE),
        Endpoint("GET", ONE, get, "One invite.", response=Invite, tag=TAG, permission=READ),
        Endpoint("DELETE", ONE, delete, "Delete an invite that wasn't accepted.", response=InviteDeleted, tag=TAG, permission=WRITE),
    ]
