"""What a model costs: the settings' price goes before the catalogue's; upstream servers' models have only that."""

from __future__ import annotations

from pathlib import Path

import pytest

from openhearth.accounts.work import Price
from openhearth.errors import SetupError
from openhearth.models.resolve import Models
from openhearth.settings import load

CONFIG = """
[[models]]
name = "fake:paid"
engine = "fake"
prices = { input = 1.0, cached_input = 0.25, output = 4.0 }

[[models]]
name = "fake:free"
engine = "fake"

[[models]]
name = "fake:other"
engine = "fake"
prices = { input = 1.0 }

[[upstreams]]
name = "gpu"
base_url = "http://127.0.0.1:9/v1"
models = ["big", "small"]

[prices]
"gpu/big" = { input = 2.0, output = 8.0 }
"fake:other" = { output = 3.0 }
"""


def models(folder: Path, config: str) -> Models:
    (folder / "openhearth.toml").write_text(config)
    return Models(load({}, {"OPENHEARTH_DATA_DIR": str(folder)}))


@pytest.mark.parametrize(
    ("name", "price"),
    [
        ("fake:paid", Price(1.0, 0.25, 4.0)),
        ("fake:free", Price()),
        ("fake:other", Price(output=3.0)),
        ("gpu/big", Price(2.0, 2.0, 8.0)),
        ("gpu/small", Price()),
    ],
)
async def test_prices(tmp_path: Path, name: str, price: Price) -> None:
    assert (await models(tmp_path, CONFIG).resolve(name)).price == price


@pytest.mark.parametrize("price", ["{ input = -1.0 }", "{ input = 1e9 }", "{ inptu = 1.0 }", "1.0", "{ output = nan }"])
def test_wrong_prices_are_errors(tmp_path: Path, price: str) -> None:
    with pytest.raises(SetupError):
        models(tmp_path, f'[prices]\n"fake:chat" = {price}\n')
    with pytest.raises(SetupError):
        models(tmp_path, f'[[models]]\nname = "x"\nengine = "fake"\nprices = {price}\n')
