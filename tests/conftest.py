"""Servers that tests share: one with the fake engine, one with the real models. Tests that kill things start their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.serving import RunningServer, started


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`openhearth serve` with the models `fake:chat` and `fake:embed`, which all aliases mean."""
    with started(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    """The same for one test alone, which may kill its engines."""
    with started(tmp_path / "own") as running:
        yield running


@pytest.fixture(scope="session")
def real_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """`openhearth serve` with SmolLM2 and MiniLM."""
    from tests.support.pulled import link_models

    data_dir: Path = tmp_path_factory.mktemp("real")
    link_models(data_dir)
    with started(data_dir, config="") as running:
        yield running
