"""A server with an admin key, for the administration API's tests."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.support.serving import RunningServer, started

ADMIN_KEY = "sk-admin-test-0123456789abcdef0123456789"


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with started(tmp_path_factory.mktemp("administered"), environ={"OPENHEARTH_ADMIN_KEY": ADMIN_KEY}) as running:
        yield running


@pytest.fixture
def client(house: RunningServer) -> Iterator[openai.OpenAI]:
    """The official client with both keys: it sends the one that a resource wants."""
    with openai.OpenAI(base_url=house.base_url, api_key=house.key, admin_api_key=ADMIN_KEY, max_retries=0) as client:
        yield client


@pytest.fixture
def project(client: openai.OpenAI) -> Iterator[str]:
    made = client.admin.organization.projects.create(name="tested")
    yield made.id
    client.admin.organization.projects.archive(made.id)
