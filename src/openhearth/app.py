"""Where everything is wired together, and the only place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from openhearth import health
from openhearth.accounts import last_use
from openhearth.accounts.access import AccessTable
from openhearth.accounts.api_keys import admin_routes as admin_api_keys
from openhearth.accounts.api_keys import routes as project_api_keys
from openhearth.accounts.api_keys.admin import AdminKeys
from openhearth.accounts.api_keys.own import OwnKeys
from openhearth.accounts.api_keys.service import ProjectKeys
from openhearth.accounts.audit import routes as audit
from openhearth.accounts.audit.reading import AuditLog
from openhearth.accounts.groups import routes as groups
from openhearth.accounts.groups.members import GroupMembers
from openhearth.accounts.groups.projects import ProjectGroups
from openhearth.accounts.groups.service import Groups
from openhearth.accounts.guard import Guard
from openhearth.accounts.keys import Keys
from openhearth.accounts.models_gate import ModelPermissions
from openhearth.accounts.organization.founding import found
from openhearth.accounts.people import endpoints as people
from openhearth.accounts.people.people import People
from openhearth.accounts.project_users import routes as project_users
from openhearth.accounts.project_users.service import ProjectUsers
from openhearth.accounts.projects import routes as projects
from openhearth.accounts.projects import settled_routes as project_settings
from openhearth.accounts.projects.service import Projects
from openhearth.accounts.projects.settled import ProjectSettings
from openhearth.accounts.retention import routes as data_retention
from openhearth.accounts.retention.service import Retention
from openhearth.accounts.roles import assignment_routes
from openhearth.accounts.roles import routes as roles
from openhearth.accounts.roles.assignments import Assignments
from openhearth.accounts.roles.service import Roles
from openhearth.accounts.service_accounts import routes as service_accounts
from openhearth.accounts.service_accounts.service import ServiceAccounts
from openhearth.accounts.work import Gates
from openhearth.engines.contract import EngineKind, Launcher
from openhearth.engines.embedding import EmbeddingLauncher
from openhearth.engines.fake import FakeLauncher
from openhearth.engines.llama import LlamaLauncher
from openhearth.engines.machine import engine_defaults, memory_budget
from openhearth.engines.pool import Pool
from openhearth.engines.upstream import UpstreamLauncher
from openhearth.inference import edits, listing
from openhearth.inference.chat import routes as chat
from openhearth.inference.completions import routes as completions
from openhearth.inference.contract import Inference
from openhearth.inference.decisions import routes as decisions
from openhearth.inference.embeddings import routes as embeddings
from openhearth.inference.metering import Meter
from openhearth.inference.stored_completions import routes as stored_completions
from openhearth.inference.stored_completions.service import StoredCompletions
from openhearth.limits import routes as rate_limits
from openhearth.limits.gate import RateLimits
from openhearth.limits.service import ProjectLimits
from openhearth.models.resolve import Models
from openhearth.settings import Settings
from openhearth.store.database import Database
from openhearth.usage.books import Books, open_books
from openhearth.usage.reports import routes as reports
from openhearth.usage.reports.service import Reports
from openhearth.usage.spend_alerts import routes as spend_alerts
from openhearth.usage.spend_alerts.service import SpendAlerts
from openhearth.usage.spend_limits import routes as spend_limits
from openhearth.usage.spend_limits.service import SpendLimits
from openhearth.web.endpoint import Endpoint
from openhearth.web.middleware import RequestContext
from openhearth.web.openapi import document
from openhearth.web.proxies import Proxies
from openhearth.web.router import make_router
from openhearth.webhooks import routes as webhooks
from openhearth.webhooks.events import emit
from openhearth.webhooks.opening import open_webhooks
from openhearth.webhooks.service import Webhooks


@dataclass(frozen=True)
class House:
    """One installation, open: its database, keys, models and engines."""

    settings: Settings
    database: Database
    keys: Keys
    access: AccessTable
    people: People
    models: Models
    pool: Pool
    books: Books
    limits: RateLimits
    registry: CollectorRegistry
    webhooks: Webhooks

    @property
    def answers(self) -> int:
        """How many are being written: the slots in use."""
        return sum(status.in_use for status in self.pool.status())

    @property
    def preloaded(self) -> tuple[str, ...]:
        """The models that start with the server."""
        return (self.settings.default_model,) if self.settings.preload is None else self.settings.preload

    @property
    def inference(self) -> Inference:
        gates = Gates([ModelPermissions(self.models.meaning), self.books.spend_gate, self.limits, self.books.recorder])
        return Inference(self.models, self.pool, Meter(self.registry), gates)


@asynccontextmanager
async def open_house(settings: Settings) -> AsyncIterator[House]:
    """Open everything below the HTTP server; closed in reverse, leaving no child process. Raises SetupError."""
    database = Database(settings.resolved_database_url)
    pool = Pool(launchers(settings), settings.engines, budget_bytes=memory_budget(settings.engines))
    try:
        await database.prepare()
        await found(database, settings.owner_email)
        keys = Keys(database)
        if settings.api_key:
            await keys.ensure(settings.api_key)
        if settings.admin_key:
            await keys.ensure(settings.admin_key, project_id=None)
        access = AccessTable(database)
        people = People(settings, database, access)
        if settings.owner_password:
            await people.users.ensure_owner_password(settings.owner_password)
        async with (
            open_webhooks(database, settings.webhooks) as told,
            RateLimits(database, access, settings.limits).running() as limits,
            open_books(database, emit) as books,
            last_use.written_down(access, database),
        ):
            try:
                models, registry = Models(settings), CollectorRegistry()
                yield House(settings, database, keys, access, people, models, pool, books, limits, registry, told)
            finally:
                await pool.close()  # ends what runs, so that its usage is still written
    finally:
        await pool.close()
        await database.close()


def launchers(settings: Settings) -> dict[EngineKind, Launcher]:
    """One launcher for each kind of engine."""
    engines, sockets, defaults = settings.engines, settings.sockets_dir, engine_defaults(settings.engines)
    timeouts = {"start_timeout_s": engines.start_timeout_s, "stall_timeout_s": engines.stall_timeout_s}
    return {
        "llama": LlamaLauncher(sockets, defaults, **timeouts),
        "embedding": EmbeddingLauncher(sockets, threads=defaults.threads, **timeouts),
        "fake": FakeLauncher(sockets, slots=engines.slots, **timeouts),
        "upstream": UpstreamLauncher(),
    }


def make_app(house: House) -> ASGIApp:
    """The ASGI application: context -> guard -> router."""
    settings = house.settings
    table = endpoints(house)
    metrics = health.RequestMetrics(house.registry)
    house.registry.register(health.EngineMetrics(house.pool))
    router = make_router(table, max_body=settings.max_body_mb * 2**20, body_timeout_s=settings.body_timeout_s)
    app: ASGIApp = Guard(
        router, house.access, [e.path for e in table if e.public], house.people.sessions, Proxies(settings.trusted_proxies)
    )
    if settings.cors_origins:
        app = CORSMiddleware(app, allow_origins=settings.cors_origins, allow_methods=["*"], allow_headers=["*"])
    return RequestContext(app, metrics.observe)


def endpoints(house: House) -> list[Endpoint]:
    """The whole route table, hot routes first, greedy paths last."""
    table: list[Endpoint] = []
    inference = house.inference
    stored = StoredCompletions(house.database)
    table += chat.endpoints(inference, stored.keep)
    table += completions.endpoints(inference)
    table += embeddings.endpoints(inference)
    table += edits.endpoints(inference)
    table += decisions.endpoints(inference)
    table += stored_completions.endpoints(stored)
    table += managing_projects(house.database, house.access)
    table += reports.endpoints(Reports(house.database))
    table += spend_limits.endpoints(SpendLimits(house.database, house.books.spend_gate.changed))
    table += spend_alerts.endpoints(SpendAlerts(house.database))
    database = house.database
    table += roles.endpoints(Roles(database))
    table += assignment_routes.endpoints(Assignments(database))
    table += groups.endpoints(Groups(database), GroupMembers(database), ProjectGroups(database))
    table += audit.endpoints(AuditLog(database))
    table += rate_limits.endpoints(ProjectLimits(house.database, house.settings.limits, house.models.names))
    table += webhooks.endpoints(house.webhooks)
    table += people.endpoints(house.people)
    table += health.endpoints(house.database, house.pool, house.registry, lambda: document(table))
    table += listing.endpoints(inference)
    return table


def managing_projects(database: Database, access: AccessTable) -> list[Endpoint]:
    """Projects and who and what is in them: users, service accounts, keys; and what may be kept."""
    return [
        *projects.endpoints(Projects(database)),
        *project_settings.endpoints(ProjectSettings(database)),
        *project_users.endpoints(ProjectUsers(database)),
        *service_accounts.endpoints(ServiceAccounts(database)),
        *project_api_keys.endpoints(ProjectKeys(database, access), OwnKeys(database, access)),
        *admin_api_keys.endpoints(AdminKeys(database, access)),
        *data_retention.endpoints(Retention(database)),
    ]
