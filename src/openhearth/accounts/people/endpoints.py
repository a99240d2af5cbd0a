"""All routes of people and their logins."""

from __future__ import annotations

from openhearth.accounts.people import pages, routes
from openhearth.accounts.people.invites import routes as invites
from openhearth.accounts.people.oidc import routes as oidc
from openhearth.accounts.people.people import People
from openhearth.accounts.people.users import routes as users
from openhearth.web.endpoint import Endpoint


def endpoints(people: People) -> list[Endpoint]:
    """The rows of the route table; those of OpenID Connect where a provider is set."""
    table = users.endpoints(people.users) + invites.endpoints(people.invites) + routes.endpoints(people) + pages.endpoints(people)
    return table + (oidc.endpoints(people, people.oidc) if people.oidc else [])
