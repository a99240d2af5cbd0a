"""The whole route table of a real application, and requests to it by anybody."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from openhearth.accounts.guard import Guard
from openhearth.app import House, endpoints, open_house
from openhearth.settings import Settings
from openhearth.web.endpoint import Endpoint
from openhearth.web.middleware import RequestContext
from openhearth.web.router import make_router
from tests.support.asgi import served
from tests.support.isolation.belongings import PLAIN_VALUES, SHARED, Spot, maker_of
from tests.support.isolation.cast import Actor, Cast, assemble
from tests.support.isolation.logins import log_in
from tests.support.isolation.samples import encoded

PARAMETER = re.compile(r"\{(\w+)(?::\w+)?\}")
NOTHING = "nothing-of-that-name"
MODELS: tuple[dict[str, Any], ...] = (
    {"name": "fake:chat", "engine": "fake", "task": "chat"},
    {"name": "fake:embed", "engine": "fake", "task": "embedding"},
)


@dataclass(frozen=True)
class Answer:
    """A status, and the body as text."""

    status: int
    text: str
    code: str | None = None

    def without(self, *names: str) -> Answer:
        """With every name that was asked for taken out, so that what is left can be compared."""
        text = self.text
        for name in names:
            text = text.replace(name, "...")
        return Answer(self.status, text, self.code)


@dataclass(frozen=True)
class Walk:
    """A house with its cast, being served."""

    house: House
    table: list[Endpoint]
    cast: Cast
    session: aiohttp.ClientSession

    async def ask(self, actor: Actor, endpoint: Endpoint, path: str, body: bytes | None = None) -> Answer:
        """`body` None: one that the route's schema accepts."""
        data = encoded(endpoint.request, PLAIN_VALUES) if body is None else body
        login = await log_in(self.house.database, actor.login) if actor.login else {}
        headers = {"content-type": "application/json", **actor.headers, **login}
        async with self.session.request(endpoint.method, path, data=data, headers=headers, allow_redirects=False) as reply:
            text = await reply.text()
            told = reply.status >= 400 and not endpoint.page
            error = (await reply.json()).get("error") if told else None
            return Answer(reply.status, text, error["code"] if error else None)

    async def things(self, endpoint: Endpoint, project_id: str) -> dict[str, str]:
        """One of each kind that the path names, belonging together and to the project."""
        made: dict[str, str] = {}
        for name in PARAMETER.findall(endpoint.path):
            if name in SHARED:
                made[name] = SHARED[name]
                continue
            make = maker_of(name, shown(endpoint))
            made[name] = await make(Spot(self.house.database, endpoint.path, project_id, dict(made)))
        return made


def shown(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def parameters(endpoint: Endpoint) -> list[str]:
    return PARAMETER.findall(endpoint.path)


def filled(path: str, values: Mapping[str, str]) -> str:
    return PARAMETER.sub(lambda found: values.get(found.group(1), NOTHING), path)


@asynccontextmanager
async def walking(folder: Path, database_url: str) -> AsyncIterator[Walk]:
    """Everything is the real application's."""
    settings = Settings(data_dir=folder, database_url=database_url, default_model="fake:chat", embedding_model="fake:embed", models=MODELS)
    async with open_house(settings) as house:
        table = endpoints(house)
        router = make_router(table, max_body=2**20, body_timeout_s=10)
        guard = Guard(router, house.access, [row.path for row in table if row.public], house.people.sessions)
        cast = await assemble(house.database)
        async with served(RequestContext(guard, lambda *_: None)) as at:
            yield Walk(house, table, cast, at.session)
