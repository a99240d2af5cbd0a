"""Attacks on projects and keys: escalation with every kind of lesser key, SQL and what is no text everywhere, strangers' ids."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from openhearth.accounts.api_keys import admin_routes
from openhearth.accounts.api_keys import routes as key_routes
from openhearth.accounts.project_users import routes as user_routes
from openhearth.accounts.projects import routes as project_routes
from openhearth.accounts.projects import settled_routes
from openhearth.accounts.retention import routes as retention_routes
from openhearth.accounts.service_accounts import routes as account_routes
from openhearth.web.endpoint import Endpoint
from tests.accounts.api.conftest import ADMIN_KEY
from tests.support.databases import Postgres
from tests.support.serving import RunningServer, started

NOTHING: Any = None
ROUTES: list[Endpoint] = [
    *project_routes.endpoints(NOTHING), *settled_routes.endpoints(NOTHING), *user_routes.endpoints(NOTHING),
    *account_routes.endpoints(NOTHING), *key_routes.endpoints(NOTHING, NOTHING), *admin_routes.endpoints(NOTHING),
    *retention_routes.endpoints(NOTHING),
]  # fmt: skip
HOSTILE = [
    "x' OR '1'='1",
    "x'; DROP TABLE projects; --",
    "%27",
    "..%2f..%2fadmin",
    "%00",
    "%ff%fe",
    "%ed%a0%80",
    "a" * 3000,
    "{id}",
    "%u0027",
]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Iterator[RunningServer]:
    """On PostgreSQL, which takes fewer texts and numbers than SQLite."""
    environ = {"OPENHEARTH_ADMIN_KEY": ADMIN_KEY, "OPENHEARTH_DATABASE_URL": postgres.prepared()}
    with started(tmp_path_factory.mktemp("attacked"), environ=environ) as running:
        yield running


@pytest.fixture
def http(house: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=house.root, timeout=30) as http:
        yield http


def filled(route: Endpoint, **parts: str) -> str:
    path = route.path
    for name in ("project_id", "user_id", "service_account_id", "api_key_id", "key_id"):
        path = path.replace("{" + name + "}", parts.get(name, "x"))
    return path


def sent(http: httpx.Client, route: Endpoint, key: str, **parts: str) -> httpx.Response:
    body = {} if route.request is None else {"json": {"name": "x"}}
    return http.request(route.method, filled(route, **parts), headers={"authorization": f"Bearer {key}"}, **body)


@pytest.mark.parametrize("scopes", [None, ["api.all"], ["api.all.read"], ["api.model.request"]])
@pytest.mark.parametrize("role", ["member", "owner"])
def test_a_projects_key_manages_nothing(
    client: openai.OpenAI, http: httpx.Client, project: str, role: Any, scopes: list[str] | None
) -> None:
    accounts = client.admin.organization.projects.service_accounts
    account = accounts.create(project, name="robot")
    accounts.update(account.id, project_id=project, role=role)
    key = accounts.api_keys.create(account.id, project_id=project, scopes=scopes or [])
    for route in ROUTES:
        for target in (project, "proj_default", "proj_none"):
            assert sent(http, route, key.value, project_id=target).status_code == 403, (route.method, route.path, target)


def test_strangers_projects_and_absent_ones_look_the_same(
    client: openai.OpenAI, http: httpx.Client, project: str, house: RunningServer
) -> None:
    for route in (route for route in ROUTES if "{project_id}" in route.path):
        stranger, absent = (sent(http, route, house.key, project_id=target) for target in (project, "proj_none"))
        assert (stranger.status_code, stranger.json()) == (absent.status_code, absent.json())


def test_an_admin_key_that_only_reads_changes_nothing(client: openai.OpenAI, http: httpx.Client, project: str) -> None:
    reader = client.admin.organization.admin_api_keys.create(name="reader", extra_body={"scopes": ["api.all.read"]})
    for route in ROUTES:
        status = sent(http, route, reader.value, project_id=project).status_code
        if route.method != "GET":
            assert status == 403, (route.method, route.path, status)
        else:
            assert status in (200, 404), (route.path, status)


def test_without_a_key_there_is_nothing(http: httpx.Client, house: RunningServer) -> None:
    for route in ROUTES:
        assert http.request(route.method, filled(route)).status_code == 401
        assert sent(http, route, "sk-admin-" + "x" * 40).status_code == 401


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_ids_find_nothing_and_break_nothing(http: httpx.Client, hostile: str, project: str) -> None:
    for route in ROUTES:
        if "{" not in route.path:
            continue
        for parts in ({"project_id": hostile}, dict.fromkeys(("user_id", "service_account_id", "api_key_id", "key_id"), hostile)):
            status = sent(http, route, ADMIN_KEY, **{"project_id": project, **parts}).status_code
            assert status in (400, 404) or (status == 200 and hostile not in filled(route, **{"project_id": project, **parts})), (
                route.path,
                status,
            )


@pytest.mark.parametrize("route", [route for route in ROUTES if route.query is not None], ids=lambda route: route.path)
@pytest.mark.parametrize(
    "query",
    ["after=' OR 1=1 --", "after=%00", "after=" + "a" * 500, "limit=0", "limit=101", "limit=1e9", "limit=-1", "limit=x", "order=up; DROP",
     "after=a&after=b", "unknown=1", "include_archived=maybe", "owner_project_access=all"],
)  # fmt: skip
def test_hostile_queries(http: httpx.Client, route: Endpoint, query: str) -> None:
    path = filled(route, project_id="proj_default")
    assert http.get(f"{path}?{query}", headers={"authorization": f"Bearer {ADMIN_KEY}"}).status_code in (400, 404)


@pytest.mark.parametrize(
    "name", ["", "two\nlines", "end\n", "bell\x07", "\x1b[31mred", "a" * 257, "nul\0", "\x9b31m", "line\u2028sep", None, 7, ["x"], {"a": 1}]
)
def test_names_that_are_none(http: httpx.Client, project: str, name: Any) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    base = f"/v1/organization/projects/{project}"
    for path in ("/v1/organization/projects", "/v1/organization/admin_api_keys", f"{base}/service_accounts"):
        reply = http.post(path, json={"name": name}, headers=headers)
        assert reply.status_code == 400, (path, reply.text)
        assert reply.json()["error"]["param"] in ("name", None)


@pytest.mark.parametrize("seconds", [0, -1, 31_536_001, 2**63, 1.5, "60", True])
def test_lifetimes_that_are_none(http: httpx.Client, project: str, seconds: Any) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    for path in ("/v1/organization/admin_api_keys", f"/v1/organization/projects/{project}/service_accounts"):
        reply = http.post(path, json={"name": "x", "expires_in_seconds": seconds}, headers=headers)
        assert (reply.status_code, reply.json()["error"]["param"]) == (400, "expires_in_seconds")


def test_nothing_more_is_taken_than_is_known(http: httpx.Client, project: str) -> None:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    for path, body in (
        ("/v1/organization/projects", {"name": "x", "id": "proj_default"}),
        ("/v1/organization/admin_api_keys", {"name": "x", "user_id": "user-x"}),
        (f"/v1/organization/projects/{project}/service_accounts", {"name": "x", "role": "owner"}),
        (f"/v1/organization/projects/{project}/users", {"role": "owner", "user_id": "u", "project_id": "proj_default"}),
    ):
        reply = http.post(path, json=body, headers=headers)
        assert (reply.status_code, reply.json()["error"]["code"]) == (400, "unknown_parameter")
