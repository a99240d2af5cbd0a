"""The rate limits of projects: shown, set, reset. Knows no HTTP; `limits.gate` holds requests to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from openhearth.accounts.access import changed
from openhearth.accounts.audit.record import record
from openhearth.accounts.principal import Principal
from openhearth.accounts.projects.rows import active_project, project_row
from openhearth.errors import NotFound
from openhearth.limits.allowance import allowed
from openhearth.limits.tables import RateLimitRow
from openhearth.settings import LimitSettings
from openhearth.store.database import Database
from openhearth.wire.organization.rate_limits import ProjectRateLimit, ProjectRateLimitList, RateLimitsQuery, RateLimitUpdate

FIELDS: Final = RateLimitUpdate.__struct_fields__
PREFIX: Final = "rl-"
"""A limit's id is this and the model's name, which may hold `:` and `/`."""

ModelNames = Callable[[], Awaitable[Collection[str]]]
"""The models that are here."""


class ProjectLimits:
    """All limits of an installation."""

    def __init__(self, database: Database, defaults: LimitSettings, models: ModelNames) -> None:
        self._database = database
        self._defaults = defaults
        self._models = models

    async def find(self, project_id: str, query: RateLimitsQuery) -> ProjectRateLimitList:
        """A page in order of the models' names: those that are here, and those that something is set for. Raises NotFound."""
        limits = await self.all(project_id)
        if query.after is not None:
            limits = [limit for limit in limits if limit.id > query.after]
        if query.before is not None:
            limits = [limit for limit in limits if limit.id < query.before]
        backwards = query.before is not None and query.after is None
        page = limits[-query.limit :] if backwards else limits[: query.limit]
        first, last = (page[0].id, page[-1].id) if page else (None, None)
        return ProjectRateLimitList(page, first, last, len(limits) > len(page))

    async def all(self, project_id: str) -> list[ProjectRateLimit]:
        """Every model's. Raises NotFound."""
        names = set(await self._models())
        async with self._database.session() as session:
            await project_row(session, project_id)
            rows = {row.model: row for row in await session.scalars(select(RateLimitRow).where(RateLimitRow.project_id == project_id))}
        return [self._shown(name, rows.get(name)) for name in sorted(names | set(rows))]

    async def set(self, actor: Principal | None, project_id: str, limit_id: str, update: RateLimitUpdate) -> ProjectRateLimit:
        """Change what the update names. Raises NotFound, InvalidRequest."""
        wanted = {name: value for name in FIELDS if (value := getattr(update, name)) is not UNSET}
        async with self._changing(project_id, limit_id) as (session, model, row):
            if wanted:
                before = _said(self._shown(model, row), wanted)
                if row is None:
                    row = RateLimitRow(project_id=project_id, model=model)
                    session.add(row)
                for name, value in wanted.items():
                    setattr(row, name, value)
                record(session, actor, "rate_limit.updated", limit_id, changes=wanted, before=before, project_id=project_id)
        return self._shown(model, row)

    async def reset(self, actor: Principal | None, project_id: str, limit_id: str) -> ProjectRateLimit:
        """Back to the defaults. Raises NotFound, InvalidRequest."""
        async with self._changing(project_id, limit_id) as (session, model, row):
            if row is not None:
                before = {name: value for name in FIELDS if (value := getattr(row, name)) is not None}
                await session.delete(row)
                record(session, actor, "rate_limit.deleted", limit_id, before=before, project_id=project_id)
        return self._shown(model, None)

    @asynccontextmanager
    async def _changing(self, project_id: str, limit_id: str) -> AsyncIterator[tuple[AsyncSession, str, RateLimitRow | None]]:
        """A transaction, the model, and what was set for it."""
        names = await self._models()
        async with self._database.session() as session:
            await changed(session)  # at the beginning, so that changes wait for each other
            await active_project(session, project_id)
            model = limit_id.removeprefix(PREFIX)
            row = await session.get(RateLimitRow, (project_id, model))
            if model == limit_id or (row is None and model not in names):
                raise _unknown(limit_id)
            yield session, model, row

    def _shown(self, model: str, row: RateLimitRow | None) -> ProjectRateLimit:
        allowance = allowed(row, self._defaults)
        return ProjectRateLimit(
            PREFIX + model,
            model,
            allowance.requests_per_minute,
            allowance.tokens_per_minute,
            _if_set(row.max_images_per_1_minute if row else None),
            _if_set(row.max_audio_megabytes_per_1_minute if row else None),
            _if_set(allowance.requests_per_day),
            _if_set(row.batch_1_day_max_input_tokens if row else None),
        )


def _if_set(value: int | None) -> int | UnsetType:
    return UNSET if value is None else value


def _said(limit: ProjectRateLimit, names: Collection[str]) -> dict[str, Any]:
    return {name: value for name, value in msgspec.to_builtins(limit).items() if name in names}


def _unknown(limit_id: str) -> NotFound:
    return NotFound(
        f"No rate limit '{limit_id[:200]}' in this project. A limit's id is rl- and the real name of a model that is here; "
        "GET /v1/organization/projects/{project_id}/rate_limits lists them.",
        param="rate_limit_id",
    )
