"""The wiring: every route is guarded, and says what it wants."""

from __future__ import annotations

import pytest

from openhearth.accounts.permissions import EVERY
from openhearth.app import endpoints, open_house
from openhearth.settings import Settings


async def test_every_route_names_its_permission(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A route without an owner check fails here."""
    async with open_house(Settings(data_dir=tmp_path_factory.mktemp("house"))) as house:
        table = endpoints(house)
    unchecked = [f"{row.method} {row.path}" for row in table if not row.public and row.permission not in EVERY]
    assert unchecked == []
