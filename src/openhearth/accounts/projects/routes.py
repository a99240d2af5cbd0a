"""`/v1/organization/projects`."""

from __future__ import annotations

import msgspec

from openhearth.accounts.projects.service import READ, WRITE, Projects
from openhearth.web.endpoint import Call, Endpoint, Reply, json_reply
from openhearth.wire.organization.projects import Project, ProjectCreate, ProjectList, ProjectsQuery, ProjectUpdate
from openhearth.wire.pagination import page

TAG = "Projects"
ALL = "/v1/organization/projects"
ONE = ALL + "/{project_id}"


def endpoints(projects: Projects) -> list[Endpoint]:
    """This module's rows of the route table."""

    async def create(call: Call) -> Reply:
        return json_reply(await projects.create(call.principal, call.json(ProjectCreate)))

    async def list_all(call: Call) -> Reply:
        query = call.query(ProjectsQuery)
        found = await projects.find(call.principal, query)
        return json_reply(page([msgspec.to_builtins(project) for project in found], query.limit))

    async def get(call: Call) -> Reply:
        return json_reply(await projects.get(call.path("project_id")))

    async def update(call: Call) -> Reply:
        return json_reply(await projects.update(call.principal, call.path("project_id"), call.json(ProjectUpdate)))

    async def archive(call: Call) -> Reply:
        return json_reply(await projects.archive(call.principal, call.path("project_id")))

    return [
        Endpoint("GET", ALL, list_all, "List projects.", query=ProjectsQuery, response=ProjectList, tag=TAG, permission=READ,
                 somewhere=True),
        Endpoint("POST", ALL, create, "Create a project.", request=ProjectCreate, response=Project, tag=TAG, permission=WRITE),
        Endpoint("GET", ONE, get, "One project.", response=Project, tag=TAG, permission=READ),
        Endpoint("POST", ONE, update, "Rename a project.", request=ProjectUpdate, response=Project, tag=TAG, permission=WRITE),
        Endpoint(
            "POST", ONE + "/archive", archive, "Archive a project and end its keys.", response=Project, tag=TAG, permission=WRITE
        ),
    ]  # fmt: skip
